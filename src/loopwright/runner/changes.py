"""What a resumed run does about a config that is not the checkpoint's any more."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch

from loopwright.build.policies import on_resume
from loopwright.config import Config, ConfigError

_SILENT = ("resume", "load_from", "work_dir", "launcher", "log_level", "on_resume", "faults")
_SCHEDULE = ("param_scheduler", "train_cfg.max_", "optim_wrapper.optimizer.lr", "auto_scale_lr")


def differences(before: Any, now: Any, key: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Each place where two configs differ: dotted key, value before, value now.

    >>> list(differences({"a": {"b": 1}, "c": [1]}, {"a": {"b": 2}, "c": [1]}))
    [('a.b', 1, 2)]
    """
    if isinstance(before, dict) and isinstance(now, dict):
        for name in [*before, *(k for k in now if k not in before)]:
            inner = f"{key}.{name}" if key else str(name)
            yield from differences(before.get(name, ABSENT), now.get(name, ABSENT), inner)
    elif _list(before) and _list(now) and len(before) == len(now):
        for index, pair in enumerate(zip(before, now, strict=True)):
            yield from differences(*pair, f"{key}.{index}")
    elif before != now:
        yield key, before, now


class _Absent:
    def __repr__(self) -> str:
        return "(not there)"


ABSENT = _Absent()


def _list(value: Any) -> bool:
    return isinstance(value, list | tuple)


def look_at(runner: Any, meta: dict[str, Any] | None) -> None:
    """Say what changed since the checkpoint; ConfigError where the policy is to refuse it."""
    policy = on_resume(runner.spec.on_resume)
    if not meta:
        return
    _machine(runner, meta)
    changed = []
    with contextlib.suppress(ConfigError, SyntaxError):
        before = Config.fromstring(str(meta.get("cfg", "")), ".py")
        now = Config.fromstring(runner.cfg_text, ".py")
        changed = [c for c in differences(dict(before), dict(now)) if _matters(c[0])]
    if not changed:
        return
    lines = [f"{key}: {before!r} -> {now!r}" for key, before, now in changed]
    runner.logger.warning("the config changed since the checkpoint:\n  " + "\n  ".join(lines))
    schedule = [line for line in lines if line.startswith(_SCHEDULE)]
    if schedule and policy["schedule"] == "refuse":
        raise ConfigError(_refusal("schedule", schedule))
    if schedule:
        runner.logger.warning(_told(policy["schedule"]))


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


def _global_batch(state: dict[str, Any], default: dict[str, Any]) -> int:
    size, world = (state.get(k, default.get(k)) or 1 for k in ("batch_size", "world_size"))
    return int(size) * int(world)


def _follow(runner: Any, loader: Any, *, rescale: bool) -> None:
    """Counters follow the samples seen; gradients of other batches are dropped."""
    progress, place = runner.progress, loader.state_dict()
    before = progress.iter
    progress.batch = place["batch"]
    if runner.train_loop.unit == "epoch" and rescale:
        progress.iter = progress.epoch * len(loader) + progress.batch
    runner.data_start = (progress.iter, place["epoch"], place["batch"])
    runner.optim_wrapper.zero_grad()
    runner.logger.warning(
        f"batches are others than the checkpoint's: going on at epoch {place['epoch']}, batch "
        f"{place['batch']}, iteration {progress.iter} (was {before})"
    )
