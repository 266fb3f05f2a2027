"""The settings of a run: launcher, resuming, compiling, devices, what is logged where."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from typing import Any

from loopwright.build.policies import faults, on_resume
from loopwright.build.spec import TYPES
from loopwright.config import ConfigError
from loopwright.core.nearest import did_you_mean
from loopwright.model.compile_options import checked as checked_compile
from loopwright.model.prints import checked_expected
from loopwright.plan.finding import Finding, Node
from loopwright.plan.making import located
from loopwright.plan.names import Names
from loopwright.plan.signature import wrong_type
from loopwright.plan.structure import check_typed, nearest_file, unknown_keys
from loopwright.registry import LOG_PROCESSORS, MODEL_WRAPPERS, MODELS, VISBACKENDS, VISUALIZERS

LAUNCHERS = ("none", "pytorch", "slurm", "mpi")
SYNC_BN = ("torch",)
START_METHODS = ("fork", "spawn", "forkserver")
BACKENDS = ("nccl", "gloo", "mpi", "ucc", "xccl", "hccl", "cncl", "mccl")
INNER = {
    "mp_cfg": ("mp_start_method", "opencv_num_threads"),
    "dist_cfg": ("backend", "timeout", "init_backend", "init_method", "world_size", "rank"),
}


def check_settings(root: Node, names: Names) -> Iterator[Finding]:
    """Every setting that a run would refuse when it starts, or pass over."""
    yield from _choice(root, "launcher", LAUNCHERS)
    yield from _choice(root, "sync_bn", SYNC_BN)
    yield from _level(root)
    yield from _resume(root)
    yield from _environment(root)
    yield from _seed(root)
    yield from _refusals(root, "compile", checked_compile)
    yield from _refusals(root, "on_resume", on_resume)
    yield from _refusals(root, "faults", faults)
    yield from _refusals(root, "expect_init", checked_expected)
    yield from _typed_parts(root, names)


def _choice(node: Node, key: str, choices: tuple[str, ...]) -> Iterator[Finding]:
    value = node.value.get(key)
    if value is None or value in choices:
        return
    hint = did_you_mean(value, choices)
    yield node.error(f"must be one of {', '.join(choices)}, got {value!r}{hint}", key)


def _level(root: Node) -> Iterator[Finding]:
    level = root.value.get("log_level")
    if isinstance(level, str) and level.upper() not in logging.getLevelNamesMapping():
        yield from _choice(root, "log_level", tuple(logging.getLevelNamesMapping()))


def _resume(root: Node) -> Iterator[Finding]:
    """A path to go on from must be there; a word is no path."""
    value = root.value.get("resume")
    if not isinstance(value, str) or "://" in value or os.path.exists(os.path.expanduser(value)):
        return
    meant = "resume=True goes on from the newest checkpoint of the run folder"
    word = value.lower() in ("auto", "true", "yes", "latest", "last")
    hint = f"; {meant}" if word else nearest_file(value)
    yield root.error(f"must be True, False or a checkpoint; {value!r} is not there{hint}", "resume")


def _environment(root: Node) -> Iterator[Finding]:
    if not isinstance(root.value.get("env_cfg"), dict):
        return
    node = root.child("env_cfg")
    for key, known in INNER.items():
        if node.value.get(key) is not None:
            yield from wrong_type(node, key, dict)
        if isinstance(node.value.get(key), dict):
            cutoff = 0.7 if key == "dist_cfg" else 0.0  # more goes to torch as it is
            yield from unknown_keys(node.child(key), known, cutoff=cutoff)
    if isinstance(node.value.get("mp_cfg"), dict):
        yield from _choice(node.child("mp_cfg"), "mp_start_method", START_METHODS)
    dist = node.value.get("dist_cfg")
    backend = dist.get("backend") if isinstance(dist, dict) else None
    if isinstance(backend, str) and backend not in BACKENDS:
        near = did_you_mean(backend, BACKENDS)
        if near:
            yield node.child("dist_cfg").error(f"there is no backend {backend!r}{near}", "backend")


def _seed(root: Node) -> Iterator[Finding]:
    section = root.value.get("randomness")
    seed = section.get("seed") if isinstance(section, dict) else None
    if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int)):
        yield root.child("randomness").error(
            f"must be a whole number or None, got {seed!r}", "seed"
        )


def _refusals(root: Node, key: str, check: Callable[[Any], Any]) -> Iterator[Finding]:
    """What the section's own check says, at the key that it names."""
    value = root.value.get(key)
    if value is None or (key in TYPES and not isinstance(value, TYPES[key])):
        return  # its type is told elsewhere
    try:
        check(value)
    except (ValueError, TypeError, ConfigError) as error:
        yield located(root, key, str(error), "error")


def _typed_parts(root: Node, names: Names) -> Iterator[Finding]:
    """Parts that are built by name beside the model and the data."""
    for key, registry, default, given, optional in (
        ("visualizer", VISUALIZERS, "Visualizer", (), ("name", "save_dir")),
        ("log_processor", LOG_PROCESSORS, "LogProcessor", (), ()),
        ("model_wrapper_cfg", MODEL_WRAPPERS, "MMDistributedDataParallel", ("module",), ()),
        ("data_preprocessor", MODELS, None, (), ()),
    ):
        value = root.value.get(key)
        if isinstance(value, dict) and (default or "type" in value):  # else the model chooses
            node = root.child(key)
            yield from check_typed(
                node,
                registry,
                names,
                given=given,
                optional=optional,
                default=default,
                trial=tuple if key == "log_processor" else None,
            )
    if isinstance(root.value.get("visualizer"), dict):
        yield from _backends(root.child("visualizer"), names)


def _backends(visualizer: Node, names: Names) -> Iterator[Finding]:
    """One backend or several, each a dict or a name."""
    if visualizer.value.get("vis_backends") is None:
        return
    node = visualizer.child("vis_backends")
    for backend in node.children() if isinstance(node.value, list | tuple) else [node]:
        one = Node({"type": backend.value}, backend.path, backend.inherited)
        named = one if isinstance(backend.value, str) else backend
        if isinstance(named.value, dict):
            own = tuple(key for key in named.value if key != "name")  # which its owner takes
            yield from check_typed(named, VISBACKENDS, names, optional=("save_dir",), only=own)
