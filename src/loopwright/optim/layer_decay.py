"""Optim wrapper constructors with layer-wise lr decay, one for each rule that configs name."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

from torch import Tensor, nn

from loopwright.optim import layer_ids
from loopwright.optim.constructor import DefaultOptimWrapperConstructor
from loopwright.optim.groups import (
    NORMS,
    Decision,
    merge,
    named_parameters,
    sorted_keys,
)
from loopwright.optim.options import PARAMWISE
from loopwright.registry import OPTIM_WRAPPER_CONSTRUCTORS as CONSTRUCTORS


class ByNameConstructor(DefaultOptimWrapperConstructor):
    """A constructor that decides by name, parameter by parameter; frozen ones are left out."""

    def groups(self, model: nn.Module) -> list[dict[str, Any]]:
        """The merged groups of a model, with `param_names`."""
        self.decisions = []
        self.prepare(model)
        decided = []
        for name, param in model.named_parameters():
            if not param.requires_grad:
                self.decisions.append(Decision(name, "frozen", {}))
                continue
            decision = self.decide(name, param)
            self.decisions.append(decision)
            decided.append({"params": [param], "param_names": [name], **decision.options})
        return merge(decided, self._merge_defaults())

    def _merge_defaults(self) -> dict[str, Any]:
        return {k: v for k, v in self._defaults().items() if k in ("lr", "weight_decay")}

    def prepare(self, model: nn.Module) -> None:
        """Look at the model before its parameters are decided."""

    @abstractmethod
    def decide(self, name: str, param: Tensor) -> Decision:
        """The options of one parameter."""

    @property
    def lr(self) -> float:
        """The optimizer's lr."""
        lr = self._base_lr()
        if not isinstance(lr, int | float):
            raise ValueError("layer decay needs optimizer.lr")
        return lr

    @property
    def decay(self) -> float:
        """The optimizer's weight decay."""
        return self._defaults().get("weight_decay", 0.0)

    def _need(self, key: str) -> Any:
        if key not in self.paramwise_cfg:
            raise ValueError(f"{type(self).__name__} needs paramwise_cfg.{key}")
        return self.paramwise_cfg[key]


class LayerDecayConstructor(ByNameConstructor):
    """lr times `rate ** (depth of the model - layer)`, and no weight decay for some parameters."""

    rate_key: ClassVar[str] = "layer_decay_rate"
    known_keys: ClassVar[tuple[str, ...]] = (
        *PARAMWISE,
        "num_layers",
        "layer_decay_rate",
        "decay_rate",
        "decay_type",
        "depths",
    )

    def prepare(self, model: nn.Module) -> None:
        """Read the rate and the number of layers."""
        self.rate = self._need(self.rate_key)
        self.layers = self._need("num_layers")
        ignored = [k for k in self.paramwise_cfg if k in PARAMWISE and k != "bypass_duplicate"]
        if ignored:
            self.findings.append(
                f"paramwise_cfg.{ignored[0]} means nothing to {type(self).__name__}, which decides "
                "weight decay by its own rule"
            )

    def decide(self, name: str, param: Tensor) -> Decision:
        """lr by the layer, weight decay or none by the name."""
        layer = self.layer(name)
        scale = self.rate ** (self.layers + 1 - layer)
        decays = not self.without_decay(name, param)
        options = {
            "weight_decay": self.decay if decays else 0.0,
            "lr_scale": scale,
            "group_name": f"layer_{layer}_{'decay' if decays else 'no_decay'}",
            "lr": self.lr * scale,
        }
        return Decision(name, f"layer {layer}{'' if decays else ', no decay'}", options)

    @abstractmethod
    def layer(self, name: str) -> int:
        """The layer of a parameter, from 0."""

    def without_decay(self, name: str, param: Tensor) -> bool:
        """Whether a parameter is one of those without weight decay."""
        return param.ndim == 1 or name.endswith(".bias") or "pos_embed" in name


@CONSTRUCTORS.register_module()
class LayerDecayOptimizerConstructor_ViT(LayerDecayConstructor):
    """For ViT backbones that name their blocks `blocks` (timm's, MTP's)."""

    def layer(self, name: str) -> int:
        """Embeddings 0, block i is i + 1, the rest one after all."""
        return layer_ids.vit(name, self.layers)


