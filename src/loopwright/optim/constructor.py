"""The default optim wrapper constructor: MMEngine's `paramwise_cfg`, merged into few groups."""

from __future__ import annotations

import sys
import warnings
from copy import copy
from typing import Any, ClassVar

from torch import Tensor, nn

from loopwright.core.nearest import did_you_mean, nearest_or_all
from loopwright.optim.groups import (
    Base,
    Decision,
    decide,
    merge,
    named_parameters,
    places,
    sorted_keys,
    unmatched,
)
from loopwright.optim.optimizers import build_optimizer, check_optimizer, optimizer_defaults
from loopwright.optim.options import MULTIPLIERS, PARAMWISE
from loopwright.optim.unwrap import unwrap
from loopwright.optim.values import number, truth
from loopwright.optim.written import written
from loopwright.registry import OPTIM_WRAPPER_CONSTRUCTORS, OPTIM_WRAPPERS

_DECAY = ("bias_decay_mult", "norm_decay_mult", "dwconv_decay_mult")


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class DefaultOptimWrapperConstructor:
    """Groups by `paramwise_cfg`, then the optimizer and its wrapper.

    A subclass gives its own groups from `add_params`, which appends dicts to `params`; groups
    with equal options are merged afterwards. After a call `decisions` says of each parameter
    which rule gave it its options, and `findings` what was probably not meant.

    >>> cfg = dict(optimizer=dict(type="SGD", lr=0.1, weight_decay=1e-4))
    >>> constructor = DefaultOptimWrapperConstructor(cfg, dict(norm_decay_mult=0.0))
    >>> wrapper = constructor(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Linear(2, 2)))
    >>> [(g["param_names"], g["weight_decay"]) for g in wrapper.optimizer.param_groups]
    [(['0.weight', '0.bias', '2.weight', '2.bias'], 0.0001), (['1.weight', '1.bias'], 0.0)]
    >>> constructor.decisions[2].rule
    'norm_decay_mult'
    """

    known_keys: ClassVar[tuple[str, ...]] = PARAMWISE
    dcn_types: ClassVar[tuple[type, ...] | None] = None

    def __init__(
        self, optim_wrapper_cfg: dict[str, Any], paramwise_cfg: dict[str, Any] | None = None
    ) -> None:
        if not isinstance(optim_wrapper_cfg, dict):
            raise TypeError(f"optim_wrapper must be a dict, got {optim_wrapper_cfg!r}")
        if "optimizer" not in optim_wrapper_cfg:
            raise ValueError(
                f"optim_wrapper needs `optimizer`, got only {', '.join(optim_wrapper_cfg)}"
            )
        self.optim_wrapper_cfg: dict[str, Any] = copy(optim_wrapper_cfg)
        self.optim_wrapper_cfg.setdefault("type", "OptimWrapper")
        self.optimizer_cfg: dict[str, Any] = copy(self.optim_wrapper_cfg.pop("optimizer"))
        check_optimizer(self.optimizer_cfg)
        if not isinstance(paramwise_cfg or {}, dict):
            raise TypeError(f"paramwise_cfg must be a dict, got {paramwise_cfg!r}")
        self.paramwise_cfg: dict[str, Any] = copy(paramwise_cfg or {})
        self.base_lr = self.optimizer_cfg.get("lr")
        self.base_wd = self.optimizer_cfg.get("weight_decay")
        self.decisions: list[Decision] = []
        self.findings: list[str] = []
        self._names: dict[int, str] | None = None
        self._cached_rules: tuple[list[str], Base, tuple[type, ...]] | None = None
        self._validate_cfg()

    # -- checks ----------------------------------------------------------------------------

    def _validate_cfg(self) -> None:
        for key in self.paramwise_cfg:
            self._check_key(key)
        custom = self.paramwise_cfg.get("custom_keys") or {}
        if not isinstance(custom, dict):
            raise TypeError(f"paramwise_cfg.custom_keys must be a dict, got {custom!r}")
        for key, given in custom.items():
            if not isinstance(given, dict):
                raise TypeError(f"paramwise_cfg.custom_keys[{key!r}] must be a dict, got {given!r}")
            for option in ("lr_mult", "decay_mult"):
                self._check_multiplier(given, option, ("custom_keys", key, option))
        self._check_decay(custom)

    def _check_multiplier(self, given: dict[str, Any], option: str, path: tuple[str, ...]) -> None:
        if given.get(option) is None:
            return
        said = "paramwise_cfg" + "".join(
            f"[{key!r}]" if i == 1 else f".{key}" for i, key in enumerate(path)
        )
        if not number(given[option], said) >= 0:
            self.findings.append(
                f"{said} is {given[option]}: a negative rate or decay goes uphill"
                f"{written(self.paramwise_cfg, *path)}"
            )

    def _check_key(self, key: str) -> None:
        if key in MULTIPLIERS:
            self._check_multiplier(self.paramwise_cfg, key, (key,))
        if key == "bypass_duplicate":
            truth(self.paramwise_cfg[key], "paramwise_cfg.bypass_duplicate")
        if key in self.known_keys:
            return
        if key.startswith("_"):
            self.findings.append(f"paramwise_cfg.{key} means nothing here and is ignored")
            return
        hint = nearest_or_all(key, self.known_keys)
        where = written(self.paramwise_cfg, key)
        raise ValueError(f"paramwise_cfg has no key {key!r}{hint}{where}")

    def _check_decay(self, custom: dict[str, dict[str, Any]]) -> None:
        if self.base_wd is not None:
            return
        used = [f"custom_keys[{k!r}].decay_mult" for k, v in custom.items() if "decay_mult" in v]
        used += [rule for rule in _DECAY if self.paramwise_cfg.get(rule) is not None]
        if used:
            raise ValueError(
                f"paramwise_cfg.{used[0]} multiplies optimizer.weight_decay, which is not "
                f"given{written(self.optimizer_cfg, 'type')}"
            )
        if self.paramwise_cfg.get("flat_decay_mult") is not None:
            self.findings.append(
                "paramwise_cfg.flat_decay_mult does nothing: optimizer.weight_decay is not given"
            )

    def _check_options(self, defaults: dict[str, Any]) -> None:
        """Options in custom keys that the optimizer has no default for are probably misspelt."""
        known = {*defaults, "lr_mult", "decay_mult", "lars_exclude"}
        for key, given in (self.paramwise_cfg.get("custom_keys") or {}).items():
            for option in given:
                if option in known:
                    continue
                if hint := did_you_mean(option, known, cutoff=0.7):
                    self.findings.append(
                        f"paramwise_cfg.custom_keys[{key!r}].{option} is no option of "
                        f"{self.optimizer_cfg.get('type')}{hint}"
                        f"{written(self.paramwise_cfg, 'custom_keys', key, option)}"
                    )

    # -- groups ----------------------------------------------------------------------------

    def add_params(
        self,
        params: list[dict[str, Any]],
        module: nn.Module,
        prefix: str = "",
        is_dcn_module: bool | None = None,
    ) -> None:
        """Append a group for each parameter of a module and of those below it."""
        keys, base, dcn = self._cached_rules or self._rules()
        for place in places(module, prefix, bool(is_dcn_module)) if module._parameters else ():
            if place.param.requires_grad:
                decision = decide(place, self.paramwise_cfg, keys, base)
                params.append({"params": [place.param], **decision.options})
            else:
                decision = Decision(place.name, "frozen", {})
            self.decisions.append(decision)
        is_dcn = bool(dcn) and isinstance(module, dcn)
        for name, child in module._modules.items():
            if child is not None:
                self.add_params(params, child, f"{prefix}.{name}" if prefix else name, is_dcn)

    def _rules(self) -> tuple[list[str], Base, tuple[type, ...]]:
        """What does not change from module to module, worked out once."""
        if self._cached_rules is None:
            base = Base(self._base_lr(), self.base_wd)
            self._cached_rules = (self._keys(), base, self._dcn())
        return self._cached_rules

    def _keys(self) -> list[str]:
        custom = self.paramwise_cfg.get("custom_keys")
        return sorted_keys(custom) if custom else []

    def _base_lr(self) -> float | None:
        return self.base_lr if self.base_lr is not None else self._defaults().get("lr")

    def _defaults(self) -> dict[str, Any]:
        return optimizer_defaults(self.optimizer_cfg)

    def _dcn(self) -> tuple[type, ...]:
        if self.dcn_types is not None:
            return self.dcn_types
        ops = sys.modules.get("mmcv.ops")
        names = ("DeformConv2d", "ModulatedDeformConv2d")
        return tuple(getattr(ops, name) for name in names if hasattr(ops, name))

    @staticmethod
    def _is_in(param_group: dict[str, Any], param_group_list: list[dict[str, Any]]) -> bool:
        """Whether a group shares a parameter with one of a list."""
        held = {id(p) for group in param_group_list for p in _as_list(group["params"])}
        return any(id(p) in held for p in _as_list(param_group["params"]))

    def groups(self, model: nn.Module) -> list[dict[str, Any]]:
        """The merged groups of a model, with `param_names`; without rules, all in one group."""
        self.decisions = []
        names = self._names = named_parameters(model)
        if not self.paramwise_cfg:
            self.decisions = [Decision(n, "the optimizer's own", {}) for n in names.values()]
            return [{"params": list(model.parameters()), "param_names": list(names.values())}]
        params: list[dict[str, Any]] = []
        self.add_params(params, model)
        defaults = self._defaults()
        self._check_options(defaults)
        self.findings += [
            message + written(self.paramwise_cfg, *path)
            for message, path in unmatched(self.paramwise_cfg, self.decisions, [*names.values()])
        ]
        used = set().union(*params)
        own = {k: v for k, v in defaults.items() if k in used}
        bypass = bool(self.paramwise_cfg.get("bypass_duplicate"))
        return merge(_once(params, names, own, bypass=bypass), own)

    def __call__(self, model: nn.Module) -> Any:
        """The optim wrapper of a model."""
        model = unwrap(model)
        groups = self.groups(model)
        for finding in self.findings:
            warnings.warn(finding, stacklevel=2)
        optimizer = build_optimizer(self.optimizer_cfg, groups)
        wrapper = OPTIM_WRAPPERS.build(self.optim_wrapper_cfg, optimizer=optimizer)
        trained = {name for group in groups for name in group["param_names"]}
        names = named_parameters(model) if self._names is None else self._names
        wrapper.param_order = [name for name in names.values() if name in trained]
        return wrapper


