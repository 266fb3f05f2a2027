"""The initialiser `Pretrained`: weights from a file, read by whoever was named as the reader."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

from torch import Tensor, nn

from loopwright.registry import WEIGHT_INITIALIZERS


class ReadWeights(Protocol):
    """Reads a checkpoint file or folder into plain data, executing nothing."""

    def __call__(self, path: str, /, *, map_location: str) -> Mapping[str, Any]: ...


_reader: ContextVar[ReadWeights | None] = ContextVar("loopwright_weights_reader", default=None)


@contextmanager
def weights_read_with(reader: ReadWeights) -> Iterator[None]:
    """Inside the block `Pretrained` reads files with this function."""
    token = _reader.set(reader)
    try:
        yield
    finally:
        _reader.reset(token)


@WEIGHT_INITIALIZERS.register_module(name="Pretrained")
class PretrainedInit:
    """Loads the weights of `checkpoint`; with `prefix` only those below it, without it.

    What is missing or left over is one warning. Raises ValueError when nothing fits.
    """

    def __init__(
        self, checkpoint: str, prefix: str | None = None, map_location: str = "cpu"
    ) -> None:
        self.checkpoint, self.prefix, self.map_location = checkpoint, prefix, map_location

    def __call__(self, module: nn.Module) -> int:
        read = _reader.get() or _read
        state = read(self.checkpoint, map_location=self.map_location)
        weights = below(_weights(state), self.prefix)
        own = module.state_dict()
        fit = {k: v for k, v in weights.items() if k in own and own[k].shape == v.shape}
        if not fit:
            raise ValueError(
                f"Pretrained: nothing in {self.checkpoint} fits {type(module).__name__}: it wants "
                f"{_some(own)}, the file has {_some(weights)} (prefix={self.prefix!r})"
            )
        module.load_state_dict(fit, strict=False)
        _say(self.checkpoint, missing=set(own) - set(fit), left=set(weights) - set(fit))
        return len(fit)


def below(weights: Mapping[str, Any], prefix: str | None) -> dict[str, Tensor]:
    """The tensors under a prefix, named without it.

    >>> list(below({"backbone.fc": Tensor(), "head": Tensor()}, "backbone"))
    ['fc']
    """
    start = "" if not prefix else prefix.removesuffix(".") + "."
    return {
        key.removeprefix(start): value
        for key, value in weights.items()
        if key.startswith(start) and isinstance(value, Tensor)
    }


def _weights(state: Mapping[str, Any]) -> Mapping[str, Any]:
    for key in ("state_dict", "model"):
        inner = state.get(key)
        if isinstance(inner, Mapping):
            return inner
    return state


def _read(path: str, /, *, map_location: str) -> Mapping[str, Any]:
    if not path.endswith(".safetensors"):
        raise ValueError(
            f"Pretrained: {path} is read as safetensors here; for other files a reader is named: "
            "with loopwright.model.weights_read_with(reader), as every run does"
        )
    from safetensors.torch import load_file

    found: Mapping[str, Any] = load_file(path, device=map_location)
    return found


def _say(checkpoint: str, *, missing: set[str], left: set[str]) -> None:
    missing = {name for name in missing if not name.endswith("num_batches_tracked")}
    if missing or left:
        warnings.warn(
            f"{checkpoint}: {len(missing)} weights of the model are not in it "
            f"({_some(missing)}), {len(left)} of it were not used ({_some(left)})",
            stacklevel=4,
        )


def _some(names: Any) -> str:
    names = sorted(names)
    shown = ", ".join(names[:3])
    return f"{shown}, …" if len(names) > 3 else shown or "none"