@CONSTRUCTORS.register_module()
class LayerDecayOptimWrapperConstructor(LayerDecayConstructor):
    """For ViT backbones that name their blocks `layers` (MMPose's)."""

    def layer(self, name: str) -> int:
        """Embeddings 0, layer i is i + 1, the rest one after all."""
        return layer_ids.vit(name, self.layers, "layers")


@CONSTRUCTORS.register_module()
class CustomLayerDecayOptimizerConstructor_InternImage(LayerDecayConstructor):
    """For InternImage whose parameters lie below `encoder.` (MTP's pre-training)."""

    def layer(self, name: str) -> int:
        """Blocks over all levels; what does not lie below `encoder.` counts as head."""
        return layer_ids.internimage(name, self.layers, self.paramwise_cfg.get("depths", ()))

    def without_decay(self, name: str, param: Tensor) -> bool:
        """Also norms, relative positions and sampling offsets."""
        parts = ("norm", "relative_position", "sampling_offsets")
        return super().without_decay(name, param) or any(part in name for part in parts)


@CONSTRUCTORS.register_module()
class LearningRateDecayOptimizerConstructor(LayerDecayConstructor):
    """For ConvNeXt, BEiT, MAE, MViT and VisionTransformer backbones, known by their class names.

    `decay_rate`, `num_layers`, and `decay_type`, which is "layer_wise" or "stage_wise".
    """

    rate_key: ClassVar[str] = "decay_rate"

    def prepare(self, model: nn.Module) -> None:
        """See which backbone it is."""
        super().prepare(model)
        backbone = type(getattr(model, "backbone", model)).__name__
        self.kind = self.paramwise_cfg.get("decay_type", "layer_wise")
        known = ("ConvNeXt", "BEiT", "MAE", "MViT", "VisionTransformer")
        self.backbone = next((k for k in known if k in backbone), None)
        if self.backbone is None or ("stage" in self.kind and self.backbone != "ConvNeXt"):
            raise NotImplementedError(
                f"{type(self).__name__} has no {self.kind} rule for a backbone {backbone}; it "
                f"knows {', '.join(known)}; a model with `get_layer_depth` can use "
                "LearningRateDecayOptimWrapperConstructor"
            )

    def layer(self, name: str) -> int:
        """By the backbone's rule."""
        if self.backbone == "ConvNeXt":
            by_stage = "stage" in self.kind
            rule = layer_ids.convnext_stages if by_stage else layer_ids.convnext_layers
            return rule(name, self.layers)
        blocks = "layers" if self.backbone in ("BEiT", "MAE") else "blocks"
        return layer_ids.vit(name, self.layers, blocks)

    def without_decay(self, name: str, param: Tensor) -> bool:
        """Vectors and biases; tokens only where they lie at the top of the model."""
        return param.ndim == 1 or name.endswith(".bias") or name in ("pos_embed", "cls_token")


@CONSTRUCTORS.register_module()
class LayerDecayOptimizerConstructor(LearningRateDecayOptimizerConstructor):
    """`LearningRateDecayOptimizerConstructor` under its older name, with `layer_decay_rate`."""

    rate_key: ClassVar[str] = "layer_decay_rate"


