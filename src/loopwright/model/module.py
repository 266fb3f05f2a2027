"""BaseModule: a module that initialises itself as its `init_cfg` says, once, children included."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from torch import Tensor, nn

from loopwright.model.init import initialise
from loopwright.registry import MODELS

InitCfg = Any  # an initialiser's config dict, a list of them, or None


class BaseModule(nn.Module):
    """A module with `init_cfg`: how its weights start.

    >>> class Net(BaseModule):
    ...     def __init__(self, init_cfg=None):
    ...         super().__init__(init_cfg)
    ...         self.fc = nn.Linear(2, 1)
    >>> net = Net(dict(type="Constant", layer="Linear", val=1, bias=2))
    >>> net.init_weights()
    >>> net.fc.weight.tolist(), net.fc.bias.tolist()
    ([[1.0, 1.0]], [2.0])
    """

    def __init__(self, init_cfg: InitCfg = None) -> None:
        super().__init__()
        self._is_init = False
        self.init_cfg = init_cfg

    @property
    def is_init(self) -> bool:
        """Whether `init_weights` was done; set it False to have it done again."""
        return self._is_init

    @is_init.setter
    def is_init(self, value: bool) -> None:
        self._is_init = value

    def init_weights(self) -> None:
        """Initialise by `init_cfg`, then the children, then what is `Pretrained`; only once."""
        if self._is_init:
            return
        given = _as_list(self.init_cfg)
        pretrained = [cfg for cfg in given if _is_pretrained(cfg)]
        fresh = [cfg for cfg in given if not _is_pretrained(cfg)]
        if fresh:
            initialise(self, fresh)
        for child in self.children():
            if initialises_itself(child):
                cast("BaseModule", child).init_weights()
        if pretrained:
            initialise(self, pretrained)
        self._is_init = True

    def __repr__(self) -> str:
        shown = super().__repr__()
        return f"{shown}\ninit_cfg={self.init_cfg}" if self.init_cfg else shown


# Libraries whose models come initialised, perhaps with pretrained weights: never done again.
_READY = ("timm", "transformers", "torchvision", "segmentation_models_pytorch", "torch")


def initialises_itself(module: nn.Module) -> bool:
    """Whether a module has an `init_weights` that a run is to call."""
    if isinstance(module, BaseModule):
        return True
    package = type(module).__module__.partition(".")[0]
    return package not in _READY and callable(getattr(module, "init_weights", None))


def _as_list(cfg: InitCfg) -> list[dict[str, Any]]:
    if not cfg:
        return []
    return list(cfg) if isinstance(cfg, list | tuple) else [cfg]


def _is_pretrained(cfg: Mapping[str, Any]) -> bool:
    kind = cfg.get("type")
    return (kind if isinstance(kind, str) else getattr(kind, "__name__", "")) in (
        "Pretrained",
        "PretrainedInit",
    )


@MODELS.register_module(name="BaseSequential")
class Sequential(BaseModule, nn.Sequential):
    """`nn.Sequential` with `init_cfg`."""

    def __init__(self, *args: Any, init_cfg: InitCfg = None) -> None:
        BaseModule.__init__(self, init_cfg)
        nn.Sequential.__init__(self, *args)
        self._is_init, self.init_cfg = False, init_cfg


@MODELS.register_module(name="BaseModuleList")
class ModuleList(BaseModule, nn.ModuleList):
    """`nn.ModuleList` with `init_cfg`."""

    def __init__(self, modules: Any = None, init_cfg: InitCfg = None) -> None:
        BaseModule.__init__(self, init_cfg)
        nn.ModuleList.__init__(self, modules)
        self._is_init, self.init_cfg = False, init_cfg


@MODELS.register_module(name="BaseModuleDict")
class ModuleDict(BaseModule, nn.ModuleDict):
    """`nn.ModuleDict` with `init_cfg`."""

    def __init__(self, modules: Any = None, init_cfg: InitCfg = None) -> None:
        BaseModule.__init__(self, init_cfg)
        nn.ModuleDict.__init__(self, modules)
        self._is_init, self.init_cfg = False, init_cfg


def named_tensors(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Parameters and persistent buffers under their state-dict names, tied ones once."""
    seen: set[int] = set()
    for name, tensor in model.state_dict(keep_vars=True).items():
        if isinstance(tensor, Tensor) and id(tensor) not in seen:
            seen.add(id(tensor))
            yield name, tensor