def _as_list(params: Any) -> list[Tensor]:
    if isinstance(params, list):
        return params
    return [params] if isinstance(params, Tensor) else list(params)


def _once(
    groups: list[dict[str, Any]], names: dict[int, str], defaults: dict[str, Any], *, bypass: bool
) -> list[dict[str, Any]]:
    """Groups of named parameters, each parameter once.

    One that two modules share is taken where it comes first; if the rules say different things of
    its two places, ValueError names it, unless `bypass`.
    """
    seen: dict[int, dict[str, Any]] = {}
    once = []
    for group in groups:
        fresh: list[Tensor] = []
        for param in _as_list(group["params"]):
            first = seen.setdefault(id(param), group)
            if first is group:
                fresh.append(param)
            elif not bypass:
                _agree(names[id(param)], _options(first, defaults), _options(group, defaults))
        if fresh:
            group["params"] = fresh
            group["param_names"] = [names.get(id(p), "?") for p in fresh]
            once.append(group)
    return once


def _options(group: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    return defaults | {k: v for k, v in group.items() if k not in ("params", "param_names")}


def _agree(name: str, first: dict[str, Any], second: dict[str, Any]) -> None:
    if first != second:
        raise ValueError(
            f"{name} is shared, and paramwise_cfg gives it {first} in one place and {second} in "
            "another; bypass_duplicate=True takes the first"
        )
