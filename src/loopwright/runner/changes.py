"""What a resumed run does about a config that is not the checkpoint's any more."""

from __future__ import annotations

import contextlib
from typing import Any

import torch

from loopwright.build.policies import on_resume
from loopwright.config import Config, ConfigDict, ConfigError
from loopwright.config.diff import differences

_SILENT = ("resume", "load_from", "work_dir", "launcher", "log_level", "on_resume", "faults")
_SCHEDULE = ("param_scheduler", "train_cfg.max_", "optim_wrapper.optimizer.lr", "auto_scale_lr")


def changes(before: ConfigDict, now: ConfigDict) -> list[str]:
    """A line for each value that is another now; where a run lies and what it says is no change.

    >>> changes(ConfigDict(lr=0.1, work_dir="a"), ConfigDict(lr=0.2, work_dir="b", seed=0))
    ['lr: 0.1 -> 0.2', 'seed: — -> 0']
    """
    found = [d for d in differences(before, now) if d.left != d.right]
    return [f"{d.path}: {d.left!r} -> {d.right!r}" for d in found if _matters(d.path)]


def look_at(runner: Any, meta: dict[str, Any] | None) -> list[str]:
    """Say what changed since the checkpoint, a line each; ConfigError where it is refused."""
    policy = on_resume(runner.spec.on_resume)
    lines: list[str] = []
    if not meta:
        return lines
    _machine(runner, meta)
    with contextlib.suppress(ConfigError, SyntaxError):
        before = Config.fromstring(str(meta.get("cfg", "")), ".py")
        now = Config.fromstring(runner.cfg_text, ".py")
        lines = changes(before._cfg_dict, now._cfg_dict)
    if not lines:
        return lines
    runner.logger.warning("the config changed since the checkpoint:\n  " + "\n  ".join(lines))
    schedule = [line for line in lines if line.startswith(_SCHEDULE)]
    if schedule and policy["schedule"] == "refuse":
        raise ConfigError(_refusal("schedule", schedule))
    if schedule:
        runner.logger.warning(_told(policy["schedule"]))
    return lines


def _matters(key: str) -> bool:
    return key.split(".")[0] not in _SILENT


def _told(policy: str) -> str:
    if policy == "keep":
        return "on_resume.schedule='keep': the saved schedules go on, the config's are not used"
    return (
        "on_resume.schedule='rescale': schedules follow the config from the saved values on; "
        "the learning rate itself is the saved one"
    )


def _refusal(key: str, lines: list[str]) -> str:
    said = "\n  ".join(lines)
    return f"on_resume.{key}='refuse', but the checkpoint was made with other settings:\n  {said}"


def _machine(runner: Any, meta: dict[str, Any]) -> None:
    for name, now in machine().items():
        before = meta.get(name, now)
        if before != now:
            runner.logger.warning(
                f"{name} was {before!r}, is {now!r}: equal bits are not guaranteed"
            )


def machine() -> dict[str, Any]:
    """What bits depend on beside the config: torch's version and the number of threads."""
    return {"torch": str(torch.__version__), "threads": torch.get_num_threads()}


def load_position(runner: Any, state: dict[str, Any]) -> None:
    """Put the loader where the checkpoint was, by policy where data or batches are others now."""
    policy, loader = on_resume(runner.spec.on_resume), runner.train_dataloader
    now = loader.state_dict()
    before, size = _global_batch(state, now), _global_batch(now, now)
    resized = before != size
    if resized and policy["batch_size"] == "refuse":
        raise ConfigError(_refusal("batch_size", [f"samples an iteration: {before} -> {size}"]))
    loader.load_state_dict(state, allow_change=policy["dataset"] != "refuse")
    other = state.get("dataset") not in (None, now.get("dataset"))
    if resized or other:
        _follow(runner, loader, rescale=policy["batch_size"] == "rescale")
    else:
        runner.data_start = _place(runner, loader)


def _global_batch(state: dict[str, Any], default: dict[str, Any]) -> int:
    size, world = (state.get(k, default.get(k)) or 1 for k in ("batch_size", "world_size"))
    return int(size) * int(world)


def _follow(runner: Any, loader: Any, *, rescale: bool) -> None:
    """Counters follow the samples seen; gradients of other batches are dropped."""
    progress, place = runner.progress, loader.state_dict()
    before = progress.iter
    progress.batch = place["batch"]
    if getattr(runner.train_loop, "unit", "epoch") == "epoch" and rescale:
        progress.iter = progress.epoch * len(loader) + progress.batch
    runner.data_start = _place(runner, loader)
    runner.optim_wrapper.zero_grad()
    runner.logger.warning(
        f"batches are others than the checkpoint's: going on at epoch {place['epoch']}, batch "
        f"{place['batch']}, iteration {progress.iter} (was {before})"
    )


def _place(runner: Any, loader: Any) -> tuple[int, int, int]:
    """The iteration and where the loader is then; its length may be unknown, or another once."""
    place = loader.state_dict()
    return runner.progress.iter, place["epoch"], place["batch"]
