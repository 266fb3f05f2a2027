"""Models in many processes: wrappers by name, what is inside them, and one start for all ranks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DataParallel, DistributedDataParallel

from loopwright.model.base import BaseModel, run_forward, update
from loopwright.model.graph import parameters_without_part
from loopwright.model.module import initialises_itself
from loopwright.model.trainable import adapter_of
from loopwright.registry import MODEL_WRAPPERS


@MODEL_WRAPPERS.register_module()
class MMDistributedDataParallel(DistributedDataParallel):
    """torch's DistributedDataParallel around a model that trains itself.

    Takes its arguments. `detect_anomalous_params` names, after each forward, the parameters that
    the loss does not depend on (slow; to find out why a run hangs or complains).
    """

    def __init__(self, module: nn.Module, detect_anomalous_params: bool = False, **how: Any):
        _check_train_step(module)
        super().__init__(module=module, **how)
        self.detect_anomalous_params = detect_anomalous_params

    def train_step(self, data: Any, optim_wrapper: Any) -> dict[str, Any]:
        """The model's training step, its gradients averaged over the processes."""
        adapter = adapter_of(self.module)
        if adapter is not None:
            return adapter.train(self, data, optim_wrapper)
        with optim_wrapper.optim_context(self):
            data = self.module.data_preprocessor(data, True)
            losses = run_forward(self, data, mode="loss")
        total, logs = self.module.parse_losses(losses)
        if self.detect_anomalous_params:
            parameters_without_part(total, self.module, warn=True)
        update(optim_wrapper, total, logs)
        return logs

    def val_step(self, data: Any) -> Any:
        return self.module.val_step(data)

    def test_step(self, data: Any) -> Any:
        return self.module.test_step(data)

    def loss_step(self, data: Any) -> Any:
        return self.module.loss_step(data)


def _check_train_step(module: nn.Module) -> None:
    if adapter_of(module) is not None:
        return
    if isinstance(module, BaseModel) and type(module).train_step is BaseModel.train_step:
        return
    raise TypeError(
        f"{type(module).__name__} has a train_step of its own, which MMDistributedDataParallel "
        "would go past: use model_wrapper_cfg=dict(type='MMSeparateDistributedDataParallel')"
    )


@MODEL_WRAPPERS.register_module()
class MMSeparateDistributedDataParallel(nn.Module):
    """Each child of a model in a DistributedDataParallel of its own, for a `train_step` of yours.

    Made for models with several optimizers, as GANs are. Children without trainable parameters
    are left as they are.
    """

    def __init__(self, module: nn.Module, **how: Any) -> None:
        super().__init__()
        self.module: Any = module
        for name, child in module.named_children():
            if any(p.requires_grad for p in child.parameters()):
                setattr(module, name, DistributedDataParallel(child, **how))

    def train_step(self, data: Any, optim_wrapper: Any) -> Any:
        return self.module.train_step(data, optim_wrapper=optim_wrapper)

    def val_step(self, data: Any) -> Any:
        return self.module.val_step(data)

    def test_step(self, data: Any) -> Any:
        return self.module.test_step(data)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.module(*args, **kwargs)

    @contextmanager
    def no_sync(self) -> Iterator[None]:
        """Gradients stay apart inside, in every child."""
        with ExitStack() as stack:
            for child in self.module.children():
                if isinstance(child, DistributedDataParallel):
                    stack.enter_context(child.no_sync())
            yield


def wrap_model(model: nn.Module, cfg: Mapping[str, Any], device: torch.device) -> nn.Module:
    """A model in the wrapper that `cfg['type']` names, with the rest of `cfg` as its arguments.

    Raises UnknownNameError for a name that no wrapper has, with the nearest.
    """
    cfg = {"type": "MMDistributedDataParallel", **cfg}
    places = [device.index or 0] if device.type == "cuda" else None
    if "device_ids" not in cfg and places is not None and "FullySharded" not in str(cfg["type"]):
        cfg["device_ids"] = places
    wrapped: nn.Module = MODEL_WRAPPERS.build({**cfg, "module": model})
    return wrapped


def is_model_wrapper(model: nn.Module) -> bool:
    """Whether a model is one of the known wrappers; an attribute `module` does not make it one."""
    if isinstance(model, DataParallel | DistributedDataParallel):
        return True
    known = MODEL_WRAPPERS.module_dict.values()
    return isinstance(model, tuple(kind for kind in known if isinstance(kind, type)))


def unwrap(model: Any) -> nn.Module:
    """The model inside wrappers and `torch.compile`, whose names a checkpoint holds.

    >>> net = nn.Module(); net.module = nn.Linear(1, 1)
    >>> unwrap(net) is net
    True
    """
    while True:
        if type(model).__name__ == "OptimizedModule" and "_orig_mod" in model._modules:
            model = model._orig_mod
        elif is_model_wrapper(model) and isinstance(model.module, nn.Module):
            model = model.module
        else:
            return model  # type: ignore[no-any-return]


def is_sharded(model: nn.Module) -> bool:
    """Whether parameters lie in parts on several processes."""
    return any(hasattr(p, "device_mesh") for p in unwrap(model).parameters())


def model_state(model: nn.Module) -> dict[str, Tensor]:
    """The state dict of the model itself, children's wrappers taken out of its names too."""
    state = unwrap(model).state_dict()
    inner = [
        f"{name}."
        for name, child in unwrap(model).named_modules()
        if name and is_model_wrapper(child)
    ]
    for prefix in sorted(inner, key=len, reverse=True):
        state = {
            key.replace(prefix + "module.", prefix, 1) if key.startswith(prefix) else key: value
            for key, value in state.items()
        }
    return dict(state)


def init_weights(model: nn.Module, seed: int) -> None:
    """Initialise a model that knows how to, drawing the same numbers on every rank.

    The global generators are left as they were. A model without an `init_weights`, or of a library
    whose models come initialised, stays as it was built.
    """
    inner: Any = unwrap(model)
    if not initialises_itself(inner):
        return
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        inner.init_weights()