@CONSTRUCTORS.register_module(
    [
        "LearningRateDecayOptimWrapperConstructor",
        "mmpretrain.LearningRateDecayOptimWrapperConstructor",
    ]
)
class LearningRateDecayOptimWrapperConstructor(ByNameConstructor):
    """For models that say of each parameter how deep it lies: `get_layer_depth(name)`.

    It gives the layer and the number of layers. Weight decay follows the first custom key in the
    name, else the norm, bias and flat rules. With `model_type` among the optimizer's options,
    MMSelfSup's rules hold: `MMSelfSupLayerDecay`.
    """

    known_keys: ClassVar[tuple[str, ...]] = (*PARAMWISE, "layer_decay_rate")

    def __new__(cls, optim_wrapper_cfg: Any, paramwise_cfg: Any = None) -> Any:
        optimizer = optim_wrapper_cfg.get("optimizer") or {}
        if cls is LearningRateDecayOptimWrapperConstructor and "model_type" in optimizer:
            return MMSelfSupLayerDecay(optim_wrapper_cfg, paramwise_cfg)
        return super().__new__(cls)

    def prepare(self, model: nn.Module) -> None:
        """Find the model's `get_layer_depth` and which parameters are norms'."""
        depth: Any = getattr(model, "get_layer_depth", None)
        if depth is None:
            raise NotImplementedError(
                f"{type(model).__name__} has no get_layer_depth(name) -> (layer, layers), which "
                "layer decay asks for"
            )
        self.depth = depth
        self.rate = self.paramwise_cfg.get("layer_decay_rate", 1.0)
        self.keys = self._keys()
        self.custom = self.paramwise_cfg.get("custom_keys") or {}
        names = named_parameters(model)
        modules = (m for m in model.modules() if isinstance(m, NORMS))
        self.norms = {names[id(p)] for m in modules for p in m.parameters(recurse=False)}
        if any("lr_mult" in given for given in self.custom.values()):
            self.findings.append("lr_mult in custom_keys means nothing beside a layer decay")

    def decide(self, name: str, param: Tensor) -> Decision:
        """lr by the layer, weight decay by the rules."""
        layer, layers = self.depth(name)
        scale = self.rate ** (layers - layer - 1)
        options, rule = self._decay(name, param)
        options |= {"lr_scale": scale, "layer_id": layer, "lr": self.lr * scale}
        return Decision(name, f"layer {layer} and {rule}", options)

    def _decay(self, name: str, param: Tensor) -> tuple[dict[str, Any], str]:
        for key in self.keys:
            if key in name:
                given = self.custom[key]
                extra = {k: v for k, v in given.items() if k not in ("lr_mult", "decay_mult")}
                decay = self.decay * given.get("decay_mult", 1.0)
                return {"weight_decay": decay, **extra}, f"custom_keys[{key!r}]"
        for rule, fits in (
            ("norm_decay_mult", name in self.norms),
            ("bias_decay_mult", name.rpartition(".")[2] == "bias"),
            ("flat_decay_mult", param.ndim == 1),
        ):
            if fits and self.paramwise_cfg.get(rule) is not None:
                return {"weight_decay": self.decay * self.paramwise_cfg[rule]}, rule
        return {"weight_decay": self.decay}, "the optimizer's own decay"


@CONSTRUCTORS.register_module(
    ["MMSelfSupLayerDecay", "mmselfsup.LearningRateDecayOptimWrapperConstructor"]
)
class MMSelfSupLayerDecay(ByNameConstructor):
    """MMSelfSup's layer decay: `layer_decay_rate` and `model_type` among the optimizer's options.

    `model_type` is vit, swin or mixmim. Weight decay follows the shortest custom key in the name,
    and nothing else.
    """

    def __init__(self, optim_wrapper_cfg: Any, paramwise_cfg: Any = None) -> None:
        super().__init__(optim_wrapper_cfg, paramwise_cfg)
        self.model_type = self.optimizer_cfg.pop("model_type", None)
        self.rate = self.optimizer_cfg.pop("layer_decay_rate", 1.0)
        if self.model_type not in ("vit", "swin", "mixmim"):
            raise ValueError(
                f"optimizer.model_type must be vit, swin or mixmim, got {self.model_type!r}"
            )

    def prepare(self, model: nn.Module) -> None:
        """Count the backbone's layers."""
        backbone: Any = getattr(model, "backbone", model)
        if self.model_type == "vit":
            self.depths = [len(backbone.layers)]
        else:
            self.depths = list(backbone.depths)
        self.layers = sum(self.depths) + (1 if self.model_type == "mixmim" else 2)
        self.custom = self.paramwise_cfg.get("custom_keys") or {}
        self.keys = sorted_keys(self.custom)[::-1]
        ignored = [key for key in self.paramwise_cfg if key not in ("custom_keys",)]
        if ignored:
            self.findings.append(
                f"paramwise_cfg.{ignored[0]} means nothing to {type(self).__name__}"
            )

    def decide(self, name: str, param: Tensor) -> Decision:
        """lr by the layer, weight decay by the shortest custom key in the name."""
        layer = self._layer(name)
        key = next((k for k in self.keys if k in name), None)
        factor = 1.0 if key is None else self.custom[key].get("decay_mult", 1.0)
        scale = self.rate ** (self.layers - layer - 1)
        options = {
            "weight_decay": self.decay * factor,
            "lr_scale": scale,
            "lr": self.lr * scale,
            "group_name": f"layer_{layer}_{'decay' if factor else 'no_decay'}",
        }
        return Decision(name, f"layer {layer}{'' if key is None else f' and {key!r}'}", options)

    def _layer(self, name: str) -> int:
        if self.model_type == "vit":
            return layer_ids.vit(name, self.depths[0], "layers")
        rule = layer_ids.swin if self.model_type == "swin" else layer_ids.mixmim
        return rule(name, self.depths)
