"""What a plan knows without torch is what the parts themselves take."""

import inspect

import pytest

from loopwright.data import build
from loopwright.optim import clip
from loopwright.plan import optimization, sections
from loopwright.registry import LOOPS


def test_the_keys_of_a_loader_are_those_that_building_takes():
    assert set(sections.LOADER) == build._TAKES | build._IGNORED


@pytest.mark.parametrize("name", sections.BUILT_IN_LOOPS)
def test_the_keys_of_a_loop_are_its_arguments(name):
    taken = set(inspect.signature(LOOPS.get(name)).parameters)
    assert set(sections.BUILT_IN_LOOPS[name]) == taken - {"runner", "dataloader", "evaluator"}


def test_the_keys_of_clip_grad_are_those_of_all_kinds():
    kinds = (clip._norm, clip._value, clip._adaptive)
    taken = {name for kind in kinds for name in inspect.signature(kind).parameters}
    assert set(optimization._CLIP) == taken | {"type"}
