"""The initialiser `Pretrained`: weights from a checkpoint of any kind that can be read."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from loopwright.registry import FUNCTIONS, WEIGHT_INITIALIZERS


@WEIGHT_INITIALIZERS.register_module(name="Pretrained")
class PretrainedInit:
    """Loads the weights of `checkpoint`; with `prefix` only those below it, without it.

    What is missing or left over is one warning. Nothing in the file is executed. Raises ValueError
    when nothing fits, CheckpointError for a file that cannot be read.
    """

    def __init__(
        self, checkpoint: str, prefix: str | None = None, map_location: str = "cpu"
    ) -> None:
        self.checkpoint, self.prefix, self.map_location = checkpoint, prefix, map_location

    def __call__(self, module: nn.Module) -> int:
        read: Any = FUNCTIONS.get("read_weights")  # by name: checkpoints lie beside models
        found = read(self.checkpoint, map_location=self.map_location)
        weights = below(found, self.prefix)
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
