"""Reading predictions and labels out of samples, under the names that code bases give them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from loopwright.core.nearest import did_you_mean

__all__ = ["LABELS", "MASKS", "PREDICTED_LABELS", "PREDICTED_MASKS", "SCORES", "find", "stacked"]

SCORES = ("pred_score", "pred_scores", "scores", "logits", "pred_logits")
PREDICTED_LABELS = ("pred_label", "pred_labels", "pred", "prediction")
LABELS = ("gt_label", "gt_labels", "label", "labels", "target", "targets")
PREDICTED_MASKS = ("pred_sem_seg", "pred_mask", "pred")
MASKS = ("gt_sem_seg", "gt_semantic_seg", "gt_mask", "mask", "target")


def find(sample: Any, names: Iterable[str]) -> Tensor | None:
    """The first of these entries as a tensor; `{"data": …}` and `{"label": …}` are opened.

    >>> find({"gt_label": 3}, LABELS)
    tensor(3)
    """
    for name in names:
        value = sample.get(name) if isinstance(sample, Mapping) else getattr(sample, name, None)
        if isinstance(value, Mapping):
            value = next((value[k] for k in ("data", "label", "score") if k in value), None)
        elif value is not None and not isinstance(value, Tensor) and hasattr(value, "data"):
            value = value.data if isinstance(value.data, Tensor) else value
        if value is not None:
            return value if isinstance(value, Tensor) else torch.as_tensor(value)
    return None


def need(sample: Any, names: Sequence[str], metric: str) -> Tensor:
    """As `find`.

    Raises:
        KeyError: no such entry; the message names the metric, what is there and the nearest name.
    """
    found = find(sample, names)
    if found is not None:
        return found
    there = list(sample) if isinstance(sample, Mapping) else [type(sample).__name__]
    hint = next(filter(None, (did_you_mean(name, there) for name in names)), "")
    raise KeyError(f"{metric} needs one of {', '.join(names)} in a sample, got {there}{hint}")


def stacked(samples: Sequence[Any], name: str, what: str) -> Tensor:
    """One entry of every sample as a tensor of shape (n, …); one-element labels become (n,)."""
    rows = [need(sample, (name,), what) for sample in samples]
    rows = [row.squeeze(0) if row.dim() == 1 and row.numel() == 1 else row for row in rows]
    return torch.stack(rows)
