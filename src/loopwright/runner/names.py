"""MMEngine's further names on a runner: builders and facts that downstream code asks for."""

from __future__ import annotations

from typing import Any

from loopwright.core.length import length_of
from loopwright.data import build_dataloader
from loopwright.dist import get_rank, get_world_size
from loopwright.optim import build_optim_wrapper, build_param_scheduler


class MMEngineNames:
    """What `Runner` answers beside its own words; each builds anew or tells a fact."""

    spec: Any
    env: Any

    @property
    def launcher(self) -> str:
        return str(self.spec.launcher)

    @property
    def deterministic(self) -> bool:
        return bool(self.env.deterministic)

    @property
    def model_name(self) -> str:
        return type(self.model).__name__  # type: ignore[attr-defined]

    @property
    def val_interval(self) -> int:
        return int(self.train_loop.val_interval)  # type: ignore[attr-defined]

    @property
    def val_begin(self) -> int:
        return int(self.train_loop.val_begin)  # type: ignore[attr-defined]

    @staticmethod
    def build_dataloader(
        dataloader: Any, seed: int | None = None, diff_rank_seed: bool = False
    ) -> Any:
        """A loader of its own from a config or an object."""
        return build_dataloader(
            dataloader,
            seed=seed or 0,
            rank=get_rank(),
            world=get_world_size(),
            diff_rank_seed=diff_rank_seed,
        )

    def build_evaluator(self, evaluator: Any) -> Any:
        """An evaluator of its own from metric configs or objects."""
        return self.evaluator_of(evaluator)  # type: ignore[attr-defined]

    def build_optim_wrapper(self, optim_wrapper: Any) -> Any:
        """An optim wrapper of its own for the runner's model."""
        return build_optim_wrapper(self.model, optim_wrapper)  # type: ignore[attr-defined]

    def build_param_scheduler(self, scheduler: Any) -> Any:
        """Schedulers of their own for the runner's optimizer and length."""
        loop = self.train_loop  # type: ignore[attr-defined]
        return build_param_scheduler(
            scheduler,
            self.optim_wrapper,  # type: ignore[attr-defined]
            epoch_length=length_of(loop.dataloader),
            max_epochs=loop.max_epochs,
            max_iters=loop.max_iters,
        )

    def get_hooks_info(self) -> str:
        """The hooks in the order they run, with the number that orders each."""
        table = self.hook_table  # type: ignore[attr-defined]
        return "\n".join(f"({e.priority:>3}) {type(e.hook).__name__}" for e in table)
