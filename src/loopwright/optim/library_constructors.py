"""Optim wrapper constructors that OpenMMLab libraries name: YOLO, Swin, TSM, forced defaults."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, ClassVar

from torch import Tensor, nn

from loopwright.optim.constructor import DefaultOptimWrapperConstructor
from loopwright.optim.groups import Decision, decide, named_parameters, places
from loopwright.optim.layer_decay import ByNameConstructor
from loopwright.registry import OPTIM_WRAPPER_CONSTRUCTORS as CONSTRUCTORS

_BATCH_NORMS = (nn.modules.batchnorm._BatchNorm, nn.modules.instancenorm._InstanceNorm)
_CONVS = (nn.modules.conv._ConvNd,)


class NamedGroupsConstructor(DefaultOptimWrapperConstructor):
    """A constructor whose groups are a fixed few, kept apart and in order even where alike."""

    known_keys: ClassVar[tuple[str, ...]] = ("fc_lr5",)

    def split(self, model: nn.Module) -> list[tuple[str, dict[str, Any], list[Tensor]]]:
        """The groups: a name, options and parameters each."""
        raise NotImplementedError

    def groups(self, model: nn.Module) -> list[dict[str, Any]]:
        """The groups of a model, with `param_names`; empty ones are kept for those who count."""
        self.decisions = []
        names = named_parameters(model)
        groups = []
        for title, options, params in self.split(model):
            once = list(dict.fromkeys(params))
            titles = [names[id(p)] for p in once]
            self.decisions += [Decision(name, title, options) for name in titles]
            groups.append({"params": once, "param_names": titles, **options})
        return groups


@CONSTRUCTORS.register_module()
class YOLOv5OptimizerConstructor(NamedGroupsConstructor):
    """YOLOv5's three groups: weights, batch norm weights, biases; only the first decays.

    `batch_size_per_gpu` among the optimizer's options scales the decay to a batch of
    `base_total_batch_size`.
    """

    known_keys: ClassVar[tuple[str, ...]] = ("base_total_batch_size",)

    def __init__(self, optim_wrapper_cfg: Any, paramwise_cfg: Any = None) -> None:
        super().__init__(optim_wrapper_cfg, paramwise_cfg)
        self.base_batch = self.paramwise_cfg.get("base_total_batch_size", 64)
        batch = self.optimizer_cfg.pop("batch_size_per_gpu", None)
        decay = self.optimizer_cfg.pop("weight_decay", 0)
        self.weight_decay = decay if batch is None else decay * self._scale(batch)

    def _scale(self, batch: int) -> float:
        total = int(os.environ.get("WORLD_SIZE", "1")) * batch
        accumulated = max(round(self.base_batch / total), 1)
        return total * accumulated / self.base_batch

    def is_norm_weight(self, module: nn.Module, leaf: str) -> bool:
        """Whether a parameter belongs to the second group."""
        return leaf == "weight" and isinstance(module, _BATCH_NORMS)

    def split(self, model: nn.Module) -> list[tuple[str, dict[str, Any], list[Tensor]]]:
        """Weights, norm weights, biases."""
        weights: list[Tensor] = []
        norms: list[Tensor] = []
        biases: list[Tensor] = []
        for module in model.modules():
            for leaf, param in module.named_parameters(recurse=False):
                if leaf == "bias":
                    biases.append(param)
                elif self.is_norm_weight(module, leaf):
                    norms.append(param)
                elif leaf == "weight":
                    weights.append(param)
        self._report_left_out(model, len(weights) + len(norms) + len(biases))
        return [
            ("weights", {"weight_decay": self.weight_decay}, weights),
            ("norm weights", {}, norms),
            ("biases", {}, biases),
        ]

    def _report_left_out(self, model: nn.Module, held: int) -> None:
        leaves = [n for n, _ in model.named_parameters() if n.split(".")[-1] not in _YOLO_LEAVES]
        if leaves and held:
            self.findings.append(
                f"{type(self).__name__} trains what is called weight or bias; {len(leaves)} other "
                f"parameters stay as they are: {', '.join(leaves[:3])}"
            )


_YOLO_LEAVES = ("weight", "bias", "implicit")


@CONSTRUCTORS.register_module()
class YOLOv7OptimWrapperConstructor(YOLOv5OptimizerConstructor):
    """`YOLOv5OptimizerConstructor` with implicit knowledge among the norm weights."""

    def is_norm_weight(self, module: nn.Module, leaf: str) -> bool:
        """Batch norm weights, and ImplicitA and ImplicitM."""
        implicit = leaf == "implicit" and type(module).__name__ in ("ImplicitA", "ImplicitM")
        return implicit or super().is_norm_weight(module, leaf)


@CONSTRUCTORS.register_module()
class TSMOptimWrapperConstructor(NamedGroupsConstructor):
    """TSM's seven groups: the first convolution, other layers, batch norms, the last linear layer.

    Biases learn twice as fast and do not decay; with `fc_lr5` the last layer's weight learns 5
    and its bias 10 times as fast. Lin et al., "TSM: Temporal Shift Module for Efficient Video
    Understanding", 2019.
    """

    def split(self, model: nn.Module) -> list[tuple[str, dict[str, Any], list[Tensor]]]:
        """The groups by the kind of module."""
        parts: dict[str, list[Tensor]] = {title: [] for title, _, _ in self._table()}
        convs = [m for m in model.modules() if isinstance(m, _CONVS)]
        linears = [m for m in model.modules() if isinstance(m, nn.Linear)]
        last = linears[-1] if linears and self.paramwise_cfg.get("fc_lr5") else None
        for module in model.modules():
            owned = [(n, p) for n, p in module.named_parameters(recurse=False) if p.requires_grad]
            for leaf, param in owned:
                parts[self._part(module, leaf, convs[:1], last)].append(param)
        lr, decay = self._base_lr() or 0.0, self.base_wd or 0.0
        return [
            (title, {"lr": lr * fast, "weight_decay": decay * decays}, parts[title])
            for title, fast, decays in self._table()
        ]

    @staticmethod
    def _table() -> list[tuple[str, int, int]]:
        return [
            ("first conv weight", 1, 1),
            ("first conv bias", 2, 0),
            ("weight", 1, 1),
            ("bias", 2, 0),
            ("batch norm", 1, 0),
            ("last weight", 5, 1),
            ("last bias", 10, 0),
        ]

    @staticmethod
    def _part(
        module: nn.Module, leaf: str, first: Sequence[nn.Module], last: nn.Module | None
    ) -> str:
        kind = "bias" if leaf == "bias" else "weight"
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            return "batch norm"
        if any(module is conv for conv in first):
            return f"first conv {kind}"
        if module is last:
            return f"last {kind}"
        if isinstance(module, (*_CONVS, nn.Linear)):
            return kind
        raise ValueError(
            f"TSMOptimWrapperConstructor knows convolutions, linear layers and batch norms, "
            f"not {type(module).__name__}"
        )


@CONSTRUCTORS.register_module()
class SwinOptimWrapperConstructor(ByNameConstructor):
    """The product of `lr_mult` and of `decay_mult` over all keys in a parameter's name.

    The keys stand in `paramwise_cfg` itself (MMAction2's). Frozen parameters are left out.
    """

    def _check_key(self, key: str) -> None:
        if not isinstance(self.paramwise_cfg[key], dict):
            raise TypeError(f"paramwise_cfg[{key!r}] must be a dict with lr_mult or decay_mult")

    def decide(self, name: str, param: Tensor) -> Decision:
        """All keys in the name count."""
        lr, decay, keys = self.lr, self.decay, []
        for key, given in self.paramwise_cfg.items():
            if key in f"base.{name}":
                lr *= given.get("lr_mult", 1.0)
                decay *= given.get("decay_mult", 1.0)
                keys.append(repr(key))
        rule = " and ".join(keys) or "the optimizer's own"
        return Decision(name, rule, {"lr": lr, "weight_decay": decay})


@CONSTRUCTORS.register_module()
class ForceDefaultOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """The default rules, which `force_default_settings` applies on top of custom keys too.

    Frozen parameters are put into the optimizer, so that they can be thawed later.
    """

    known_keys: ClassVar[tuple[str, ...]] = (
        *DefaultOptimWrapperConstructor.known_keys,
        "force_default_settings",
    )

    def add_params(
        self,
        params: list[dict[str, Any]],
        module: nn.Module,
        prefix: str = "",
        is_dcn_module: bool | None = None,
    ) -> None:
        """Append a group for each parameter, custom key and general rules together."""
        keys, base, dcn = self._rules()
        for place in places(module, prefix, bool(is_dcn_module)):
            decision = decide(place, self.paramwise_cfg, keys, base)
            if self.paramwise_cfg.get("force_default_settings"):
                general = decide(place, self.paramwise_cfg, (), base)
                options = decision.options | general.options
                decision = Decision(place.name, f"{decision.rule} and {general.rule}", options)
            params.append({"params": [place.param], **decision.options})
            self.decisions.append(decision)
        is_dcn = bool(dcn) and isinstance(module, dcn)
        for name, child in module.named_children():
            self.add_params(params, child, f"{prefix}.{name}" if prefix else name, is_dcn)
