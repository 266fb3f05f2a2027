"""Writing and reading a run's checkpoints: names, counters, failures and what to resume."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

from loopwright.checkpoint import (
    Broken,
    CheckpointError,
    SaveError,
    Store,
    load_any,
    load_weights,
    nonfinite,
)
from loopwright.dist import any_rank, broadcast_object
from loopwright.model import unwrap
from loopwright.runner.changes import look_at, machine
from loopwright.runner.state import in_window, pack, unpack

PASSING = ("preempt_", "crash_")
_OF_A_RUN = (
    "last_checkpoint",
    "metrics.jsonl",
    "metrics.csv",
    "timing.jsonl",
    "curves.png",
    "vis_image",
    "fingerprint.json",
    "sessions.jsonl",
    "tensorboard",
    "report.html",
)


def open_store(folder: str) -> Store:
    """The store of a folder."""
    return Store(folder)


def save_checkpoint(
    runner: Any,
    name: str,
    *,
    out_dir: str | None = None,
    folder: str | None = None,
    by_epoch: bool | None = True,
    save_optimizer: bool = True,
    save_param_scheduler: bool = True,
    replaces: Sequence[str] = (),
    async_save: bool = False,
    extra_meta: dict[str, Any] | None = None,
) -> bool:
    """Write a checkpoint from inside a hook; then delete the ones it replaces.

    ``by_epoch`` says what is being finished: an epoch, an iteration (False), or nothing (None,
    after a validation). Returns False where the disk refused and the policy is to go on.
    """
    finished = finished_counters(runner, by_epoch)
    store = _store_for(runner, out_dir, async_save) if folder is None else open_store(folder)
    state = pack(
        runner, finished=finished, optimizer=save_optimizer, schedulers=save_param_scheduler
    )
    then = _cleaning(runner, store, name, replaces)
    return _write(runner, store, name, state, finished, then=then, extra_meta=extra_meta)


def _write(
    runner: Any,
    store: Store,
    name: str,
    state: dict[str, Any],
    counters: dict[str, int],
    *,
    then: Callable[[], None],
    extra_meta: dict[str, Any] | None = None,
) -> bool:
    """Say it to the hooks and write; False where the disk refused and the policy is to go on."""
    state["meta"] = {**_meta(runner, counters), **(extra_meta or {})}
    runner.call_hook("before_save_checkpoint", checkpoint=state)
    meta = {**state.pop("meta"), **_goodness(runner, name, state)}
    written = True
    if runner.rank == 0:
        poll_saves(runner, wait=True)
        try:
            store.save(name, state, step=counters["iter"], meta=meta, then=then)
        except SaveError as error:
            _count_failure(runner, name, error)
            written = False
    return not any_rank(not written)


def _goodness(runner: Any, name: str, state: dict[str, Any]) -> dict[str, Any]:
    """``good=False`` for weights with NaN or infinity: nothing older goes on their account."""
    weights = {key: state[key] for key in ("state_dict", "ema_state_dict") if key in state}
    bad = nonfinite(weights)
    if not bad:
        return {}
    runner.logger.error(
        f"checkpoint {name} holds NaN or infinity in {len(bad)} tensors (first: {bad[0]}): "
        "it is not counted as good, and earlier ones stay"
    )
    return {"good": False}


def poll_saves(runner: Any, *, wait: bool = False) -> None:
    """Hear of saves that failed in the background; ``wait`` for the one in flight."""
    opened = vars(runner).get("store")
    for store in (*runner.stores.values(), *([] if opened is None else [opened])):
        try:
            store.wait() if wait else store.poll()
        except SaveError as error:
            _count_failure(runner, "in the background", error)


def finished_counters(runner: Any, by_epoch: bool | None) -> dict[str, int]:
    """The counters to resume with, when the unit being finished counts as finished."""
    counters: dict[str, int] = runner.progress.state_dict()
    if by_epoch:
        return {**counters, "epoch": counters["epoch"] + 1, "batch": 0}
    if by_epoch is False:
        return {**counters, "iter": counters["iter"] + 1, "batch": counters["batch"] + 1}
    unit = getattr(runner.train_loop, "unit", "epoch")
    return {**counters, "validated": counters[unit]}


def save_where_it_is(runner: Any) -> None:
    """Save between two iterations, because a signal or a hook asked for it."""
    reason = runner.requests.saving
    runner.logger.info(f"saving at iteration {runner.iter}: {reason}")
    saved = _save_now(runner, f"preempt_iter_{runner.iter}")
    runner.requests.saved()
    if not saved and runner.requests.halting is not None:
        raise SaveError(f"stopped by {runner.requests.halting}, but no checkpoint could be written")


def save_after_error(runner: Any, error: BaseException) -> None:
    """Save what is whole after an error: the state before the iteration that failed."""
    if not runner.has_training or "train_loop" not in vars(runner) or runner.iter == 0:
        return
    loop = runner.train_loop
    if not loop.core.whole or in_window(runner.optim_wrapper):
        runner.logger.warning("the state is not whole after this error: no checkpoint written")
        return
    _save_now(runner, f"crash_iter_{runner.iter}")


def _save_now(runner: Any, name: str) -> bool:
    poll_saves(runner, wait=True)
    counters = runner.progress.state_dict()
    state = pack(runner, finished=counters, optimizer=True, schedulers=True)
    store = _store_for(runner, None, False)
    return _write(runner, store, name, state, counters, then=_cleaning(runner, store, name, ()))


def _meta(runner: Any, counters: dict[str, int]) -> dict[str, Any]:
    return {
        **counters,
        "seed": runner.seed,
        "experiment_name": runner.experiment_name,
        "cfg": runner.cfg_text,
        "world_size": runner.world_size,
        **machine(),
        "time": runner.timestamp,
        "dataset_meta": getattr(_dataset(runner), "metainfo", None),
    }


def _dataset(runner: Any) -> Any:
    return runner.train_dataloader.dataset if runner.has_training else None


def _store_for(runner: Any, out_dir: str | None, async_save: bool) -> Store:
    """The store of the run folder, or of ``out_dir/<name of the run folder>``.

    One a folder: two would number their saves apart, and one would sweep away what the other is
    writing.
    """
    if out_dir is None:
        store: Store = runner.store
    elif out_dir in runner.stores:
        store = runner.stores[out_dir]
    else:
        folder = f"{out_dir.rstrip('/')}/{os.path.basename(runner.work_dir)}"
        store = runner.stores[out_dir] = open_store(folder)
    if store.async_save != async_save:
        store.wait()
        store.async_save = async_save
    return store


def _superseded(store: Store, name: str) -> list[str]:
    """Checkpoints written because of a signal or an error are of no use after a later one."""
    return [old for old in store.names() if old.startswith(PASSING) and old != name]


def _cleaning(runner: Any, store: Store, name: str, replaces: Sequence[str]) -> Callable[[], None]:
    """What goes once the new checkpoint is committed: those it replaces, and passing ones."""

    def clean() -> None:
        runner.failed_saves = 0
        there = set(store.names())
        for old in (*replaces, *_superseded(store, name)):
            if old not in there:
                continue
            try:
                store.delete(old)
            except CheckpointError as error:
                runner.logger.warning(f"kept: {error}")

    return clean


def _count_failure(runner: Any, name: str, error: SaveError) -> None:
    runner.failed_saves += 1
    limit = int(runner.spec.faults.get("max_failed_saves", 3))
    runner.logger.error(f"checkpoint {name} could not be written: {error}; earlier ones are whole")
    if runner.failed_saves >= limit:
        error.add_note(
            f"{runner.failed_saves} checkpoints in a row failed (faults.max_failed_saves)"
        )
        raise error


# -- reading -------------------------------------------------------------------------------


def load_or_resume(runner: Any) -> None:
    """What ``resume`` and ``load_from`` ask for; done once a runner."""
    if runner.loaded:
        return
    runner.loaded = True
    spec = runner.spec
    if spec.resume:
        given = spec.resume if isinstance(spec.resume, str) else spec.load_from
        resume(runner, given)
        return
    set_aside(runner)
    if spec.load_from is not None:
        load_checkpoint(runner, spec.load_from)


def set_aside(runner: Any) -> None:
    """Move what an earlier run left in the folder into ``earlier_N``: its checkpoints must not be
    taken for this run's, and its log must not be written on.
    """
    if runner.rank != 0 or not runner.has_training:
        return
    folder = runner.work_dir
    left = [*runner.store.names(), *(n for n in _OF_A_RUN if os.path.exists(f"{folder}/{n}"))]
    if not left:
        return
    numbers = (
        int(n[8:]) for n in os.listdir(folder) if n.startswith("earlier_") and n[8:].isdigit()
    )
    target = os.path.join(folder, f"earlier_{max(numbers, default=0) + 1}")
    os.mkdir(target)
    for name in left:
        os.rename(os.path.join(folder, name), os.path.join(target, name))
    runner.logger.warning(
        f"an earlier run's files were moved to {target} (resume=True continues it)"
    )


def resume(runner: Any, filename: str | None, *, optimizer: bool = True) -> None:
    """Continue from a checkpoint, or from the newest whole one of the run folder.

    Nothing found in the folder is a fresh start, and said aloud.
    """
    runner.loaded = True
    if filename is None:
        found = _newest(runner)
        if found is None:
            runner.logger.info(f"nothing to resume in {runner.work_dir}: starting anew")
            set_aside(runner)
            return
        state, meta, path = found.state, found.meta, found.path
    else:
        state, meta, path = _from(filename)
    look_at(runner, meta)
    if not optimizer:
        state = {k: v for k, v in state.items() if k not in ("optimizer", "gradients")}
    restore(runner, state)
    runner.logger.info(f"resumed from {path} at iteration {runner.iter}, epoch {runner.epoch}")


def restore(runner: Any, state: dict[str, Any]) -> None:
    """Put a checkpoint's state into the run, hooks first."""
    runner.resuming = True
    try:
        runner.call_hook("after_load_checkpoint", checkpoint=state)
    finally:
        runner.resuming = False
    if state.get("ema_state_dict") is not None and not _averages(runner):
        state["state_dict"] = state["ema_state_dict"]
        runner.logger.warning("the checkpoint holds an average, but EMAHook is gone: it is dropped")
    unpack(runner, state)


