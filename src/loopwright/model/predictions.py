"""What a plain network answers in evaluation, as one dict a sample with the truth beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor


def predictions(given: Any, targets: Any = None) -> list[Any]:
    """One prediction a sample.

    (N, C) with a class a sample: `pred_score` (C,), `pred_label`, `gt_label`. (N, C, H, W) with
    masks (N, H, W): `pred_sem_seg` (H, W), `gt_sem_seg`. Any other tensor: `pred`, and `gt` where
    there are targets. A list is taken to be predictions already.

    >>> import torch
    >>> predictions(torch.tensor([[0.0, 1.0]]), torch.tensor([1]))[0]["pred_label"]
    tensor(1)
    """
    if isinstance(given, list):
        return given
    if isinstance(given, Mapping):
        given = next((given[k] for k in ("logits", "out") if k in given), given)
    else:
        given = getattr(given, "logits", given)
    if isinstance(given, tuple) and given and isinstance(given[0], Tensor):
        given = given[0]
    if not isinstance(given, Tensor):
        return [given]
    return _of_tensor(given, targets)


def _of_tensor(given: Tensor, targets: Any) -> list[Any]:
    if given.ndim == 0:
        return [{"loss": given}]
    whole = isinstance(targets, Tensor) and not targets.is_floating_point()
    if whole and given.ndim == 2 and targets.ndim == 1:
        return classes(given, targets)
    if whole and given.ndim == 4 and targets.ndim == 3:
        return masks(given, targets)
    if targets is None:
        return [{"pred": row} for row in given]
    return [{"pred": row, "gt": truth} for row, truth in zip(given, targets, strict=True)]


def classes(logits: Tensor, targets: Any = None) -> list[dict[str, Any]]:
    """Classification: (N, C) logits and (N,) classes or None to one dict a sample."""
    scores, labels = logits.softmax(1), logits.argmax(1)
    found: list[dict[str, Any]] = [
        {"pred_score": score, "pred_label": label}
        for score, label in zip(scores, labels, strict=True)
    ]
    return with_truth(found, "gt_label", targets)


def masks(logits: Tensor, targets: Any = None) -> list[dict[str, Any]]:
    """Segmentation: (N, C, H, W) logits and (N, H, W) masks or None to one dict a sample."""
    found = [{"pred_sem_seg": mask} for mask in logits.argmax(1)]
    return with_truth(found, "gt_sem_seg", targets)


def with_truth(found: list[dict[str, Any]], key: str, targets: Any) -> list[dict[str, Any]]:
    """The predictions with each sample's truth under `key`, where there is one."""
    if targets is None:
        return found
    return [{**one, key: truth} for one, truth in zip(found, targets, strict=True)]
