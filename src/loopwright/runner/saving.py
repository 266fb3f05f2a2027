"""Writing a run's checkpoints: names, counters, what goes for them, and saves that fail."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

from loopwright.build.policies import faults
from loopwright.checkpoint import CheckpointError, SaveError, Store, digest, nonfinite
from loopwright.core import salvage
from loopwright.dist import any_rank
from loopwright.model import is_sharded, seen_by_statistics, unwrap
from loopwright.optim.zero import told_together
from loopwright.runner.changes import machine
from loopwright.runner.sharding import gathered
from loopwright.runner.state import in_window, pack

PASSING = ("preempt_", "crash_")


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
    together: bool = True,
) -> bool:
    """Say it to the hooks and write; False where the disk refused and the policy is to go on.

    ``together`` with the other processes, except after an error, which may be this one's alone.
    """
    state["meta"] = {**_meta(runner, counters), **(extra_meta or {})}
    runner.call_hook("before_save_checkpoint", checkpoint=state)
    if is_sharded(runner.model):
        state = gathered(state, keep=runner.rank == 0)
    meta = {**state.pop("meta"), **_goodness(runner, name, state)}
    written = True
    if runner.rank == 0:
        poll_saves(runner, wait=True)
        try:
            store.save(name, state, step=counters["iter"], meta=meta, then=then)
        except SaveError as error:
            _count_failure(runner, error)
            written = False
    return not any_rank(not written) if together else written


def _goodness(runner: Any, name: str, state: dict[str, Any]) -> dict[str, Any]:
    """``good=False`` for weights with NaN or infinity: nothing older goes on their account."""
    weights = {key: state[key] for key in ("state_dict", "ema_state_dict") if key in state}
    buffers = {name for name, _ in unwrap(runner.model).named_buffers()}
    bad = nonfinite(weights, buffers=buffers)
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
            _count_failure(runner, error)


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
    if runner.rank != 0:
        return
    wrapper = runner.optim_wrapper
    found = salvage(
        error,
        whole=runner.train_loop.core.whole,
        in_window=in_window(wrapper),
        scattered=is_sharded(runner.model) or told_together(wrapper),
    )
    if found.against is not None:
        runner.logger.warning(found.against)
        return
    why: dict[str, Any] = {"error": f"{type(error).__name__}: {error}"[:500]}
    if not found.good:
        why["good"] = False
    if runner.train_loop.core.failed_in_step and (left := seen_by_statistics(runner.model)):
        runner.logger.warning(left)
    _save_now(runner, f"crash_iter_{runner.iter}", why)


def _save_now(runner: Any, name: str, why: dict[str, Any] | None = None) -> bool:
    poll_saves(runner, wait=True)
    counters = runner.progress.state_dict()
    state = pack(runner, finished=counters, optimizer=True, schedulers=True)
    store = _store_for(runner, None, False)
    then = _cleaning(runner, store, name, ())
    return _write(
        runner, store, name, state, counters, then=then, extra_meta=why, together=why is None
    )


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
    store = store_in(runner, out_dir)
    if store.async_save != async_save:
        store.wait()
        store.async_save = async_save
    return store


def store_in(runner: Any, out_dir: str | None) -> Store:
    """The store of the run folder, or of the run's folder in ``out_dir``."""
    if out_dir is None:
        store: Store = runner.store
        return store
    if out_dir not in runner.stores:
        folder = f"{out_dir.rstrip('/')}/{os.path.basename(runner.work_dir)}"
        runner.stores[out_dir] = open_store(folder)
    found: Store = runner.stores[out_dir]
    return found


def stores_of(runner: Any) -> list[Store]:
    """Everywhere that this run saves: its folder, and the ``out_dir`` of its hooks."""
    saving = [hook for hook in runner.hooks if hasattr(hook, "best_ckpts")]
    places = {hook.out_dir for hook in saving if hook.out_dir is not None}
    return [runner.store, *(store_in(runner, place) for place in sorted(places))]


def _superseded(store: Store, name: str) -> list[str]:
    """Checkpoints written because of a signal or an error are of no use after a later one."""
    return [old for old in store.names() if old.startswith(PASSING) and old != name]


def _without_passing(runner: Any, store: Store, name: str) -> None:
    """Passing checkpoints lie in the run folder, also where the regular ones go elsewhere."""
    if store is runner.store or not any(e.good for e in store.entries() if e.name == name):
        return
    for old in _superseded(runner.store, name):
        runner.store.place.remove(runner.store.place.path(old))


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
        _without_passing(runner, store, name)

    return clean


def _count_failure(runner: Any, error: SaveError) -> None:
    runner.failed_saves += 1
    limit = faults(runner.spec.faults)["max_failed_saves"]
    runner.logger.error(str(error))
    if runner.failed_saves >= limit:
        error.add_note(
            f"{runner.failed_saves} checkpoints in a row failed (faults.max_failed_saves)"
        )
        raise error


def publish(
    runner: Any, names: Sequence[str], keys: Sequence[str], *, out_dir: str | None = None
) -> list[str]:
    """Copies of checkpoints with only some keys, as plain torch files in a folder ``published``.

    Each name ends in the hash of its content. The folder lies beside the checkpoints, or in the run
    folder where those are remote. Gives the paths.
    """
    store = store_in(runner, out_dir)
    store.wait()
    beside = str(store.place.path("published"))
    target = open_store(f"{runner.work_dir}/published" if "://" in beside else beside)
    made = []
    for name in dict.fromkeys(names):
        found = store.load(name)
        state = {**found.state, "meta": found.meta}
        for key in keys:
            if key not in state:
                told = ", ".join(state)
                runner.logger.warning(f"published_keys: {name} has no {key!r}, but {told}")
        kept = {key: state[key] for key in keys if key in state}
        file = f"{name.removesuffix('.pth')}-{digest(kept)[:8]}.pth"
        made.append(str(target.save(file, kept, step=found.entry.step)))
        runner.logger.info(f"published {made[-1]}")
    return made
