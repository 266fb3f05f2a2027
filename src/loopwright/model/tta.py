"""Test-time augmentation: the predictions for several views of a sample, merged into one."""

from __future__ import annotations

from typing import Any

from torch import nn

from loopwright.model.base import BaseModel
from loopwright.model.wrap import unwrap
from loopwright.registry import MODELS


class BaseTTAModel(BaseModel):
    """A model around `module` whose test step predicts every view and merges.

    A batch has a list of views in every field: `dict(inputs=[view1, view2], data_samples=[...])`.
    A subclass defines `merge_preds(data_samples_list)`: a list a sample of its predictions, one a
    view, to a list of one prediction a sample.
    """

    def __init__(self, module: Any, data_preprocessor: Any = None) -> None:
        built = MODELS.build(module) if isinstance(module, dict) else module
        if not isinstance(built, nn.Module):
            raise TypeError(f"module must be a config dict or a module, got {module!r}")
        super().__init__(data_preprocessor=data_preprocessor)
        self.module = built

    def merge_preds(self, data_samples_list: list[list[Any]]) -> list[Any]:
        """One prediction a sample, of its predictions one a view."""
        raise NotImplementedError(f"{type(self).__name__} must define merge_preds()")

    def test_step(self, data: Any) -> list[Any]:
        """The merged predictions of a batch of views."""
        step: Any = unwrap(self.module)
        found = [step.test_step(view) for view in views_of(data)]
        return self.merge_preds([list(sample) for sample in zip(*found, strict=True)])

    val_step = test_step

    def forward(self, inputs: Any, data_samples: Any = None, mode: str = "tensor") -> Any:
        return self.module(inputs, data_samples, mode=mode)


def views_of(data: Any) -> list[Any]:
    """The batches of the single views in a batch of views.

    >>> views_of({"inputs": ["a1", "a2"], "data_samples": ["b1", "b2"]})[1]
    {'inputs': 'a2', 'data_samples': 'b2'}
    """
    if isinstance(data, dict):
        count = _count({key: value for key, value in data.items() if value is not None})
        return [
            {key: None if value is None else value[i] for key, value in data.items()}
            for i in range(count)
        ]
    if isinstance(data, list | tuple):
        count = _count(dict(enumerate(data)))
        return [type(data)(field[i] for field in data) for i in range(count)]
    raise TypeError(f"a batch of views must be a dict or a tuple, got a {type(data).__name__}")


def _count(fields: dict[Any, Any]) -> int:
    counts = {key: len(value) for key, value in fields.items()}
    if len(set(counts.values())) != 1:
        raise ValueError(f"the fields of a batch have different numbers of views: {counts}")
    return next(iter(counts.values()))


@MODELS.register_module()
class MeanTTAModel(BaseTTAModel):
    """Means the `pred_score`, or `seg_logits`, of the views and decides anew.

    Views must show classes in the same place: turn masks back in a `merge_preds` of your own where
    they do not.
    """

    def merge_preds(self, data_samples_list: list[list[Any]]) -> list[Any]:
        return [_mean(views) for views in data_samples_list]


def _mean(views: list[dict[str, Any]]) -> dict[str, Any]:
    merged = dict(views[0])
    for key, decided in (("pred_score", "pred_label"), ("seg_logits", "pred_sem_seg")):
        if key in merged:
            total = views[0][key]
            for view in views[1:]:
                total = total + view[key]
            merged[key] = total / len(views)
            merged[decided] = merged[key].argmax(0)
            return merged
    raise KeyError(f"the predictions have no pred_score or seg_logits, only {', '.join(merged)}")
