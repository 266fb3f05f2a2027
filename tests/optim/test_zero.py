"""Optimizer state split over processes: the same training, whole checkpoints, a share each."""

import importlib.util
from pathlib import Path

import pytest
import torch
from torch import nn

from loopwright.checkpoint import load_any
from loopwright.optim import AmpOptimWrapper, ZeroRedundancyOptimizer, build_optim_wrapper

HERE = Path(__file__).parent
ZERO = {"type": "ZeroRedundancyOptimizer", "optimizer_type": "AdamW", "lr": 0.1}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("zero")


@pytest.fixture(scope="module")
def pair(folder):
    spec = importlib.util.spec_from_file_location("pair", HERE.parent / "dist" / "pair.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.run_pair(HERE / "zero_pair.py", str(folder))


def test_two_processes_train_to_the_weights_of_the_whole_optimizer(pair):
    assert pair[0]["zero"] == pair[1]["zero"] == pair[0]["plain"] == pair[1]["plain"]


def test_each_process_keeps_about_half_of_the_state(pair):
    total = len(pair[0]["plain"])
    kept = [process["kept"] for process in pair]
    assert sum(kept) == total
    assert max(kept) <= 0.6 * total


def test_a_split_state_is_known_as_one_that_no_process_can_tell_alone(pair):
    """After an error, where one process may have failed alone, nobody asks for it."""
    assert pair[0]["together"] == pair[1]["together"] == [False, True]


def test_an_optimizer_that_looks_at_all_gradients_is_not_split(pair):
    """LAMB clips by the norm of all, of which a process steps but a share."""
    assert pair[0]["refused"] == "Lamb looks at all gradients: its state cannot be split"


def test_a_run_of_two_goes_on_from_its_checkpoint_to_the_bit(pair):
    assert pair[0]["resumed"] == pair[0]["zero"]


def test_a_checkpoint_holds_the_whole_state_and_one_process_goes_on_from_it(pair, folder):
    state = load_any(str(folder / "zero" / "epoch_2"))["optimizer"]
    model = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 4), nn.Linear(4, 2))
    assert set(state["state"]) == {name for name, _ in model.named_parameters()}
    rules = {"custom_keys": {"0.": {"lr_mult": 0.5}}}
    for kind in (ZERO, {"type": "AdamW", "lr": 0.1}):
        wrapper = build_optim_wrapper(model, {"optimizer": kind, "paramwise_cfg": rules})
        wrapper.load_state_dict(state)
        average = wrapper.optimizer.state[model[0].weight]["exp_avg"]
        assert torch.equal(average, state["state"]["0.weight"]["exp_avg"])


def trained(kind: dict) -> list[torch.Tensor]:
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    wrapper = build_optim_wrapper(model, {"optimizer": kind})
    for _ in range(3):
        wrapper.optimizer.param_groups[0]["lr"] *= 0.5
        wrapper.update_params(model(torch.ones(1, 3)).square().sum())
    return list(model.parameters())


def test_one_process_is_the_plain_optimizer():
    pairs = zip(trained(ZERO), trained({"type": "AdamW", "lr": 0.1}), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_a_group_added_later_is_stepped_too():
    a, b = nn.Parameter(torch.ones(1)), nn.Parameter(torch.ones(1))
    sgd = ZeroRedundancyOptimizer([a], "SGD", lr=0.5)
    sgd.add_param_group({"params": [b], "lr": 0.25})
    (a + b).sum().backward()
    sgd.step()
    assert (a.item(), b.item()) == (0.5, 0.75)


def test_an_option_that_the_optimizer_has_not_is_named():
    with pytest.raises(TypeError, match=r"AdamW takes no argument 'beta'; did you mean 'betas'"):
        build_optim_wrapper(nn.Linear(1, 1), {"optimizer": {**ZERO, "beta": (0.9, 0.99)}})


def test_it_steps_under_a_loss_scale_and_drops_an_overflow():
    w = nn.Parameter(torch.ones(2))
    zero = ZeroRedundancyOptimizer([w], "SGD", lr=0.5)
    wrapper = AmpOptimWrapper(dtype="float16", optimizer=zero, clip_grad={"max_norm": 100.0})
    wrapper.update_params((w * float("inf")).sum())
    assert (w.tolist(), wrapper.last_step_skipped) == ([1.0, 1.0], True)
    wrapper.update_params(w.sum())
    assert w.tolist() == [0.5, 0.5]
