"""Parameter groups as rules: what `paramwise_cfg` says of each parameter, and by which rule."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from typing import Any, NamedTuple

from torch import Tensor, nn

from loopwright.optim.options import MULTIPLIERS

NORMS: tuple[type[nn.Module], ...] = (
    nn.modules.batchnorm._BatchNorm,
    nn.modules.instancenorm._InstanceNorm,
    nn.GroupNorm,
    nn.LayerNorm,
    nn.RMSNorm,
)

_USED_UP = ("lr_mult", "decay_mult")
_NOT_OPTIONS = ("params", "param_names")


class Decision(NamedTuple):
    """What became of one parameter: its options, and the rule that gave them."""

    name: str
    rule: str
    options: dict[str, Any]


class Place(NamedTuple):
    """What the rules look at: a parameter, what it is called, and the module that owns it."""

    name: str
    leaf: str
    param: Tensor
    module: nn.Module
    in_dcn: bool


@dataclass(frozen=True, slots=True)
class Base:
    """The optimizer's own lr and weight decay (None where it names none)."""

    lr: float | None
    weight_decay: float | None


def sorted_keys(custom_keys: Iterable[str]) -> list[str]:
    """Custom keys in the order in which they are tried: longest first, then alphabetical."""
    return sorted(sorted(custom_keys), key=len, reverse=True)


def decide(place: Place, cfg: dict[str, Any], keys: Sequence[str], base: Base) -> Decision:
    """The options of one parameter: the first custom key in its name, else the general rules."""
    dotted = place.name if "." in place.name else f".{place.name}"
    for key in keys:
        if key in dotted:
            options = _custom(cfg["custom_keys"][key], base)
            return Decision(place.name, f"custom_keys[{key!r}]", options)
    return _general(place, cfg, base)


def _custom(given: dict[str, Any], base: Base) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if base.lr is not None:
        options["lr"] = base.lr * given.get("lr_mult", 1.0)
    if base.weight_decay is not None:
        options["weight_decay"] = base.weight_decay * given.get("decay_mult", 1.0)
    return options | {k: v for k, v in given.items() if k not in _USED_UP}


def _general(place: Place, cfg: dict[str, Any], base: Base) -> Decision:
    kind: Any = type(place.module)
    norm = _is_norm(kind)
    options: dict[str, Any] = {}
    rules = []
    if (rule := _lr_rule(place, cfg, norm)) and base.lr is not None:
        options["lr"] = base.lr * cfg[rule]
        rules.append(rule)
    if (rule := _decay_rule(place, cfg, norm)) and base.weight_decay is not None:
        options["weight_decay"] = base.weight_decay * cfg[rule]
        rules.append(rule)
    return Decision(place.name, " and ".join(rules) or "the optimizer's own", options)


@cache
def _is_norm(kind: Hashable) -> bool:
    return isinstance(kind, type) and issubclass(kind, NORMS)


def _lr_rule(place: Place, cfg: dict[str, Any], norm: bool) -> str | None:
    if (
        cfg.get("dcn_offset_lr_mult") is not None
        and place.in_dcn
        and "conv_offset" in place.name.rpartition(".")[0]
        and isinstance(place.module, nn.Conv2d)
    ):
        return "dcn_offset_lr_mult"
    is_bias = place.leaf == "bias" and not (norm or place.in_dcn)
    return "bias_lr_mult" if is_bias and cfg.get("bias_lr_mult") is not None else None


def _decay_rule(place: Place, cfg: dict[str, Any], norm: bool) -> str | None:
    """The first rule that fits, in MMEngine's order: norm, bias, depthwise, one-dimensional."""
    if norm and cfg.get("norm_decay_mult") is not None:
        return "norm_decay_mult"
    if place.leaf == "bias" and not place.in_dcn and cfg.get("bias_decay_mult") is not None:
        return "bias_decay_mult"
    if cfg.get("dwconv_decay_mult") is not None and depthwise(place.module):
        return "dwconv_decay_mult"
    flat = place.param.ndim == 1 and not place.in_dcn
    return "flat_decay_mult" if flat and cfg.get("flat_decay_mult") is not None else None


