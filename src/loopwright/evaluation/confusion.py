"""Confusion counts and what follows from them: IoU, Dice, accuracy, precision, recall (pure)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Areas", "areas", "confusion"]


def confusion(
    predicted: Tensor, labels: Tensor, num_classes: int, ignore_index: int | None = None
) -> Tensor:
    """Counts of shape (C, C): rows are labels, columns predictions. Any equal shapes are taken.

    Raises:
        ValueError: shapes differ, or a class lies outside 0 … num_classes - 1.

    >>> confusion(torch.tensor([0, 1, 1]), torch.tensor([0, 0, 1]), 2).tolist()
    [[1, 1], [0, 1]]
    """
    if predicted.shape != labels.shape:
        shapes = f"{tuple(predicted.shape)} and {tuple(labels.shape)}"
        raise ValueError(f"predictions and labels differ in shape: {shapes}")
    keep = torch.ones_like(labels, dtype=torch.bool)
    if ignore_index is not None:
        keep = labels != ignore_index
    rows, columns = labels[keep].long(), predicted[keep].long()
    for what, values in (("label", rows), ("prediction", columns)):
        if values.numel() and not 0 <= int(values.min()) <= int(values.max()) < num_classes:
            worst = int(values.max()) if int(values.max()) >= num_classes else int(values.min())
            raise ValueError(f"a {what} is {worst}, but there are {num_classes} classes")
    counts = torch.bincount(rows * num_classes + columns, minlength=num_classes**2)
    return counts.reshape(num_classes, num_classes)


@dataclass(frozen=True)
class Areas:
    """Pixels by class, shape (C,) each: in both, in the prediction, in the label."""

    intersect: Tensor
    predicted: Tensor
    labelled: Tensor

    @property
    def iou(self) -> Tensor:
        """Intersection over union by class; NaN for a class that nowhere occurs."""
        return _ratio(self.intersect, self.predicted + self.labelled - self.intersect)

    @property
    def dice(self) -> Tensor:
        """Twice the intersection over the sum of both by class."""
        return _ratio(2 * self.intersect, self.predicted + self.labelled)

    @property
    def recall(self) -> Tensor:
        """The share of a class's pixels that were found (its accuracy)."""
        return _ratio(self.intersect, self.labelled)

    @property
    def precision(self) -> Tensor:
        """The share of the pixels called a class that are of it."""
        return _ratio(self.intersect, self.predicted)

    def fscore(self, beta: float = 1.0) -> Tensor:
        """The weighted harmonic mean of precision and recall by class."""
        precision, recall = self.precision, self.recall
        return (1 + beta**2) * precision * recall / (beta**2 * precision + recall)

    @property
    def accuracy(self) -> Tensor:
        """The share of all labelled pixels that are right."""
        return _ratio(self.intersect.sum(), self.labelled.sum())


def areas(matrix: Tensor) -> Areas:
    """The areas that a confusion matrix holds."""
    return Areas(matrix.diagonal(), matrix.sum(0), matrix.sum(1))


def _ratio(part: Tensor, whole: Tensor) -> Tensor:
    return part.double() / whole.double()
