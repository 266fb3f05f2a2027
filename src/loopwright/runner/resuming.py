"""Reading a run's checkpoints: which one to resume, and putting its state back."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

from loopwright.build.policies import faults
from loopwright.checkpoint import Broken, CheckpointError, Store, load_any, load_weights
from loopwright.checkpoint.sealed import looks_sealed
from loopwright.dist import broadcast_object
from loopwright.files import not_ours_alone
from loopwright.model import unwrap
from loopwright.runner.changes import look_at
from loopwright.runner.saving import stores_of
from loopwright.runner.state import unpack

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
    for store in stores_of(runner):
        folder, here = store.place.path("."), store is runner.store
        logs = [n for n in _OF_A_RUN if here and os.path.exists(f"{runner.work_dir}/{n}")]
        left = [*store.names(), *logs]
        if left and "://" in str(folder):
            runner.logger.warning(f"{folder} holds checkpoints of an earlier run: {left[-1]}")
        elif left:
            _move(runner, os.path.abspath(folder), left)


def _move(runner: Any, folder: str, names: list[str]) -> None:
    numbers = (
        int(n[8:]) for n in os.listdir(folder) if n.startswith("earlier_") and n[8:].isdigit()
    )
    target = os.path.join(folder, f"earlier_{max(numbers, default=0) + 1}")
    os.mkdir(target)
    for name in names:
        os.rename(os.path.join(folder, name), os.path.join(target, name))
    runner.logger.warning(
        f"an earlier run's files were moved to {target} (resume=True continues it)"
    )


def resume(runner: Any, filename: str | None, *, optimizer: bool = True) -> None:
    """Continue from a checkpoint, or from the newest whole and good one of this run.

    Nothing found in the folder is a fresh start, and said aloud. A checkpoint of another folder
    begins the logs of this one anew.
    """
    runner.loaded = True
    found = _newest(runner) if filename is None else _from(filename)
    if found is None:
        runner.logger.info(f"nothing to resume in {runner.work_dir}: starting anew")
        set_aside(runner)
        return
    check_owner(runner, found.path)
    state = _of_a_run(found.state, str(found.path))
    if filename is not None and not _of_this_run(runner, str(found.path)):
        set_aside(runner)
        state = {**state, "writers": {}}
        runner.logger.info(f"the log of {runner.work_dir} begins at what {found.path} holds")
    changed = look_at(runner, found.meta)
    if not optimizer:
        state = {k: v for k, v in state.items() if k not in ("optimizer", "gradients")}
    restore(runner, state)
    runner.logger.info(
        f"resumed from {found.path} at iteration {runner.iter}, epoch {runner.epoch}"
    )
    _after_an_error(runner, found.meta)
    _was_to_stop(runner, state.get("stopping"), changed)
    _own_run(runner)


def _of_a_run(state: Any, path: str) -> dict[str, Any]:
    """The state, if it is that of a run; CheckpointError for weights alone."""
    if isinstance(state, dict) and {"state_dict", "progress"} <= set(state):
        return state
    raise CheckpointError(
        f"{path} does not hold the state of a run of ours, so it cannot be resumed; "
        "load_from without resume takes the weights alone"
    )


def _of_this_run(runner: Any, path: str) -> bool:
    """Whether a checkpoint lies where this run saves."""
    home = os.path.dirname(path.rstrip("/"))
    places = [str(store.place.path(".")).removesuffix("/.") for store in stores_of(runner)]
    return any(os.path.abspath(home) == os.path.abspath(place) for place in places)


def _after_an_error(runner: Any, meta: Any) -> None:
    """Say what ended the run that this checkpoint was saved after."""
    error = meta.get("error") if isinstance(meta, dict) else None
    if error is not None:
        runner.logger.warning(f"it was saved after an error, whose iteration comes again: {error}")


def _was_to_stop(runner: Any, reason: str | None, changed: list[str]) -> None:
    """A hook's wish to stop holds after a resume, unless the config has changed since."""
    if reason is None:
        return
    if changed:
        runner.logger.warning(f"the run was to stop ({reason}); with another config it goes on")
        return
    runner.requests.stop(reason)
    runner.logger.warning(f"the run was to stop ({reason}), and does; a changed config goes on")


