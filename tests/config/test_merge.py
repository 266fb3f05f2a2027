"""The laws of inheritance: ``merge(base, over)``."""

import copy

import pytest
from config_strategies import configs, trees
from hypothesis import given

from loopwright.config import Config, ConfigDict, ConfigError
from loopwright.config.merge import merge


@given(configs)
def test_nothing_merged_over_a_config_is_the_config(values):
    cfg = ConfigDict(values)
    assert merge(cfg, ConfigDict()) == cfg
    assert merge(ConfigDict(), cfg) == cfg


@given(trees)
def test_a_config_merged_over_itself_is_itself(values):
    cfg = ConfigDict(values)
    assert merge(cfg, cfg) == cfg


@given(trees, trees)
def test_neither_argument_changes(base, over):
    first, second = ConfigDict(copy.deepcopy(base)), ConfigDict(copy.deepcopy(over))
    merged_or_none(first, second)
    assert (first, second) == (base, over)


@given(trees, trees, trees)
def test_merging_is_associative_where_it_is_possible(a, b, c):
    one, two, three = map(ConfigDict, (a, b, c))
    left = merged_or_none(merged_or_none(one, two), three)
    right = merged_or_none(one, merged_or_none(two, three))
    if left is not None and right is not None:
        assert left == right


@given(trees, trees)
def test_what_is_merged_over_wins_at_every_leaf(base, over):
    merged = merged_or_none(ConfigDict(base), ConfigDict(over))
    if merged is not None:
        assert merge(merged, ConfigDict(over)) == merged


@given(trees, trees)
def test_delete_replaces_the_inherited_dict(base, over):
    merged = merge(ConfigDict(x=base), ConfigDict(x=dict(over, _delete_=True)))
    assert merged == dict(x=over)


def merged_or_none(base, over):
    if base is None or over is None:
        return None
    try:
        return merge(base, over)
    except ConfigError:
        return None


def test_a_dict_over_a_value_is_an_error_that_names_the_way_out():
    cfg = ConfigDict(a=dict(b=[1]))
    with pytest.raises(ConfigError, match=r"a\.b is a dict here but list .* _delete_=True"):
        merge(cfg, ConfigDict(a=dict(b=dict(c=1))))


def test_delete_stays_where_nothing_was_inherited_as_in_mmengine():
    merged = merge(ConfigDict(a=1), ConfigDict(new=dict(_delete_=True, q=1)))
    assert merged == dict(a=1, new=dict(_delete_=True, q=1))


def test_list_keys_change_elements_only_when_asked_for():
    base, over = ConfigDict(p=[dict(a=1), dict(b=2)]), ConfigDict(p={"1": dict(b=3)})
    assert merge(base, over, list_keys=True) == dict(p=[dict(a=1), dict(b=3)])
    with pytest.raises(ConfigError, match="is a dict here but list"):
        merge(base, over)


def test_the_places_of_both_sides_are_kept_in_order(tmp_path):
    (tmp_path / "base.py").write_text("a = dict(x=1,\n  y=2)\n")
    (tmp_path / "child.py").write_text("_base_ = 'base.py'\n\na = dict(y=3)\n")
    cfg = Config.fromfile(tmp_path / "child.py")
    assert [(s.value, s.origin.line) for s in cfg.why("a.y")] == [(2, 2), (3, 3)]
    assert [(s.value, s.origin.line) for s in cfg.why("a.x")] == [(1, 1)]