def depthwise(module: nn.Module) -> bool:
    """Whether a module is a depthwise convolution, as the rules mean it (`Conv2d` alone)."""
    return isinstance(module, nn.Conv2d) and module.in_channels == module.groups


def merge(groups: Iterable[dict[str, Any]], defaults: dict[str, Any]) -> list[dict[str, Any]]:
    """Groups of one parameter each into as few as their options allow, in order of appearance.

    An option that equals the optimizer's default is the default.

    >>> import torch
    >>> a, b, c = (torch.zeros(1) for _ in "abc")
    >>> merged = merge([{"params": [a], "lr": 1.0}, {"params": [b], "lr": 2.0}, {"params": [c]}],
    ...                {"lr": 1.0})
    >>> [(g["lr"], len(g["params"])) for g in merged]
    [(1.0, 2), (2.0, 1)]
    """
    merged: dict[Any, dict[str, Any]] = {}
    as_written: dict[Any, dict[str, Any]] = {}
    for group in groups:
        written = tuple([(k, _hashable(v)) for k, v in group.items() if k not in _NOT_OPTIONS])
        into = as_written.get(written)
        if into is None:
            options = defaults | {k: group[k] for k, _ in written}
            key = tuple(sorted((k, _hashable(v)) for k, v in options.items()))
            into = merged.setdefault(key, {"params": [], "param_names": [], **options})
            as_written[written] = into
        params = group["params"]
        into["params"].extend([params] if isinstance(params, Tensor) else params)
        into["param_names"].extend(group.get("param_names", ()))
    return list(merged.values())


def _hashable(value: Any) -> Any:
    if type(value) is float:
        return value
    return repr(value) if isinstance(value, (list, dict, tuple, Tensor)) else value


def named_parameters(model: nn.Module) -> dict[int, str]:
    """The name of every parameter by its id; the first name where it has several."""
    names: dict[int, str] = {}
    _collect(model, "", names, set())
    return names


def _collect(module: nn.Module, prefix: str, names: dict[int, str], seen: set[int]) -> None:
    """`named_parameters` of torch in one pass, which takes a third of the time."""
    seen.add(id(module))
    for leaf, param in module._parameters.items():
        if param is not None:
            names.setdefault(id(param), prefix + leaf)
    for name, child in module._modules.items():
        if child is not None and id(child) not in seen:
            _collect(child, f"{prefix}{name}.", names, seen)


def places(module: nn.Module, prefix: str, in_dcn: bool) -> Iterator[Place]:
    """The parameters that a module holds itself, without its children's."""
    for leaf, param in module._parameters.items():
        if param is not None:
            name = f"{prefix}.{leaf}" if prefix else leaf
            yield Place(name, leaf, param, module, in_dcn)


def unmatched(
    cfg: dict[str, Any], decisions: Sequence[Decision], names: Sequence[str]
) -> list[tuple[str, tuple[str, ...]]]:
    """A message for each rule of a `paramwise_cfg` that decided nothing, and the path to it."""
    said = {decision.rule for decision in decisions}
    rules = {rule for some in said for rule in some.split(" and ")}
    findings: list[tuple[str, tuple[str, ...]]] = []
    for key in cfg.get("custom_keys") or {}:
        if f"custom_keys[{key!r}]" not in rules:
            message = f"paramwise_cfg.custom_keys[{key!r}] {_why_nothing(key, names)}"
            findings.append((message, ("custom_keys", key)))
    for rule in MULTIPLIERS:
        if cfg.get(rule) is not None and rule not in rules:
            findings.append((f"paramwise_cfg.{rule} decides nothing in this model", (rule,)))
    return findings


def _why_nothing(key: str, names: Sequence[str]) -> str:
    held = [name for name in names if key in f".{name}"]
    if held:
        return f"decides nothing: {held[0]!r} and its like are frozen or decided by longer keys"
    parts = {part for name in names for part in (name, *name.split("."), name.rpartition(".")[0])}
    near = get_close_matches(key.strip("."), sorted(parts), n=3, cutoff=0.5)
    if not near:
        near = get_close_matches(key.strip("."), list(names), n=3, cutoff=0.0)
    return f"is in no parameter's name; the nearest are {', '.join(near)}"
