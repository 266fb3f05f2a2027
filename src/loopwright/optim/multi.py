"""An optim wrapper for each part of a model: generators and discriminators, students and heads."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from torch import nn

from loopwright.core.nearest import nearest_or_all
from loopwright.optim.build import build_optim_wrapper
from loopwright.optim.many import OptimWrapperDict
from loopwright.optim.unwrap import unwrap
from loopwright.registry import OPTIM_WRAPPER_CONSTRUCTORS


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class MultiOptimWrapperConstructor:
    """One optim wrapper config for each part, by the part's name in the model.

    With `modules`, a regular expression or a list of them over module names, a config is for all
    modules that match. `paramwise_cfg` may hold rules for each part under its name.

    >>> from torch import nn
    >>> model = nn.ModuleDict({"g": nn.Linear(1, 1), "d": nn.Linear(1, 1)})
    >>> sgd = lambda lr: dict(optimizer=dict(type="SGD", lr=lr))
    >>> MultiOptimWrapperConstructor(dict(g=sgd(0.1), d=sgd(0.4)))(model).get_lr()
    {'g.lr': [0.1], 'd.lr': [0.4]}
    """

    def __init__(
        self, optim_wrapper_cfg: dict[str, Any], paramwise_cfg: dict[str, Any] | None = None
    ) -> None:
        if not isinstance(optim_wrapper_cfg, dict):
            raise TypeError(f"optim_wrapper must be a dict, got {optim_wrapper_cfg!r}")
        parts = {k: v for k, v in optim_wrapper_cfg.items() if k not in ("type", "_scope_")}
        if wrong := [name for name, part in parts.items() if not isinstance(part, dict)]:
            raise TypeError(f"optim_wrapper.{wrong[0]} must be an optim wrapper config")
        self.parts = parts
        self.paramwise_cfg = dict(paramwise_cfg or {})

    def members(self, model: nn.Module) -> Iterator[tuple[str, nn.Module, dict[str, Any]]]:
        """For each optimizer its name, what of the model it trains, and its wrapper's config."""
        for name, part in self.parts.items():
            cfg = {k: v for k, v in part.items() if k != "modules"}
            if name in self.paramwise_cfg:
                cfg.setdefault("paramwise_cfg", self.paramwise_cfg[name])
            yield name, _part(model, name, part.get("modules")), cfg

    def __call__(self, model: nn.Module) -> OptimWrapperDict:
        """An `OptimWrapperDict` with a wrapper for each part."""
        built = {n: build_optim_wrapper(m, cfg) for n, m, cfg in self.members(unwrap(model))}
        return OptimWrapperDict(**built)


def _part(model: nn.Module, name: str, patterns: Any) -> nn.Module:
    if patterns is None:
        known = dict(model.named_modules())
        if name not in known:
            raise ValueError(
                f"the model has no module {name!r}{nearest_or_all(name, filter(None, known))}"
            )
        return known[name]
    patterns = [patterns] if isinstance(patterns, str) else list(patterns)
    part = nn.Module()
    for path, module in model.named_modules():
        if path and any(re.search(pattern, path) for pattern in patterns):
            part.add_module(path.replace(".", "_"), module)
    if not len(list(part.children())):
        raise ValueError(f"no module's name matches {patterns} for the optimizer {name!r}")
    return part
