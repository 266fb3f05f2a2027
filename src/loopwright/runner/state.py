"""The state of a run: everything that the next iteration depends on, as plain data."""

from __future__ import annotations

from typing import Any

from torch import nn

from loopwright.build.policies import on_resume
from loopwright.dist import all_gather
from loopwright.model import is_sharded, unwrap
from loopwright.optim.resume import resume_schedulers
from loopwright.runner.changes import load_position
from loopwright.runner.sharding import spread


def pack(
    runner: Any, *, finished: dict[str, int], optimizer: bool, schedulers: bool
) -> dict[str, Any]:
    """The run's state under MMEngine's keys and our own; ``finished`` are the counters to resume.

    Hooks and user objects take part through ``state_dict``. Randomness is not in it: what is
    drawn follows from seed and counters.
    """
    state: dict[str, Any] = {
        "state_dict": unwrap(runner.model).state_dict(),
        "progress": finished,
        "message_hub": runner.message_hub.state_dict(),
        "storage": runner.storage.state_dict(),
        "writers": runner.writers.state_dict(),
        "hooks": _hook_states(runner),
        "left_out": sorted(runner.left_out),
        "stopping": _own_stop(runner.requests),
        "data": runner.train_dataloader.state_dict() if runner.has_training else None,
    }
    if optimizer:
        state["optimizer"] = runner.optim_wrapper.state_dict()
        state["gradients"] = _gradients(runner)
    if schedulers:
        state["param_schedulers"] = _scheduler_states(runner.param_schedulers)
    return state


def unpack(runner: Any, state: dict[str, Any]) -> None:
    """Put a packed state back into a run.

    The schedules are built first, for making them moves the learning rate that is then restored.
    """
    schedulers = runner.param_schedulers if "param_schedulers" in state else []
    runner.load_model_state(state["state_dict"])
    runner.progress.load_state_dict(state["progress"])
    if "optimizer" in state:
        saved = state["optimizer"]
        sharded = is_sharded(runner.model)
        runner.optim_wrapper.load_state_dict(spread(saved, runner.model) if sharded else saved)
        _put_gradients(runner, state.get("gradients") or {})
    if "param_schedulers" in state:
        _load_schedulers(runner, schedulers, state["param_schedulers"])
    runner.message_hub.load_state_dict(state["message_hub"])
    runner.storage.load_state_dict(state["storage"])
    runner.writers.load_state_dict(state["writers"])
    _load_hooks(runner, state["hooks"])
    runner.left_out |= set(state.get("left_out", ()))
    if state.get("data") is not None:
        load_position(runner, state["data"])


def _own_stop(wishes: Any) -> str | None:
    """Why the run is to end, if it is; a halt ends the process alone, the run goes on later."""
    return wishes.stopping if wishes.stopping != wishes.halting else None


def _hook_states(runner: Any) -> dict[str, Any]:
    """State by class name and number, so that two hooks of one class keep theirs apart."""
    return {name: hook.state_dict() for name, hook in _named(runner) if hasattr(hook, "state_dict")}


def _load_hooks(runner: Any, states: dict[str, Any]) -> None:
    for name, hook in _named(runner):
        if name in states and hasattr(hook, "load_state_dict"):
            hook.load_state_dict(states[name])
    gone = set(states) - {name for name, _ in _named(runner)}
    for name in sorted(gone):
        runner.logger.warning(f"the checkpoint holds state of hook {name}, which this run lacks")


def _named(runner: Any) -> list[tuple[str, Any]]:
    seen: dict[str, int] = {}
    named = []
    for hook in runner.hooks:
        kind = type(hook).__name__
        seen[kind] = seen.get(kind, 0) + 1
        named.append((f"{kind}#{seen[kind]}", hook))
    return named


def _gradients(runner: Any) -> dict[str, Any]:
    """Gradients that are still to be used, by parameter name; empty between windows.

    Inside a window every rank has its own, so each name holds those of all ranks in order. Of
    several optimizers one may leave gradients in the parameters of another at any time.
    """
    wrapper = runner.optim_wrapper
    if not in_window(wrapper) and not hasattr(wrapper, "optim_wrappers"):
        return {}
    if is_sharded(runner.model):
        return {}  # FSDP keeps the gradients of a window where nobody can reach them
    named = unwrap(runner.model).named_parameters()
    return {name: all_gather(p.grad) for name, p in named if p.grad is not None}


def in_window(wrapper: Any) -> bool:
    """Whether gradients are being accumulated and belong to the state."""
    return getattr(wrapper, "inner_count", 0) > 0 and not wrapper.should_update()


def _put_gradients(runner: Any, gradients: dict[str, Any]) -> None:
    """Each rank's own gradients back; another number of ranks shares their mean."""
    model: nn.Module = unwrap(runner.model)
    for name, parameter in model.named_parameters():
        if name in gradients:
            of_ranks = gradients[name]
            same = len(of_ranks) == runner.world_size
            own = of_ranks[runner.rank] if same else sum(of_ranks) / len(of_ranks)
            parameter.grad = own.to(parameter.device, parameter.dtype)


def _scheduler_states(schedulers: Any) -> Any:
    if isinstance(schedulers, dict):
        return {name: [s.state_dict() for s in each] for name, each in schedulers.items()}
    return [s.state_dict() for s in schedulers]


def _load_schedulers(runner: Any, schedulers: Any, states: Any) -> None:
    """Saved schedules go on; one the config has more or changed does what the policy says."""
    if isinstance(schedulers, dict):
        for name, each in schedulers.items():
            _load_schedulers(runner, each, states.get(name, []))
        return
    keep = on_resume(runner.spec.on_resume)["schedule"] == "keep"
    resume_schedulers(
        schedulers,
        states,
        iter=runner.iter,
        epoch=runner.epoch,
        changed="keep" if keep else "continue",
    )
