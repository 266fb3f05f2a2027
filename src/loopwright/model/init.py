"""Initialisers under MMEngine's names: what `init_cfg` names, and the functions behind them."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from loopwright.core.nearest import did_you_mean
from loopwright.registry import WEIGHT_INITIALIZERS


def bias_init_with_prob(prior_prob: float) -> float:
    """The bias with which a sigmoid answers `prior_prob`.

    >>> round(bias_init_with_prob(0.01), 4)
    -4.5951
    """
    return float(-math.log((1 - prior_prob) / prior_prob))


class BaseInit:
    """What initialisers share: which layers, and what their biases become.

    `layer` names classes (a base class's name serves too), one or a list. `bias_prob` sets biases
    so that a sigmoid answers that probability. Subclasses say what `fill` puts into a weight.
    """

    whole_module = False  # set for an override that names no layer: everything below it

    def __init__(
        self,
        *,
        bias: float = 0,
        bias_prob: float | None = None,
        layer: str | Sequence[str] | None = None,
    ) -> None:
        if not isinstance(bias, int | float) or isinstance(bias, bool):
            raise TypeError(f"bias must be a number, got {bias!r}")
        self.bias = bias_init_with_prob(bias_prob) if bias_prob is not None else bias
        self.layer = [layer] if isinstance(layer, str) else list(layer or ())

    def fill(self, weight: Tensor) -> None:
        """Put the starting values into a weight."""
        raise NotImplementedError(f"{type(self).__name__} must define fill()")

    def __call__(self, module: nn.Module) -> int:
        """Initialise the layers meant; how many there were."""
        met = [m for m in module.modules() if self.whole_module or self._means(m)]
        for layer in met:
            self.one(layer)
        return len(met)

    def one(self, layer: nn.Module) -> None:
        """Initialise one layer's `weight` and `bias`, where it has them."""
        weight, bias = getattr(layer, "weight", None), getattr(layer, "bias", None)
        if isinstance(weight, Tensor):
            self.fill(weight)
        if isinstance(bias, Tensor):
            nn.init.constant_(bias, self.bias)

    def _means(self, module: nn.Module) -> bool:
        return any(kind.__name__ in self.layer for kind in type(module).__mro__)


@WEIGHT_INITIALIZERS.register_module(name="Constant")
class ConstantInit(BaseInit):
    """Every weight is `val`."""

    def __init__(self, val: float, **common: Any) -> None:
        super().__init__(**common)
        self.val = val

    def fill(self, weight: Tensor) -> None:
        nn.init.constant_(weight, self.val)


@WEIGHT_INITIALIZERS.register_module(name="Normal")
class NormalInit(BaseInit):
    """Weights from N(mean, std)."""

    def __init__(self, mean: float = 0, std: float = 1, **common: Any) -> None:
        super().__init__(**common)
        self.mean, self.std = mean, std

    def fill(self, weight: Tensor) -> None:
        nn.init.normal_(weight, self.mean, self.std)


@WEIGHT_INITIALIZERS.register_module(name="TruncNormal")
class TruncNormalInit(BaseInit):
    """Weights from N(mean, std) cut to [a, b]."""

    def __init__(
        self, mean: float = 0, std: float = 1, a: float = -2, b: float = 2, **common: Any
    ) -> None:
        super().__init__(**common)
        self.mean, self.std, self.a, self.b = mean, std, a, b

    def fill(self, weight: Tensor) -> None:
        trunc_normal_(weight, self.mean, self.std, self.a, self.b)


@torch.no_grad()
def trunc_normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0
) -> Tensor:
    """Fill from N(mean, std) cut to [a, b] by inverting its distribution function.

    torch's own draws other numbers for one seed from version to version; this one does not.
    """
    lower, upper = (math.erf((edge - mean) / std / math.sqrt(2)) for edge in (a, b))
    tensor.uniform_(lower, upper).erfinv_()
    return tensor.mul_(std * math.sqrt(2)).add_(mean).clamp_(min=a, max=b)


@WEIGHT_INITIALIZERS.register_module(name="Uniform")
class UniformInit(BaseInit):
    """Weights evenly from [a, b]."""

    def __init__(self, a: float = 0, b: float = 1, **common: Any) -> None:
        super().__init__(**common)
        self.a, self.b = a, b

    def fill(self, weight: Tensor) -> None:
        nn.init.uniform_(weight, self.a, self.b)


@WEIGHT_INITIALIZERS.register_module(name="Xavier")
class XavierInit(BaseInit):
    """Glorot and Bengio, 2010: `distribution` 'normal' or 'uniform'. Vectors keep their values."""

    def __init__(self, gain: float = 1, distribution: str = "normal", **common: Any) -> None:
        super().__init__(**common)
        self.gain, self.distribution = gain, _known_distribution(distribution)

    def fill(self, weight: Tensor) -> None:
        if weight.ndim < 2:
            return
        if self.distribution == "uniform":
            nn.init.xavier_uniform_(weight, self.gain)
        else:
            nn.init.xavier_normal_(weight, self.gain)


@WEIGHT_INITIALIZERS.register_module(name="Kaiming")
class KaimingInit(BaseInit):
    """He et al., 2015: `distribution` 'normal' or 'uniform'. Vectors keep their values."""

    def __init__(
        self,
        a: float = 0,
        mode: str = "fan_out",
        nonlinearity: str = "relu",
        distribution: str = "normal",
        **common: Any,
    ) -> None:
        super().__init__(**common)
        self.a, self.mode, self.nonlinearity = a, mode, nonlinearity
        self.distribution = _known_distribution(distribution)

    def fill(self, weight: Tensor) -> None:
        if weight.ndim < 2:
            return
        draw: Any = nn.init.kaiming_normal_
        if self.distribution == "uniform":
            draw = nn.init.kaiming_uniform_
        draw(weight, a=self.a, mode=self.mode, nonlinearity=self.nonlinearity)


