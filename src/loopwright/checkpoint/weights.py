"""Put weights into a model by name, and say readably what did not fit."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from loopwright.checkpoint.errors import WeightsError

WRAPPERS = frozenset({"module", "_orig_mod"})
SHOWN, COMPARED = 8, 40
REVISE = ((r"^module\.", ""),)


@dataclass(frozen=True, slots=True)
class Report:
    """What happened to every name: loaded, missing in the file, unexpected, of another shape.

    ``near`` maps a missing or unexpected name to the most similar one of the other side.
    """

    loaded: tuple[str, ...]
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    shapes: tuple[tuple[str, tuple[int, ...], tuple[int, ...]], ...] = ()
    near: Mapping[str, str] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether everything fitted."""
        return not (self.missing or self.unexpected or self.shapes)

    def __str__(self) -> str:
        lines = [f"{len(self.loaded)} tensors loaded"]
        lines += self._group("missing in the checkpoint", self.missing)
        lines += self._group("unexpected in the checkpoint", self.unexpected)
        if self.shapes:
            lines.append(f"{len(self.shapes)} of another shape:")
            lines += [
                f"  {name}: checkpoint {list(got)}, model {list(wanted)}"
                for name, got, wanted in self.shapes[:SHOWN]
            ]
            lines += _more(len(self.shapes))
        return "\n".join(lines)

    def _group(self, what: str, names: Sequence[str]) -> list[str]:
        """Names under a heading, with their common beginnings counted."""
        if not names:
            return []
        heads = Counter(name.split(".")[0] for name in names)
        parts = ", ".join(f"{head}.* {count}" for head, count in heads.most_common(5))
        lines = [f"{len(names)} {what} ({parts}):"]
        for name in names[:SHOWN]:
            near = f"   (near: {self.near[name]})" if name in self.near else ""
            lines.append(f"  {name}{near}")
        return lines + _more(len(names))


def _more(count: int) -> list[str]:
    return [f"  … and {count - SHOWN} more"] if count > SHOWN else []


def load_weights(
    model_or_state: torch.nn.Module | dict[str, torch.Tensor],
    state_dict: Mapping[str, Any],
    *,
    strict: bool = False,
    revise_keys: Iterable[tuple[str, str]] = REVISE,
    prefix: str = "",
) -> Report:
    """Copy weights into a model (or into the tensors of a state dict) by name; a `Report`.

    Names are first rewritten by ``revise_keys`` (regular expression, replacement), then only those
    beginning with ``prefix`` are taken, without it. Wrappers (``module.``, ``_orig_mod.``) are
    seen through on both sides. `WeightsError` when nothing at all fits, or with ``strict`` when
    anything does not.

    >>> model = torch.nn.Linear(2, 1)
    >>> print(load_weights(model, {"_orig_mod.weight": torch.ones(1, 2), "bais": torch.ones(1)}))
    1 tensors loaded
    1 missing in the checkpoint (bias.* 1):
      bias   (near: bais)
    1 unexpected in the checkpoint (bais.* 1):
      bais   (near: bias)
    """
    source = _select(state_dict, tuple(revise_keys), prefix)
    target: dict[str, Any]
    if isinstance(model_or_state, torch.nn.Module):
        target = model_or_state.state_dict()
    else:
        target = model_or_state
    named = _match(source, list(target))
    shapes = tuple(
        (name, tuple(value.shape), tuple(target[name].shape))
        for name, value in named.items()
        if _differs(value, target.get(name))
    )
    misfits = {name for name, _, _ in shapes}
    fitting = {name: value for name, value in named.items() if name not in misfits}
    if isinstance(model_or_state, torch.nn.Module):
        laid = {name: _laid_like(value, target.get(name)) for name, value in fitting.items()}
        missing, unexpected = _into_module(model_or_state, laid)
    else:
        missing, unexpected = _into_tensors(target, fitting)
    missing = [name for name in missing if name not in misfits and not _is_counter(name)]
    loaded = tuple(name for name in fitting if name in target)
    near = {**_nearest(missing, unexpected), **_nearest(unexpected, missing)}
    report = Report(loaded, tuple(missing), tuple(unexpected), shapes, near)
    _judge(report, strict=strict, empty_target=not target)
    return report


