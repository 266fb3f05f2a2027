"""What a plan knows without torch is what the parts themselves take."""

import inspect

import pytest
import torch

from loopwright.data import build
from loopwright.optim import make_clip, options
from loopwright.plan import optimization, sections
from loopwright.plan.finding import Node
from loopwright.plan.fit import check_fit
from loopwright.registry import LOOPS


def test_the_keys_of_a_loader_are_those_that_building_takes():
    assert set(sections.LOADER) == build._TAKES | build._IGNORED


@pytest.mark.parametrize("name", sections.BUILT_IN_LOOPS)
def test_the_keys_of_a_loop_are_its_arguments(name):
    taken = set(inspect.signature(LOOPS.get(name)).parameters)
    assert set(sections.BUILT_IN_LOOPS[name]) == taken - {"runner", "dataloader", "evaluator"}


@pytest.mark.parametrize("kind", options.CLIPS)
def test_the_options_of_a_clip_are_those_that_it_takes(kind: str):
    """Each one is taken by the maker of its kind."""
    values = {
        "max_norm": 1.0,
        "norm_type": 1.0,
        "error_if_nonfinite": True,
        "foreach": False,
        "per": "param",
        "clip_value": 1.0,
        "clip_factor": 0.1,
        "eps": 0.1,
        "exclude": ["a"],
    }
    weight = torch.nn.Parameter(torch.ones(1))
    weight.grad = torch.ones(1)
    clip = make_clip(
        {"type": kind, **{k: values[k] for k in options.CLIPS[kind]}}, lambda: {0: "a"}
    )
    assert clip([weight]).item() == 1.0


@pytest.mark.parametrize(
    ("wrapper", "said"),
    [
        ({"clip_grad": {"max_nrom": 1}}, "did you mean 'max_norm'"),
        ({"clip_grad": {"max_norm": 0}}, "max_norm must be more than 0"),
        ({"type": "AmpOptimWrapper", "loss_scale": "dynmic"}, "must be 'dynamic'"),
        (
            {"type": "ApexOptimWrapper", "opt_level": "O1"},
            "type='AmpOptimWrapper', dtype='float16'",
        ),
        ({"type": "AmpOptimWrapper", "dtype": "float12"}, "dtype must be one of"),
    ],
)
def test_what_building_would_refuse_of_a_wrapper_is_an_error_of_the_plan(wrapper, said):
    cfg = {"optim_wrapper": {"optimizer": {"type": "SGD", "lr": 0.1}, **wrapper}}
    found = optimization.check_optimization(Node(cfg, ""), lambda registry, name: None)
    [error] = [finding for finding in found if finding.level == "error"]
    assert said in error.message or said in f"{error.path.rpartition('.')[2]} {error.message}"


@pytest.mark.parametrize("several", [False, True])
def test_a_monitor_of_a_schedule_that_stands_alone_or_by_name_is_checked(several: bool):
    plateau = {"type": "ReduceOnPlateauLR", "monitor": "top2"}
    cfg = {
        "param_scheduler": {"critic": [plateau]} if several else plateau,
        "val_cfg": {},
        "val_evaluator": {"type": "Accuracy", "topk": (1, 5)},
    }
    (found,) = check_fit(Node(cfg, ""), None)
    assert "watches 'top2', which no metric produces" in found.message