@WEIGHT_INITIALIZERS.register_module(name="Caffe2Xavier")
class Caffe2XavierInit(KaimingInit):
    """Caffe2's XavierFill: Kaiming's with a=1, 'fan_in', 'leaky_relu', 'uniform'."""

    def __init__(self, **common: Any) -> None:
        super().__init__(1, "fan_in", "leaky_relu", "uniform", **common)


def _known_distribution(name: str) -> str:
    if name not in ("normal", "uniform"):
        raise ValueError(f"distribution must be 'normal' or 'uniform', got {name!r}")
    return name


def initialise(module: nn.Module, init_cfg: Any) -> None:
    """Initialise a module as one config, or several in order, say.

    `layer` chooses by class, `override` (one dict or a list, each with `name` and perhaps its own
    `type`) sub-modules of it by name, dotted names too. Raises ValueError for an override without
    a name or with values but no type, AttributeError for a name that is not there.

    >>> net = nn.Sequential(nn.Linear(2, 1), nn.Linear(1, 1))
    >>> initialise(net, dict(type="Constant", layer="Linear", val=1, override=dict(name="0",
    ...     type="Constant", val=3)))
    >>> net[0].weight.tolist(), net[1].weight.tolist()
    ([[3.0, 3.0]], [[1.0]])
    """
    for cfg in init_cfg if isinstance(init_cfg, list | tuple) else [init_cfg]:
        own = {k: v for k, v in cfg.items() if k != "override"}
        overrides = cfg.get("override") or []
        overrides = [overrides] if isinstance(overrides, dict) else list(overrides)
        reached = WEIGHT_INITIALIZERS.build(own)(module)
        for override in overrides:
            _override(module, own, override)
        if reached == 0 and not overrides:
            _warn_idle(module, own)


def _override(module: nn.Module, own: dict[str, Any], override: dict[str, Any]) -> None:
    rest = dict(override)
    name = rest.pop("name", None)
    if name is None:
        raise ValueError(f"init_cfg.override needs the 'name' of a sub-module, got {override!r}")
    if rest and "type" not in rest:
        raise ValueError(f"init_cfg.override of {name!r} has values but no 'type': {rest!r}")
    cfg = rest or {k: v for k, v in own.items() if k != "layer"}
    initialiser = WEIGHT_INITIALIZERS.build(cfg)
    if not getattr(initialiser, "layer", None):
        initialiser.whole_module = True
    initialiser(_submodule(module, name))


def _submodule(module: nn.Module, name: str) -> nn.Module:
    names = [n for n, _ in module.named_modules() if n]
    if name in names:
        return module.get_submodule(name)
    hint = did_you_mean(name, names)
    raise AttributeError(f"init_cfg.override: {type(module).__name__} has no {name!r}{hint}")


def _warn_idle(module: nn.Module, cfg: dict[str, Any]) -> None:
    kinds = sorted({type(m).__name__ for m in module.modules() if _has_weights(m)})
    wanted = cfg.get("layer")
    said = f"layer={wanted!r} matches nothing" if wanted else "it names no layer"
    warnings.warn(
        f"init_cfg of {type(module).__name__} does nothing: {said} "
        f"(layers with weights: {', '.join(kinds) or 'none'})",
        stacklevel=3,
    )


def _has_weights(module: nn.Module) -> bool:
    return any(True for _ in module.parameters(recurse=False))


# -- the same as functions, for one layer ----------------------------------------------------


def constant_init(module: nn.Module, val: float, bias: float = 0) -> None:
    """Fill a layer's weight with `val` and its bias with `bias`."""
    ConstantInit(val, bias=bias).one(module)


def normal_init(module: nn.Module, mean: float = 0, std: float = 1, bias: float = 0) -> None:
    """Draw a layer's weight from N(mean, std)."""
    NormalInit(mean, std, bias=bias).one(module)


def trunc_normal_init(
    module: nn.Module,
    mean: float = 0,
    std: float = 1,
    a: float = -2,
    b: float = 2,
    bias: float = 0,
) -> None:
    """Draw a layer's weight from N(mean, std) cut to [a, b]."""
    TruncNormalInit(mean, std, a, b, bias=bias).one(module)


def uniform_init(module: nn.Module, a: float = 0, b: float = 1, bias: float = 0) -> None:
    """Draw a layer's weight evenly from [a, b]."""
    UniformInit(a, b, bias=bias).one(module)


def xavier_init(
    module: nn.Module, gain: float = 1, bias: float = 0, distribution: str = "normal"
) -> None:
    """Draw a layer's weight after Glorot and Bengio."""
    XavierInit(gain, distribution, bias=bias).one(module)


def kaiming_init(
    module: nn.Module,
    a: float = 0,
    mode: str = "fan_out",
    nonlinearity: str = "relu",
    bias: float = 0,
    distribution: str = "normal",
) -> None:
    """Draw a layer's weight after He et al."""
    KaimingInit(a, mode, nonlinearity, distribution, bias=bias).one(module)


def caffe2_xavier_init(module: nn.Module, bias: float = 0) -> None:
    """Draw a layer's weight as Caffe2's XavierFill does."""
    Caffe2XavierInit(bias=bias).one(module)


def initialize(module: nn.Module, init_cfg: dict[str, Any] | Iterable[dict[str, Any]]) -> None:
    """MMEngine's name for `initialise`."""
    initialise(module, init_cfg if isinstance(init_cfg, dict) else list(init_cfg))
