"""Building an object from a config dict, with errors that say where the dict was written."""

from __future__ import annotations

import inspect
from functools import partial
from typing import TYPE_CHECKING, Any

from loopwright.config.provenance import origin_of
from loopwright.core.nearest import did_you_mean
from loopwright.registry.allow import check_target, locate
from loopwright.registry.errors import BuildError, RefusedNameError
from loopwright.registry.scope import ROOT_ALIASES, scope_is
from loopwright.registry.whereabouts import path_of

if TYPE_CHECKING:
    from loopwright.registry.registry import Registry

_NOT_ARGUMENTS = ("type", "_scope_")


def build_from_cfg(
    cfg: Any, registry: Registry, default_args: dict[str, Any] | None = None, **defaults: Any
) -> Any:
    """Build what ``cfg['type']`` names; ``cfg`` wins over the defaults and is never changed.

    Raises UnknownNameError for a name that is not registered, RefusedNameError for a dotted path
    outside the allowed packages, BuildError for arguments that do not fit: all with the config's
    path, file and line where they are known, and the nearest names.
    """
    if not isinstance(cfg, dict):
        raise BuildError(f"a {registry.name} is built from a dict with 'type', got {cfg!r}")
    arguments = {**(default_args or {}), **defaults, **cfg}
    if "type" not in arguments:
        given = ", ".join(map(str, cfg)) or "nothing"
        raise BuildError(f"{_place(cfg)}a {registry.name} needs a 'type', got only {given}")
    with scope_is(arguments.get("_scope_")):
        target = resolve(arguments["type"], registry, cfg)
        keywords = {k: v for k, v in arguments.items() if k not in _NOT_ARGUMENTS}
        optional = {k for k in (*(default_args or {}), *defaults) if k not in cfg}
        return _call(target, keywords, optional, cfg)


def resolve(kind: Any, registry: Registry, cfg: Any = None) -> Any:
    """The class or function that ``type`` means: a name, a class, a function or a deferred name."""
    try:
        if isinstance(kind, str):
            found = registry.get(kind)
            if found is None:
                raise registry.unknown(kind)
            return found
        dotted = getattr(kind, "dotted", None)
        if isinstance(dotted, str):
            return _deferred(dotted, registry)
    except (KeyError, RefusedNameError) as error:
        raise type(error)(f"{_place(cfg, 'type')}{error}") from None
    if callable(kind):
        return kind
    raise BuildError(f"{_place(cfg, 'type')}type must be a name or a class, got {kind!r}")


def _deferred(dotted: str, registry: Registry) -> Any:
    package, _, _ = dotted.partition(".")
    if package in ("mmengine", "mmcv", "mmdet", "mmseg", "mmpretrain", "mmpose", "mmyolo", "mmocr"):
        # A pure-Python config imports its libraries' classes: ours of the same name answer.
        return registry.get(dotted.rpartition(".")[2]) or _elsewhere(dotted, registry)
    found = locate(dotted)
    check_target(dotted, found)
    return found


def _elsewhere(dotted: str, registry: Registry) -> Any:
    """What only the library itself may have; of the two whose names are ours a misspelt one."""
    try:
        return locate(dotted)
    except RefusedNameError:
        if dotted.partition(".")[0] in ROOT_ALIASES:
            raise registry.unknown(dotted.rpartition(".")[2]) from None
        raise


def _call(target: Any, keywords: dict[str, Any], optional: set[str], cfg: Any) -> Any:
    problem = _misfit(target, keywords, optional)
    if problem is not None:
        raise BuildError(f"{_place(cfg, problem[0])}{_name(target)}{problem[1]}")
    try:
        return target(**keywords)
    except Exception as error:
        place = _place(cfg).rstrip(": ")
        error.add_note(f"while building {_name(target)}{f' of {place}' if place else ''}")
        raise


def _misfit(
    target: Any, keywords: dict[str, Any], optional: set[str]
) -> tuple[str | None, str] | None:
    """What is wrong with the arguments; defaults that a target does not take are dropped."""
    signature = _signature(target)
    if signature is None:
        return None
    takes = _keyword_parameters(signature)
    if takes is not None:
        for key in [k for k in keywords if k not in takes]:
            if key in optional:
                del keywords[key]
                continue
            hint = did_you_mean(key, takes)
            return key, f" takes no argument {key!r}{hint} (it takes {', '.join(takes) or 'none'})"
    missing = [
        p.name
        for p in signature.parameters.values()
        if p.default is p.empty
        and p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
        and p.name not in keywords
    ]
    if missing:
        return None, f" needs {', '.join(map(repr, missing))}, got {', '.join(keywords) or 'none'}"
    return None


def _signature(target: Any) -> inspect.Signature | None:
    if isinstance(target, partial):
        return None
    try:
        return inspect.signature(target)
    except (TypeError, ValueError):
        return None


def _keyword_parameters(signature: inspect.Signature) -> list[str] | None:
    """Names that can be given by keyword, or None where any can."""
    parameters = signature.parameters.values()
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return None
    return [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]


def _name(target: Any) -> str:
    return getattr(target, "__name__", repr(target))


def _place(cfg: Any, key: str | None = None) -> str:
    """``optim_wrapper.optimizer (configs/base.py:12): `` for an error about ``cfg[key]``."""
    origin = origin_of(cfg, key) if key else None
    if origin is None and isinstance(cfg, dict):
        origin = next((o for o in (origin_of(cfg, k) for k in ("type", *cfg)) if o), None)
    path = path_of(cfg)
    if path and key and key != "type":
        path = f"{path}.{key}"
    said = " ".join(filter(None, [path, f"({origin})" if origin else ""]))
    return f"{said}: " if said else ""
