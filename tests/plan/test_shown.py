"""A plan on a terminal, as a page and as a picture."""

import io
import itertools
import re
from pathlib import Path

import pytest
from rich.console import Console

from loopwright.config import Config
from loopwright.plan import make_plan
from loopwright.plan.data import to_data
from loopwright.plan.page import page
from loopwright.plan.text import show

WHOLE = (Path(__file__).parent / "whole.txt").read_text()


def plan_of(text, tmp_path, name="config.py"):
    (tmp_path / name).write_text(text)
    return make_plan(Config.fromfile(str(tmp_path / name)), imported=True)


def printed(plan, width, **how):
    console = Console(file=io.StringIO(), width=width)
    show(plan, console, **how)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [80, 140])
def test_no_head_of_the_group_table_is_cut(width, tmp_path):
    text = printed(plan_of(WHOLE, tmp_path), width)
    head = next(line for line in text.splitlines() if "tensors" in line)
    assert head.split()[:4] == ["#", "tensors", "parameters", "lr"]
    assert ("first of" in text) == (width >= 100)


def test_numbers_are_written_as_people_write_them(tmp_path):
    text = printed(plan_of(WHOLE, tmp_path), 140)
    assert " 0.01 " in text
    assert "1.000e-02" not in text


def test_points_of_a_validation_that_the_run_does_not_have_are_not_listed(tmp_path):
    without = "\n".join(
        line for line in WHOLE.splitlines() if not line.startswith(("val_evaluator", "val_cfg"))
    )
    without = re.sub(r"val_dataloader = dict\(.*?\)\)\n", "", without, flags=re.DOTALL)
    without = without.replace("save_best='accuracy/top1', ", "")
    assert "after_val" not in printed(plan_of(without, tmp_path), 140)
    text = printed(plan_of(WHOLE, tmp_path), 140)
    assert "after_val" in text
    assert "after_test" not in text


def test_the_page_draws_steps_with_axes_and_names_every_line(tmp_path):
    html = page(plan_of(WHOLE, tmp_path), "config.py")
    assert html.count("<polyline") >= 2
    assert re.search(r"<text [^>]*>0.01</text>", html), "a tick of the lr"
    assert html.count("<i style='background:") >= 2
    [first] = re.findall(r"<polyline stroke='#2563a8' points='([^']*)'", html)[:1]
    corners = [tuple(map(float, p.split(","))) for p in first.split()]
    assert all(a[0] == b[0] or a[1] == b[1] for a, b in itertools.pairwise(corners))
    assert "http" not in html.replace("http://www.w3.org", "")


def test_one_warning_is_no_plural(tmp_path):
    text = printed(plan_of(WHOLE.replace("val_begin=1", "val_begin=30"), tmp_path), 140)
    assert "0 errors, 1 warning " in text


def test_a_rule_that_decides_nothing_is_told_at_its_own_line(tmp_path):
    plan = plan_of(WHOLE.replace("'head': dict", "'haed': dict"), tmp_path)
    [warning] = plan.warnings
    assert warning.path == "optim_wrapper.paramwise_cfg.custom_keys.haed"
    assert warning.origin.endswith("config.py:20")
    assert "config.py" not in warning.message


def test_the_memory_says_in_which_number_format(tmp_path):
    plan = plan_of(WHOLE, tmp_path)
    assert set(to_data(plan)["dtypes"]) == {"float32"}
    assert "parameters (float32)" in printed(plan, 100)
