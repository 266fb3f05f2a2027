"""Image classification: a backbone, a pooling, a linear head."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from loopwright.model.base import BaseModel
from loopwright.model.predictions import classes
from loopwright.registry import MODELS
from loopwright.vision.models.common import as_batch, column

LABEL_KEYS = ("gt_label", "label", "labels")


@MODELS.register_module()
class GlobalAveragePooling(nn.Module):
    """The mean over positions of each (N, C, H, W) in a tuple; (N, C) is left as it is."""

    def forward(self, inputs: Any) -> tuple[Tensor, ...]:
        given = inputs if isinstance(inputs, tuple | list) else (inputs,)
        return tuple(x.mean((2, 3)) if x.ndim == 4 else x for x in given)


@MODELS.register_module()
class LinearClsHead(nn.Module):
    """One linear layer, `fc`, on the last of the features; `loss` by config."""

    def __init__(self, num_classes: int, in_channels: int, loss: Any = None) -> None:
        super().__init__()
        self.fc = nn.Linear(in_channels, num_classes)
        self.loss_module = MODELS.build(loss) if isinstance(loss, dict) else loss

    def forward(self, feats: tuple[Tensor, ...]) -> Tensor:
        logits: Tensor = self.fc(feats[-1])
        return logits

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Cross entropy, or what the config says."""
        if self.loss_module is None:
            return functional.cross_entropy(logits, labels)
        loss: Tensor = self.loss_module(logits, labels)
        return loss


@MODELS.register_module()
class ImageClassifier(BaseModel):
    """`backbone`, `neck` (default: mean over positions) and `head` by config.

    Predicts, one dict an image, `pred_score` (C,), `pred_label` and, where known, `gt_label`.
    """

    def __init__(
        self,
        backbone: Any,
        head: Any,
        neck: Any = None,
        data_preprocessor: Any = None,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(data_preprocessor, init_cfg)
        self.backbone = MODELS.build(backbone)
        self.neck = GlobalAveragePooling() if neck is None else MODELS.build(neck)
        self.head = MODELS.build(head)

    def extract_feat(self, inputs: Any) -> Tensor:
        """(N, D) features of images."""
        feats = self.backbone(as_batch(inputs))
        feature: Tensor = self.neck(feats)[-1]
        return feature

    def forward(self, inputs: Any, data_samples: Any = None, mode: str = "tensor") -> Any:
        logits = self.head((self.extract_feat(inputs),))
        if mode == "tensor":
            return logits
        labels = None if data_samples is None else column(data_samples, LABEL_KEYS)
        if mode == "predict":
            return classes(logits, labels)
        if labels is None:
            raise ValueError("training needs labels in data_samples, got None")
        right = (logits.detach().argmax(1) == labels).float().mean() * 100
        return {"loss": self.head.loss(logits, labels), "accuracy_top-1": right}

    def get_layer_depth(self, param_name: str) -> tuple[int, int]:
        """`(layer, number of layers)`, as the backbone says."""
        return depth_of(self.backbone, param_name)


def depth_of(backbone: Any, param_name: str) -> tuple[int, int]:
    """How deep a model's parameter lies, by its backbone's `get_layer_depth`."""
    if not hasattr(backbone, "get_layer_depth"):
        raise NotImplementedError(f"{type(backbone).__name__} says no layer depths")
    found: tuple[int, int] = backbone.get_layer_depth(param_name, "backbone.")
    return found