def _select(
    state: Mapping[str, Any], revise: Sequence[tuple[str, str]], prefix: str
) -> dict[str, Any]:
    """Revised names under the prefix; `WeightsError` when nothing is under it."""
    if not isinstance(state, Mapping):
        raise WeightsError(f"weights must be a dict of names, got a {type(state).__name__}")
    names = {}
    for name in state:
        revised = str(name)
        for pattern, replacement in revise:
            revised = re.sub(pattern, replacement, revised)
        names[name] = revised
    head = prefix if not prefix or prefix.endswith(".") else f"{prefix}."
    found = {new[len(head) :]: state[old] for old, new in names.items() if new.startswith(head)}
    if not found and head:
        heads = sorted({new.split(".")[0] for new in names.values()})[:10]
        raise WeightsError(f"no name begins with {head!r}; they begin with {', '.join(heads)}")
    return {name: _tensor(value) for name, value in found.items()}


def _tensor(value: Any) -> Any:
    """Arrays as tensors; anything else as it is (``_extra_state`` may be anything)."""
    return torch.from_numpy(value.copy()) if isinstance(value, np.ndarray) else value


def bare(name: str) -> str:
    """A name without the parts that wrappers add.

    >>> bare("module._orig_mod.head.weight")
    'head.weight'
    """
    return ".".join(part for part in name.split(".") if part not in WRAPPERS)


def _match(source: Mapping[str, Any], target: Sequence[str]) -> dict[str, Any]:
    """Source values under the target's names where they match, exactly or without wrappers."""
    exact = set(target)
    alike = Counter(bare(name) for name in target)
    by_bare = {bare(name): name for name in target if alike[bare(name)] == 1}
    named: dict[str, Any] = {}
    for name, value in source.items():
        named[name if name in exact else by_bare.get(bare(name), name)] = value
    return named


def _differs(value: Any, wanted: Any) -> bool:
    """Two tensors of different shapes (lazy parameters have none yet)."""
    if not isinstance(value, torch.Tensor) or not isinstance(wanted, torch.Tensor):
        return False
    lazy = isinstance(wanted, torch.nn.UninitializedParameter | torch.nn.UninitializedBuffer)
    return not lazy and value.shape != wanted.shape


def _into_module(model: torch.nn.Module, fitting: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Through the module's own loading, so that its hooks take part."""
    try:
        told = model.load_state_dict(dict(fitting), strict=False)
    except RuntimeError as error:
        raise WeightsError(str(error)) from error
    return list(told.missing_keys), list(told.unexpected_keys)


def _laid_like(value: Any, wanted: Any) -> Any:
    """This process's part of a tensor where the model's is split over processes (a DTensor)."""
    if not hasattr(wanted, "device_mesh") or hasattr(value, "device_mesh"):
        return value
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(
        value.to(wanted.device), wanted.device_mesh, wanted.placements, src_data_rank=None
    )


def _into_tensors(
    target: Mapping[str, torch.Tensor], fitting: Mapping[str, Any]
) -> tuple[list[str], list[str]]:
    """Copied value by value."""
    with torch.no_grad():
        for name, value in fitting.items():
            if name in target:
                target[name].copy_(value)
    return [n for n in target if n not in fitting], [n for n in fitting if n not in target]


def _is_counter(name: str) -> bool:
    """Batch counters that old files lack and nothing depends on."""
    return name.rpartition(".")[2] == "num_batches_tracked"


def _nearest(names: Sequence[str], others: Sequence[str]) -> dict[str, str]:
    """The most similar name of the other side, for the names that are shown."""
    some = list(others[: COMPARED * 10])
    found = {name: difflib.get_close_matches(name, some, n=1) for name in names[:SHOWN]}
    return {name: near[0] for name, near in found.items() if near}


def _judge(report: Report, *, strict: bool, empty_target: bool) -> None:
    if not report.loaded and not empty_target:
        raise WeightsError(f"no weight fits this model\n{report}")
    if strict and not report.ok:
        raise WeightsError(f"the weights do not fit this model\n{report}")
