"""Every promise in the table of docs/faults.md names a test that there is."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROWS = re.findall(
    r"^\| ([0-9S][0-9S, ]*) \| .* \| (.*) \|$", (ROOT / "docs/faults.md").read_text(), re.M
)
OF_ONE_PROCESS = {*range(1, 38), *range(41, 49)}


def test_each_row_of_the_matrix_that_concerns_one_process_names_a_test():
    numbers = {int(n) for row, tests in ROWS if "::" in tests for n in re.findall(r"\b\d+", row)}
    assert numbers == OF_ONE_PROCESS


def test_each_test_named_is_there():
    named = {one for _, tests in ROWS for one in re.findall(r"`(tests/[^`]+::[^`]+)`", tests)}
    assert len(named) > 60
    for path, _, name in (one.partition("::") for one in sorted(named)):
        tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
        there = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        assert name in there, f"docs/faults.md names {path}::{name}"
