"""Weights against MMEngine 0.10.7's, to the bit: every case of every optim_traj*.json."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from loopwright.optim import build_optim_wrapper, build_param_scheduler

Case = dict[str, Any]

BUILT_ANYWAY: list[tuple[Callable[[Case], bool], str]] = [
    (
        lambda cfg: "lr" not in cfg["optimizer"] and bool(cfg.get("paramwise_cfg")),
        "what multiplies an lr multiplies the default one where the config gives none",
    ),
    (lambda cfg: cfg.get("type") == "AmpOptimWrapper", "mixed precision needs no accelerator"),
]
"""Wrappers whose recorded error of building is none to us, and why."""


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Net(nn.Module):
    """The model of the trajectories."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1 = nn.Linear(4, 5)
        self.ln = nn.LayerNorm(5)
        self.fc2 = nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.ln(torch.tanh(self.fc1(x))))


class Traj:
    """A case with its model, in the dtype and state it starts from."""

    def __init__(self, case: Case, meta: Case) -> None:
        self.case, self.meta, self.dtype = case, meta, getattr(torch, case["dtype"])
        self.model = Net().to(self.dtype)
        self.params = dict(self.model.named_parameters())
        with torch.no_grad():
            for name, param in self.params.items():
                param.copy_(self.tensor(meta["init"][name], name))
            for name in case.get("init_zero", ()):
                self.params[name].zero_()
        for name in case.get("frozen", ()):
            self.params[name].requires_grad_(False)

    def tensor(self, numbers: Any, name: str | None = None) -> Tensor:
        made = torch.tensor(numbers, dtype=self.dtype)
        return made if name is None else made.reshape(self.meta["shapes"][name])

    def build(self) -> Any:
        cfg = copy.deepcopy(self.case["optim_wrapper"])
        if "betas" in cfg["optimizer"]:
            cfg["optimizer"]["betas"] = tuple(cfg["optimizer"]["betas"])
        return build_optim_wrapper(self.model, cfg)

    def assert_weights(self, recorded: dict[str, list[float]]) -> None:
        for name, numbers in recorded.items():
            assert self.params[name].detach().flatten().tolist() == numbers, name


def test_the_trajectory_is_the_recorded_one_to_the_bit(traj_case: tuple[Case, Case]) -> None:
    case, meta = traj_case
    traj = Traj(case, meta)
    if "build_error" in case and any(fits(case["optim_wrapper"]) for fits, _ in BUILT_ANYWAY):
        assert traj.build() is not None
    elif "build_error" in case:
        with pytest.raises((ValueError, TypeError)):
            traj.build()
    elif "recorded_steps" in case:
        replay_gradients(traj)
    else:
        replay_training(traj)


def replay_gradients(traj: Traj) -> None:
    case = traj.case
    wrapper = traj.build()
    recorded = dict(zip(case["recorded_steps"], case["weights"], strict=True))
    for it in range(max(recorded)):
        if case.get("reload_at") == it:
            state = wrapper.state_dict()
            wrapper = traj.build()
            wrapper.load_state_dict(state)
        factor = case.get("lr_factor_at", {}).get(str(it), 1)
        for group in wrapper.optimizer.param_groups:
            group["lr"] *= factor
        for name, param in traj.params.items():
            param.grad = traj.tensor(traj.meta["grads"][it][name], name)
            if it in case.get("grad_zero", ()):
                param.grad.zero_()
            if name in case.get("grad_none", {}).get(str(it), ()):
                param.grad = None
        wrapper.optimizer.step()
        if it + 1 in recorded:
            traj.assert_weights(recorded[it + 1])


def replay_training(traj: Traj) -> None:
    case, data = traj.case, traj.meta["data"]
    wrapper = traj.build()
    if case.get("count_status"):
        wrapper.initialize_count_status(traj.model, **case["count_status"])
    schedulers = build_param_scheduler(
        case.get("param_scheduler"), wrapper, max_iters=case["iters"], epoch_length=case["iters"]
    )
    norms = case.get("grad_norm") or [None] * case["iters"]
    for it in range(len(case["losses"])):
        if "lr" in case:
            assert wrapper.get_lr()["lr"][0] == pytest.approx(case["lr"][it], rel=1e-12)
        target = traj.tensor(data["t"][it])
        loss = ((traj.model(traj.tensor(data["x"][it])) - target) ** 2).mean()
        assert loss.item() == case["losses"][it]
        wrapper.update_params(loss)
        assert wrapper.last_update == bool(case["updated"][it])
        if norms[it] is not None:
            assert wrapper.metrics()["grad_norm"].item() == norms[it]
        if case["weights"][it] is not None:
            traj.assert_weights(case["weights"][it])
        for scheduler in schedulers:
            scheduler.step()
    assert wrapper.inner_count == case["inner_count"]


def test_a_window_past_the_end_of_a_run_without_remainder_is_a_full_one() -> None:
    """MMEngine stops here with an AssertionError; we go on as if the run were longer."""
    weight = nn.Parameter(torch.ones(1))
    cfg = {"optimizer": {"type": "SGD", "lr": 1.0}, "accumulative_counts": 3}
    wrapper = build_optim_wrapper(nn.ParameterList([weight]), cfg)
    wrapper.initialize_count_status(nn.Linear(1, 1), 18, 18)
    wrapper.update_params(weight.sum())
    assert weight.grad is not None
    assert weight.grad.item() == pytest.approx(1 / 3)