def _averages(runner: Any) -> bool:
    return any(hasattr(hook, "ema_model") for hook in runner.hooks)


def _newest(runner: Any) -> Any:
    """The newest whole checkpoint; the main process chooses, so that all ranks take the same."""
    found = _newest_here(runner) if runner.rank == 0 else None
    name = broadcast_object(None if found is None else found.entry.name)
    if runner.rank != 0 and name is not None:
        return runner.store.load(name)
    return found


def _newest_here(runner: Any) -> Any:
    """The newest whole checkpoint, a good one (without NaN in its weights) if there is any."""
    for entry in reversed(runner.store.entries()):
        if not entry.good:
            continue
        try:
            return runner.store.load(entry.name)
        except Broken:
            break  # the general search names it, sets it aside and goes on
    return runner.store.load() if runner.store.entries() else None


def _from(path: str) -> tuple[dict[str, Any], Any, str]:
    """State and, where it is a folder of ours, what was noted beside it."""
    if os.path.isdir(path) and os.path.exists(os.path.join(path, "MANIFEST.json")):
        folder, name = os.path.split(os.path.abspath(path))
        found = Store(folder).load(name)
        return found.state, found.meta, path
    return load_any(path), {}, path


def load_checkpoint(
    runner: Any,
    filename: str,
    *,
    strict: bool = False,
    revise_keys: Any = ((r"^module\.", ""),),
    map_location: str = "cpu",
) -> dict[str, Any]:
    """Weights alone, from our own or a foreign checkpoint; what did not fit is logged."""
    state = load_any(filename, map_location=map_location)
    runner.call_hook("after_load_checkpoint", checkpoint=state)
    weights = state.get("state_dict", state.get("model", state))
    report = load_weights(unwrap(runner.model), weights, strict=strict, revise_keys=revise_keys)
    runner.logger.info(f"loaded {filename}: {report}")
    return state


def load_exactly(runner: Any, weights: dict[str, Any]) -> None:
    """Weights of a resumed run: every one must be there and fit."""
    load_weights(unwrap(runner.model), weights, strict=True)


def publish(runner: Any, name: str | None, keys: list[str]) -> None:
    """A copy of a checkpoint with only some keys, its name ending in the hash of its content."""
    if name is None:
        return
    runner.store.wait()
    runner.store.publish(name, keys)
