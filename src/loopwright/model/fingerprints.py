"""The fingerprint of a model: a hash of every parameter and persistent buffer."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from loopwright.dist import all_gather_object
from loopwright.model.module import named_tensors
from loopwright.model.prints import Fingerprint, TensorPrint
from loopwright.model.wrap import unwrap


def fingerprint(model: nn.Module) -> Fingerprint:
    """The fingerprint of a model's parameters and persistent buffers as they are now.

    Names are the model's own, whatever wraps it; tied tensors count once; sharded ones are
    gathered (say it on every rank). Raises ValueError naming a parameter that is not there yet
    (on the meta device, or lazy).

    >>> layer = nn.Linear(2, 1)
    >>> fingerprint(layer).total == fingerprint(nn.Sequential(layer)[0]).total
    True
    """
    tensors = {}
    for name, tensor in named_tensors(unwrap(model)):
        tensors[plain_name(name)] = tensor_print(name, tensor)
    return Fingerprint(tensors)


def check_ranks(found: Fingerprint) -> None:
    """Raises RuntimeError, naming the first tensor that differs, unless all ranks start the same.

    Not for sharded models, whose fingerprint is gathered and so the same by itself.
    """
    totals = all_gather_object(found.total)
    if len(set(totals)) == 1:
        return
    everyone = all_gather_object({name: t.sha256 for name, t in found.tensors.items()})
    rank = next(i for i, total in enumerate(totals) if total != totals[0])
    names = [n for n, sha in everyone[0].items() if everyone[rank].get(n) != sha]
    first = names[0] if names else "one that process 0 lacks"
    raise RuntimeError(
        f"processes 0 and {rank} start from different parameters, first difference {first}: every "
        "process must initialise from the same seed"
    )


def plain_name(name: str) -> str:
    """A state-dict name without what `torch.compile` and separate wrappers put inside it.

    >>> plain_name("_orig_mod.backbone._orig_mod.fc.weight")
    'backbone.fc.weight'
    """
    return ".".join(part for part in name.split(".") if part != "_orig_mod")


def tensor_print(name: str, tensor: Tensor) -> TensorPrint:
    """The hash of a tensor's shape, type and bytes."""
    if tensor.is_meta or is_lazy(tensor):
        raise ValueError(f"{name} has no values yet: it is on the meta device or lazy")
    shape, dtype = tuple(tensor.shape), str(tensor.dtype).removeprefix("torch.")
    digest = hashlib.sha256(f"{dtype}{list(shape)}".encode())
    if tensor.numel():
        digest.update(_bytes(tensor))
    trained = isinstance(tensor, nn.Parameter)
    return TensorPrint(digest.hexdigest(), shape, dtype, trained)


def _bytes(tensor: Tensor) -> memoryview:
    whole = tensor.detach()
    if hasattr(whole, "full_tensor"):
        whole = whole.full_tensor()
    flat = whole.cpu().contiguous().reshape(-1)
    raw: memoryview = flat.view(torch.uint8).numpy().data
    return raw