def _own_run(runner: Any) -> None:
    """Say that a loop of the user's own, unlike ours, makes up for no validation cut short."""
    loop, progress = runner.train_loop, runner.progress
    ours = type(loop).run.__module__.startswith("loopwright.")
    if ours or runner.val_loop is None:
        return
    done = progress.epoch if getattr(loop, "unit", "epoch") == "epoch" else progress.iter
    if done and progress.batch == 0 and progress.validated < done:
        runner.logger.warning(
            f"{type(loop).__name__}.run is the loop's own: if a validation was due after "
            f"{done} and did not end before the resume, it is not made up for"
        )


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
    found, told = None, {}
    if runner.rank == 0:
        try:
            found, place = _newest_here(runner)
            told = {} if found is None else {"name": found.entry.name, "place": place}
        except CheckpointError as error:
            told = {"error": str(error)}
    told = broadcast_object(told)
    if "error" in told:
        raise CheckpointError(told["error"])
    if runner.rank != 0 and told:
        return stores_of(runner)[told["place"]].load(told["name"])
    return found


def _newest_here(runner: Any) -> tuple[Any, int]:
    """The newest whole checkpoint, a good one if there is any, and which store it is in.

    Not good are those with NaN in their weights and those saved after a loss of NaN.
    """
    stores = stores_of(runner)
    tries = [(entry, i) for i, store in enumerate(stores) for entry in store.candidates()]
    tries.sort(key=lambda one: (one[0].good, one[0].step, one[0].sequence), reverse=True)
    for entry, place in tries:
        try:
            found = stores[place].load(entry.name)
        except Broken as error:
            stores[place].set_aside(entry.path, error)
            continue
        for other, _ in tries:
            if not other.good and (other.step, other.sequence) > (entry.step, entry.sequence):
                _name_passed_by(runner, other)
        return found, place
    if tries:
        raise CheckpointError(f"no whole checkpoint in {runner.work_dir}")
    return None, 0


def _name_passed_by(runner: Any, entry: Any) -> None:
    """Say why a newer checkpoint is not taken, and what leads past the batch that spoiled it."""
    error = entry.meta.get("error") if isinstance(entry.meta, dict) else None
    why = f"it was saved after {error}" if error else "its weights hold NaN or infinity"
    runner.logger.warning(
        f"{entry.name} (iteration {entry.step}) is newer but not taken: {why}. The same batches "
        "come again: default_hooks.finite_loss.policy='rollback' leaves the guilty one out; "
        f"to take it all the same: resume='{entry.path}'"
    )


def _from(path: str) -> Any:
    """A checkpoint by its path: ours with what was noted beside it, any other as its state."""
    remote = "://" in path and not path.startswith("file://")
    if remote or os.path.exists(os.path.join(path, "MANIFEST.json")) or _is_sealed(path):
        whole = path.rstrip("/") if remote else os.path.abspath(path)
        folder, _, name = whole.rpartition("/")
        return Store(folder).load(name)
    return Found(load_any(path), {}, path)


def _is_sealed(path: str) -> bool:
    return os.path.isfile(path) and looks_sealed(Path(path))


class Found(NamedTuple):
    """What a file that is no checkpoint of ours holds."""

    state: Any
    meta: Any
    path: str


def check_owner(runner: Any, path: Any) -> None:
    """Others who may write a file may have changed it: ``faults.others_files`` says what then."""
    policy = faults(runner.spec.faults)["others_files"]
    if policy == "ignore" or "://" in str(path):
        return
    found = not_ours_alone(path)
    if found is None:
        return
    if policy == "refuse":
        raise CheckpointError(f"{found} (faults.others_files='refuse')")
    runner.logger.warning(f"{found}; faults.others_files='refuse' stops at this")


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
    runner.loaded_names = frozenset(report.loaded)
    runner.logger.info(f"loaded {filename}: {report}")
    return state


def load_exactly(runner: Any, weights: dict[str, Any]) -> None:
    """Weights of a resumed run: every one must be there and fit."""
    report = load_weights(unwrap(runner.model), weights, strict=True)
    runner.loaded_names = frozenset(report.loaded)
