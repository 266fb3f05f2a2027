"""Several optim wrappers by name, for models whose parts have optimizers of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any, NoReturn

from torch import Tensor, nn

from loopwright.core.nearest import nearest_or_all
from loopwright.optim.wrapper import BaseOptimWrapper, OptimWrapper
from loopwright.registry import OPTIM_WRAPPERS


@OPTIM_WRAPPERS.register_module()
class OptimWrapperDict(BaseOptimWrapper):
    """Optim wrappers by name; each is used by its own name, in the model's `train_step`."""

    def __init__(self, **optim_wrapper_dict: OptimWrapper) -> None:
        for name, wrapper in optim_wrapper_dict.items():
            if not isinstance(wrapper, OptimWrapper):
                raise TypeError(
                    f"OptimWrapperDict takes optim wrappers, got {type(wrapper).__name__} "
                    f"for {name!r}"
                )
        self.optim_wrappers = dict(optim_wrapper_dict)

    def update_params(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Not one loss for all: call it of one wrapper."""
        raise NotImplementedError(self._which("update_params"))

    def backward(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Not one loss for all: call it of one wrapper."""
        raise NotImplementedError(self._which("backward"))

    def step(self, **kwargs: Any) -> NoReturn:
        """Which optimizer steps when is the model's to say."""
        raise NotImplementedError(self._which("step"))

    def optim_context(self, model: nn.Module) -> AbstractContextManager[Any]:
        """Each wrapper has its own."""
        raise NotImplementedError(self._which("optim_context"))

    def _which(self, verb: str) -> str:
        names = ", ".join(self.optim_wrappers)
        return f"call `optim_wrapper[name].{verb}(...)` with a name of {names} in train_step"

    def zero_grad(self, **kwargs: Any) -> None:
        """Drop the gradients of all."""
        for wrapper in self.values():
            wrapper.zero_grad(**kwargs)

    def initialize_count_status(self, model: nn.Module, init_counts: int, max_counts: int) -> None:
        """Nothing: how often each wrapper goes backward is the model's to say."""

    @property
    def check_loss(self) -> Callable[[Tensor], bool] | None:
        """What looks at every loss before its backward, with whichever wrapper it goes."""
        return next((w.check_loss for w in self.values() if w.check_loss is not None), None)

    @check_loss.setter
    def check_loss(self, check: Callable[[Tensor], bool] | None) -> None:
        for wrapper in self.values():
            if getattr(wrapper, "loss_scaler", None) is None:
                wrapper.check_loss = check

    @property
    def after_backward(self) -> Callable[[], object] | None:
        """What is called after each backward of any of them."""
        return next((w.after_backward for w in self.values() if w.after_backward is not None), None)

    @after_backward.setter
    def after_backward(self, call: Callable[[], object] | None) -> None:
        for wrapper in self.values():
            wrapper.after_backward = call

    @property
    def inner_count(self) -> int:
        """How many backwards were made by all of them."""
        return sum(wrapper.inner_count for wrapper in self.values())

    def should_update(self) -> bool:
        """Whether none of them is inside an accumulation window."""
        return all(w.inner_count == 0 or w.should_update() for w in self.values())

    @property
    def last_update(self) -> bool:
        """Whether any of them changed weights in its last update, since ``begin_iteration``."""
        return any(wrapper.last_update for wrapper in self.values())

    def begin_iteration(self) -> None:
        """Forget the updates of the last iteration: not each of them updates in every one."""
        for wrapper in self.values():
            wrapper.last_update = False

    @property
    def last_step_skipped(self) -> bool:
        """Whether any of them dropped its last step."""
        return any(wrapper.last_step_skipped for wrapper in self.values())

    def metrics(self) -> dict[str, Tensor | float]:
        """The metrics of those that updated, under `name.metric`."""
        return {
            f"{name}.{key}": value
            for name, wrapper in self.items()
            if wrapper.last_update
            for key, value in wrapper.metrics().items()
        }

    @property
    def param_groups(self) -> dict[str, list[dict[str, Any]]]:
        """The groups of each."""
        return {name: wrapper.param_groups for name, wrapper in self.items()}

    def get_lr(self) -> dict[str, list[float]]:
        """The lrs of all, under `name.lr`."""
        return {f"{n}.{k}": v for n, w in self.items() for k, v in w.get_lr().items()}

    def get_momentum(self) -> dict[str, list[float]]:
        """The momenta of all, under `name.momentum`."""
        return {f"{n}.{k}": v for n, w in self.items() for k, v in w.get_momentum().items()}

    def state_dict(self) -> dict[str, Any]:
        """The states of all, by name, each with how often it went backward."""
        return {
            name: {**wrapper.state_dict(), "inner_count": wrapper.inner_count}
            for name, wrapper in self.items()
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load the states of all; KeyError for a name that is not here."""
        for name, state in state_dict.items():
            if name not in self.optim_wrappers:
                raise KeyError(f"no optim wrapper {name!r}{nearest_or_all(name, self)}")
            own, wrapper = dict(state), self.optim_wrappers[name]
            wrapper._inner_count = own.pop("inner_count", 0)
            wrapper.load_state_dict(own)

    def items(self) -> Iterator[tuple[str, OptimWrapper]]:
        """Names with their wrappers."""
        yield from self.optim_wrappers.items()

    def values(self) -> Iterator[OptimWrapper]:
        """The wrappers."""
        yield from self.optim_wrappers.values()

    def keys(self) -> Iterator[str]:
        """The names."""
        yield from self.optim_wrappers

    def __iter__(self) -> Iterator[str]:
        return iter(self.optim_wrappers)

    def __getitem__(self, name: str) -> OptimWrapper:
        return self.optim_wrappers[name]

    def __contains__(self, name: str) -> bool:
        return name in self.optim_wrappers

    def __len__(self) -> int:
        return len(self.optim_wrappers)

    def __repr__(self) -> str:
        return f"OptimWrapperDict({', '.join(f'{n}={w!r}' for n, w in self.items())})"
