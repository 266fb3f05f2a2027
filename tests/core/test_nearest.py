"""Hints: the end of an error message, one form wherever a name is not known."""

from loopwright.core.nearest import MANY, did_you_mean, nearest_or_all


def test_several_near_names_are_told_nearest_first():
    told = did_you_mean("blocks", ["block", "backbone", "blocks.0"], most=2)
    assert told == "; did you mean 'block' or 'blocks.0'?"


def test_names_need_not_be_strings():
    assert did_you_mean(11, [12, 512], cutoff=0.5) == "; did you mean '12'?"


def test_where_none_is_near_all_are_told_unless_they_are_many_or_none():
    assert nearest_or_all("x", ["left", "right"]) == "; there are: left, right"
    assert nearest_or_all("x", []) == ""
    many = [f"name{i}" for i in range(MANY + 1)]
    assert nearest_or_all("x", many).endswith(f"name{MANY - 1}, …")
    assert nearest_or_all("lfet", iter(["left", "right"])) == "; did you mean 'left'?"
