"""Whether the weights in a checkpoint fit a model, found without reading one of them."""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import nn

from loopwright.checkpoint import WeightsError, load_weights
from loopwright.checkpoint.outline import Outlined


def fit(model: nn.Module, weights: Any, *, strict: bool) -> tuple[str, str] | None:
    """What loading would say: an error where it refuses, a note where something is left out.

    The model is moved to the meta device. None: everything fits.
    """
    if not isinstance(weights, dict):
        return "error", f"holds a {type(weights).__name__} and no weights by name"
    shaped = {
        name: torch.empty(one.shape, device="meta") if isinstance(one, Outlined) else one
        for name, one in weights.items()
    }
    try:
        report = load_weights(model.to("meta"), shaped, strict=strict)
    except WeightsError as error:
        return "error", _in_a_line(str(error))
    return None if report.ok else ("note", _in_a_line(str(report)))


def _in_a_line(text: str) -> str:
    """A report as one sentence.

    >>> _in_a_line("2 tensors loaded\\n1 missing:\\n  bias   (near: bais)")
    '2 tensors loaded; 1 missing: bias (near: bais)'
    """
    return re.sub(r" +", " ", re.sub(r":\n *", ": ", text).replace("\n", "; "))
