"""Optim wrappers and param schedulers from a config."""

from __future__ import annotations

from copy import copy
from typing import Any

from torch import nn
from torch.optim import Optimizer

from loopwright.core.nearest import nearest_or_all
from loopwright.optim.find import find
from loopwright.optim.many import OptimWrapperDict
from loopwright.optim.specs import Run, converted, with_end
from loopwright.optim.torch_scheduler import TorchParamScheduler, torch_class
from loopwright.optim.wrapper import BaseOptimWrapper, OptimWrapper
from loopwright.registry import OPTIM_WRAPPER_CONSTRUCTORS, OPTIM_WRAPPERS, PARAM_SCHEDULERS

Wrapper = OptimWrapper | OptimWrapperDict


def build_optim_wrapper(model: nn.Module, cfg: Any) -> Any:
    """The optim wrapper that a config means for a model; a built one passes through.

    `constructor` names how parameters become groups (default `DefaultOptimWrapperConstructor`),
    `paramwise_cfg` its rules; `optimizer` may be built already. A dict of built wrappers becomes
    an `OptimWrapperDict`.
    """
    if isinstance(cfg, BaseOptimWrapper):
        return cfg
    if not isinstance(cfg, dict):
        raise TypeError(f"optim_wrapper must be a dict or an OptimWrapper, got {cfg!r}")
    if isinstance(cfg.get("optimizer"), Optimizer):
        return OPTIM_WRAPPERS.build({"type": "OptimWrapper", **cfg})
    if "optimizer" in cfg or "constructor" in cfg:
        return _construct(model, cfg)
    if cfg and all(isinstance(value, OptimWrapper) for value in cfg.values()):
        return OptimWrapperDict(**cfg)
    raise ValueError(
        f"optim_wrapper needs `optimizer`, or `constructor`, or to be a dict of OptimWrapper, "
        f"got only {', '.join(map(str, cfg)) or 'nothing'}"
    )


def _construct(model: nn.Module, cfg: dict[str, Any]) -> Any:
    kind = cfg.get("constructor") or "DefaultOptimWrapperConstructor"
    rest = without(cfg, "constructor", "paramwise_cfg")
    constructor = find(kind, OPTIM_WRAPPER_CONSTRUCTORS, cfg)
    return constructor(rest, cfg.get("paramwise_cfg"))(model)


def without(cfg: dict[str, Any], *keys: str) -> dict[str, Any]:
    """A copy of a config without some keys, which still knows where it was written."""
    rest = copy(cfg)
    for key in keys:
        if key in rest:
            del rest[key]
    return rest


def build_param_scheduler(
    cfg: Any,
    optim_wrapper: Any,
    *,
    epoch_length: int | None = None,
    max_epochs: int | None = None,
    max_iters: int | None = None,
) -> Any:
    """The param schedulers of a config, in order; each makes its step 0 when it is built.

    An entry without `end` ends with the run. With several optimizers the result is a dict of
    lists by name: one for each, or those that a dict of lists names.
    """
    run = Run(max_iters, max_epochs, epoch_length)
    if isinstance(optim_wrapper, OptimWrapperDict):
        return _for_each(cfg, optim_wrapper, run)
    entries = cfg if isinstance(cfg, list | tuple) else [cfg] if cfg is not None else []
    return [_scheduler(entry, optim_wrapper, run) for entry in entries]


def _for_each(cfg: Any, wrappers: OptimWrapperDict, run: Run) -> dict[str, list[Any]]:
    named = isinstance(cfg, dict) and "type" not in cfg
    if named and (missing := [name for name in wrappers if name not in cfg]):
        raise KeyError(f"param_scheduler has no schedulers for the optimizer {missing[0]!r}")
    if named and (unknown := [name for name in cfg if name not in wrappers]):
        said = nearest_or_all(unknown[0], wrappers)
        raise KeyError(f"param_scheduler names an optimizer {unknown[0]!r} that is not there{said}")
    return {
        name: build_param_scheduler(cfg[name] if named else cfg, wrapper, **run._asdict())
        for name, wrapper in wrappers.items()
    }


def _scheduler(entry: Any, optim_wrapper: Any, run: Run) -> Any:
    if not isinstance(entry, dict):
        if hasattr(entry, "step") and hasattr(entry, "by_epoch"):
            return entry
        raise TypeError(f"a param_scheduler entry must be a dict, got {entry!r}")
    if "type" not in entry:
        by_name = any(isinstance(value, dict | list | tuple) for value in entry.values())
        hint = "; schedulers by name are for several optimizers, here is one" if by_name else ""
        got = ", ".join(map(str, entry)) or "nothing"
        raise ValueError(f"a param_scheduler entry needs `type`, got only {got}{hint}")
    if kind := torch_class(entry.get("type"), entry):
        options = {k: v for k, v in entry.items() if k not in ("type", "_scope_")}
        return TorchParamScheduler(kind, optim_wrapper, **options)
    options = copy(converted(with_end(entry, run), run.epoch_length))
    options["type"] = find(options.get("type"), PARAM_SCHEDULERS, entry)
    return PARAM_SCHEDULERS.build(options, optimizer=optim_wrapper)
