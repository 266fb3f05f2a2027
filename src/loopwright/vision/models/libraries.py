"""Other libraries' models by config: timm, torchvision, transformers, segmentation-models-pytorch.

Each is imported when a config asks for it; a missing one is an error with the command to install.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from loopwright.core.nearest import did_you_mean
from loopwright.model.base import BaseModel
from loopwright.model.module import BaseModule
from loopwright.model.predictions import classes, masks
from loopwright.registry import MODELS
from loopwright.vision.models.classifier import LABEL_KEYS
from loopwright.vision.models.common import as_batch, column
from loopwright.vision.models.detector import Truth, truths_of
from loopwright.vision.models.segmentor import MASK_KEYS, resized


def library(module: str, package: str) -> Any:
    """A library's module. Raises ImportError, saying how to get it, where it does not import."""
    try:
        return importlib.import_module(module)
    except Exception as error:  # a broken binary raises far more than ImportError
        raise ImportError(
            f"this model needs {package}, which does not import here ({error}): "
            f"pip install {package}"
        ) from error


@MODELS.register_module()
class TIMMBackbone(BaseModule):
    """A timm model as a backbone: with `features_only` a tuple of feature maps, else one feature.

    Further arguments go to `timm.create_model`.
    """

    def __init__(
        self,
        model_name: str,
        features_only: bool = False,
        pretrained: bool = False,
        checkpoint_path: str = "",
        in_channels: int = 3,
        init_cfg: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(init_cfg)
        timm = library("timm", "timm")
        _known(model_name, timm.list_models(), "timm model")
        if not features_only:
            options.setdefault("num_classes", 0)
        self.timm_model: nn.Module = timm.create_model(
            model_name,
            features_only=features_only,
            pretrained=pretrained,
            in_chans=in_channels,
            checkpoint_path=checkpoint_path,
            **options,
        )

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        out = self.timm_model(x)
        return tuple(out) if isinstance(out, list | tuple) else (out,)


@MODELS.register_module()
class TimmClassifier(BaseModel):
    """A whole timm model that classifies; further arguments go to `timm.create_model`."""

    def __init__(
        self,
        model_name: str,
        num_classes: int,
        pretrained: bool = False,
        in_channels: int = 3,
        loss: Any = None,
        data_preprocessor: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(data_preprocessor)
        timm = library("timm", "timm")
        _known(model_name, timm.list_models(), "timm model")
        self.model: nn.Module = timm.create_model(
            model_name,
            num_classes=num_classes,
            pretrained=pretrained,
            in_chans=in_channels,
            **options,
        )
        self.loss = MODELS.build(loss) if isinstance(loss, dict) else loss

    def forward(self, inputs: Any, data_samples: Any = None, mode: str = "tensor") -> Any:
        logits = self.model(as_batch(inputs))
        if mode == "tensor":
            return logits
        labels: Any = None if data_samples is None else column(data_samples, LABEL_KEYS)
        if mode == "predict":
            return classes(logits, labels)
        return {"loss": (self.loss or functional.cross_entropy)(logits, labels)}


@MODELS.register_module()
class TorchvisionDetector(BaseModel):
    """A detector of `torchvision.models.detection` by its name; labels from 0, as in our data.

    Its class 0 is the background, so it is built for one more. Further arguments go to it.
    """

    def __init__(
        self, name: str, num_classes: int, data_preprocessor: Any = None, **options: Any
    ) -> None:
        super().__init__(data_preprocessor)
        zoo = library("torchvision.models.detection", "torchvision")
        options.setdefault("weights", None)
        options.setdefault("weights_backbone", None)
        _known(name, [n for n in dir(zoo) if n[0].islower()], "torchvision detector")
        self.model: nn.Module = getattr(zoo, name)(num_classes=num_classes + 1, **options)

    def forward(self, inputs: Any, data_samples: Any = None, mode: str = "tensor") -> Any:
        images = list(inputs)
        truths = None if data_samples is None else truths_of(data_samples, images[0].device)
        if mode == "loss":
            if truths is None:
                raise ValueError("training needs boxes and labels in data_samples, got None")
            losses = self._in_training(images, [_shifted(truth) for truth in truths])
            return {name if "loss" in name else f"loss_{name}": v for name, v in losses.items()}
        found = [{**one, "labels": one["labels"] - 1} for one in self.model(images)]
        if mode == "tensor" or truths is None:
            return found
        return [{**one, "gt": truth._asdict()} for one, truth in zip(found, truths, strict=True)]

    def _in_training(self, images: list[Tensor], targets: list[dict[str, Tensor]]) -> Any:
        """torchvision gives losses in training mode only; a validation loss needs them too."""
        was = self.model.training
        if was:
            return self.model(images, targets)
        frozen = [(m, m.training) for m in self.model.modules()]
        try:
            self.model.train()
            for module in self.model.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm | nn.Dropout):
                    module.eval()
            return self.model(images, targets)
        finally:
            for module, flag in frozen:
                module.training = flag


def _shifted(truth: Truth) -> dict[str, Tensor]:
    kept = ~truth.ignore
    return {"boxes": truth.boxes[kept], "labels": truth.labels[kept] + 1}


@MODELS.register_module()
class TorchvisionSegmentor(BaseModel):
    """A model of `torchvision.models.segmentation` by its name; further arguments go to it."""

    def __init__(
        self,
        name: str,
        num_classes: int,
        ignore_index: int = 255,
        aux_weight: float = 0.4,
        data_preprocessor: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(data_preprocessor)
        zoo = library("torchvision.models.segmentation", "torchvision")
        options.setdefault("weights", None)
        options.setdefault("weights_backbone", None)
        _known(name, [n for n in dir(zoo) if n[0].islower()], "torchvision segmentor")
        self.model: nn.Module = getattr(zoo, name)(num_classes=num_classes, **options)
        self.ignore_index, self.aux_weight = ignore_index, aux_weight

    def forward(self, inputs: Any, data_samples: Any = None, mode: str = "tensor") -> Any:
        outs = self.model(as_batch(inputs))
        if mode == "tensor":
            return outs["out"]
        truth: Any = None if data_samples is None else column(data_samples, MASK_KEYS).long()
        if mode == "predict":
            return masks(outs["out"], truth)
        how: Any = {"ignore_index": self.ignore_index}
        losses = {"loss_ce": functional.cross_entropy(outs["out"], truth, **how)}
        if "aux" in outs:
            aux = functional.cross_entropy(outs["aux"], truth, **how)
            losses["loss_aux"] = aux * self.aux_weight
        return losses


@MODELS.register_module()
class SMPSegmentor(BaseModel):
    """A model of segmentation-models-pytorch: `arch` ('Unet', …), `encoder_name`, its arguments."""

    def __init__(
        self,
        arch: str,
        encoder_name: str,
        num_classes: int,
        in_channels: int = 3,
        encoder_weights: str | None = None,
        ignore_index: int = 255,
        loss: Any = None,
        data_preprocessor: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(data_preprocessor)
        smp = library("segmentation_models_pytorch", "segmentation-models-pytorch")
        self.model: nn.Module = smp.create_model(
            arch,
            encoder_name=encoder_name,
            encoder_weights=encoder_weights,
            in_channels=in_channels,
            classes=num_classes,
            **options,
        )
        self.ignore_index = ignore_index
        self.loss = MODELS.build(loss) if isinstance(loss, dict) else loss

    def forward(self, inputs: Any, data_samples: Any = None, mode: str = "tensor") -> Any:
        logits = self.model(as_batch(inputs))
        if mode == "tensor":
            return logits
        truth: Any = None if data_samples is None else column(data_samples, MASK_KEYS).long()
        if mode == "predict":
            return masks(logits, truth)
        if self.loss is not None:
            return {"loss": self.loss(logits, truth)}
        return {"loss": functional.cross_entropy(logits, truth, ignore_index=self.ignore_index)}


@MODELS.register_module()
class TransformersModel(BaseModel):
    """A transformers model for images: `auto_class` and `name` (hub or folder), or `config`.

    `auto_class` is 'AutoModelForImageClassification' or 'AutoModelForSemanticSegmentation'.
    `config` is a dict with `model_type`: random weights, nothing is downloaded. `pretrained=False`
    with a `name` takes its configuration alone.
    """

    def __init__(
        self,
        auto_class: str = "AutoModelForImageClassification",
        name: str | None = None,
        config: dict[str, Any] | None = None,
        pretrained: bool = True,
        ignore_index: int = 255,
        data_preprocessor: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(data_preprocessor)
        if (name is None) == (config is None):
            raise ValueError("give either name or config")
        transformers = library("transformers", "transformers")
        _known(auto_class, [n for n in dir(transformers) if n.startswith("AutoModel")], "class")
        kind = getattr(transformers, auto_class)
        if config is not None:
            made = transformers.AutoConfig.for_model(**{**config, **options})
            self.model: nn.Module = kind.from_config(made)
        elif pretrained:
            self.model = kind.from_pretrained(name, **options)
        else:
            made = transformers.AutoConfig.from_pretrained(name, **options)
            self.model = kind.from_config(made)
        self.ignore_index = ignore_index

    def forward(self, inputs: Any, data_samples: Any = None, mode: str = "tensor") -> Any:
        images = as_batch(inputs)
        logits = self.model(pixel_values=images).logits
        if mode == "tensor":
            return logits
        dense = logits.ndim == 4
        truth: Any = None
        if data_samples is not None:
            truth = column(data_samples, MASK_KEYS if dense else LABEL_KEYS).long()
        if dense:
            logits = resized(logits, images.shape[-2:])
        if mode == "predict":
            return masks(logits, truth) if dense else classes(logits, truth)
        how: Any = {"ignore_index": self.ignore_index} if dense else {}
        return {"loss": functional.cross_entropy(logits, truth, **how)}


def _known(name: str, names: Sequence[str], what: str) -> None:
    if name in names or "/" in name or ":" in name or "." in name:
        return
    raise ValueError(f"{name!r} is no {what}{did_you_mean(name, names, most=3)}")


__all__ = [
    "SMPSegmentor",
    "TIMMBackbone",
    "TimmClassifier",
    "TorchvisionDetector",
    "TorchvisionSegmentor",
    "TransformersModel",
]
