"""The model inside the wrappers that training puts around it."""

from __future__ import annotations

from torch import nn
from torch.nn.parallel import DataParallel, DistributedDataParallel

from loopwright.registry import MODEL_WRAPPERS


def unwrap(model: nn.Module) -> nn.Module:
    """The wrapped model; a model that merely has an attribute `module` is no wrapper."""
    inner = getattr(model, "module", None)
    return unwrap(inner) if isinstance(inner, nn.Module) and _wraps(model) else model


def _wraps(model: nn.Module) -> bool:
    if isinstance(model, DataParallel | DistributedDataParallel):
        return True
    registered = MODEL_WRAPPERS.module_dict.values()
    return isinstance(model, tuple(c for c in registered if isinstance(c, type)))
