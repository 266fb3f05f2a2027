"""What a run starts from: whether the checkpoint is there, whole, readable, and fits the model."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loopwright.checkpoint.errors import Broken, CheckpointError
from loopwright.plan.finding import Finding, Node


@dataclass(frozen=True, slots=True)
class Start:
    """The checkpoint that a config names: at which key, where, and the state or why there is none.

    ``resumed`` says that all of its weights must fit; ``damaged`` are newer ones that the run will
    pass by.
    """

    key: str
    path: str
    resumed: bool
    state: Any = None
    refusal: str = ""
    damaged: tuple[str, ...] = ()


def start_of(values: dict[str, Any]) -> Start | None:
    """What ``resume`` and ``load_from`` name; None where a run starts anew or nobody can tell yet.

    Headers and manifests are read, no tensor. A checkpoint elsewhere (``s3://…``) is not looked at.
    """
    resume, load_from = values.get("resume"), values.get("load_from")
    if isinstance(resume, str):
        return _read("resume", resume, resumed=True)
    if isinstance(load_from, str) and load_from:
        return _read("load_from", load_from, resumed=bool(resume))
    folder = values.get("work_dir")
    return _newest(folder) if resume is True and isinstance(folder, str) else None


def check_start(root: Node) -> Iterator[Finding]:
    """A checkpoint that cannot be read, is damaged, or is no run's although it is resumed."""
    start = start_of(root.value)
    if start is None:
        folder = root.value.get("work_dir")
        automatic = root.value.get("resume") is True and not root.value.get("load_from")
        if automatic and isinstance(folder, str) and "://" not in folder:
            told = f"there is no checkpoint in {folder}: the run starts anew"
            yield root.note(told, "resume")
        return
    for text in start.damaged:
        yield root.warning(f"{text}; the run sets it aside and takes an older one", start.key)
    if start.refusal:
        yield root.error(start.refusal, start.key)
    elif start.resumed and not _of_a_run(start.state):
        yield root.error(
            f"{start.path} does not hold the state of a run of ours, so it cannot be resumed; "
            "load_from without resume takes the weights alone",
            start.key,
        )


def check_weights(root: Node, model: Any) -> Iterator[Finding]:
    """How the weights of the checkpoint fit a model, which is moved to the meta device."""
    start = start_of(root.value)
    if start is None or start.refusal or (start.resumed and not _of_a_run(start.state)):
        return
    state = start.state
    weights = state.get("state_dict", state.get("model", state)) if type(state) is dict else state
    fit = importlib.import_module("loopwright.plan.weights").fit
    told = fit(model, weights, strict=start.resumed)
    if told is not None:
        level, text = told
        found = f"{start.path}: {text}"
        yield root.error(found, start.key) if level == "error" else root.note(found, start.key)


def _of_a_run(state: Any) -> bool:
    return isinstance(state, dict) and {"state_dict", "progress"} <= set(state)


def _outline(path: str) -> Any:
    return importlib.import_module("loopwright.checkpoint.outline").outline(path)


def _read(key: str, path: str, *, resumed: bool) -> Start | None:
    if path.startswith(("http://", "https://")) and not resumed:
        told = f"{path}: nothing is downloaded unasked; fetch it with its sha256 first"
        return Start(key, path, resumed, refusal=told)
    local = path.removeprefix("file://")
    if "://" in local or not os.path.exists(local):
        return None  # a file that is not there is told elsewhere
    try:
        return Start(key, path, resumed, state=_outline(local))
    except CheckpointError as error:
        return Start(key, path, resumed, refusal=str(error))


def _newest(folder: str) -> Start | None:
    """The checkpoint of a run's folder that a resume takes, as the run chooses it."""
    if "://" in folder or not os.path.isdir(folder):
        return None
    local = importlib.import_module("loopwright.checkpoint.local")
    place = local.LocalPlace(Path(folder), disk=importlib.import_module("loopwright.files").Disk())
    damaged, whole = [], []
    for name, path, manifest in place.scan():
        if isinstance(manifest, Broken):
            damaged.append(str(manifest))
        else:
            good = not isinstance(manifest.meta, dict) or manifest.meta.get("good") is not False
            whole.append((good, manifest.step, manifest.sequence, name, str(path)))
    for *_, path in sorted(whole, reverse=True):
        try:
            state = _outline(path)
        except Broken as error:
            damaged.append(str(error))
            continue
        return Start("resume", path, True, state=state, damaged=tuple(damaged))
    if whole:
        told = f"no whole checkpoint in {folder}: {'; '.join(damaged)}"
        return Start("resume", folder, True, refusal=told)
    return None
