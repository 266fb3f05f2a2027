"""Out of memory in one iteration: told with its batch, and by policy left out or done in parts."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import torch

from loopwright.build.policies import faults
from loopwright.config import ConfigError
from loopwright.data import seed_step
from loopwright.hooks.finite_loss import RollBack, samples_of, tensors_of
from loopwright.runner.rollback import leave_out
from loopwright.runner.samples import in_parts, samples_in
from loopwright.runner.state import in_window


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory was not enough (torch has several ways to say it)."""
    return isinstance(error, torch.OutOfMemoryError) or "out of memory" in str(error).lower()


def explain(error: BaseException, data_batch: Any, loader: Any = None) -> None:
    """Tell an out-of-memory error which batch it was: shapes, samples, peak, what to change."""
    if not is_out_of_memory(error):
        return
    found = [f"{name} {_shape(t)}" for name, t in tensors_of(data_batch, "batch")]
    more = f" and {len(found) - 8} more tensors" if len(found) > 8 else ""
    peak = ""
    if torch.cuda.is_available():
        peak = f"; peak memory {torch.cuda.max_memory_allocated() / 2**20:.0f} MiB"
    error.add_note(
        f"out of memory with {', '.join(found[:8]) or 'a batch without tensors'}{more}"
        f"{samples_of(loader)}{peak}; "
        "smaller: train_dataloader.batch_size (with optim_wrapper.accumulative_counts), "
        "activation_checkpointing; or faults.on_oom='split' or 'skip'"
    )


def _shape(tensor: torch.Tensor) -> str:
    size = "x".join(map(str, tensor.shape)) or "scalar"
    return f"{size} {str(tensor.dtype).removeprefix('torch.')}"


class Memory:
    """What ``faults.on_oom`` says about an iteration that found too little memory.

    ``'skip'`` leaves its batch out, ``'split'`` does it in two parts, then four, down to single
    samples; both at most ``faults.max_oom`` times a session. An update is made whole or not at
    all: gradients of the failed try are dropped, and where memory ended inside the optimizer's
    step the run goes back to its last good checkpoint and leaves the iteration out.
    """

    def __init__(self, runner: Any) -> None:
        policy = faults(runner.spec.faults)
        self.policy, self.left = policy["on_oom"], policy["max_oom"]
        if self.policy != "stop" and runner.distributed:
            raise ConfigError(
                f"faults.on_oom={self.policy!r} is for runs of one process: the others would wait "
                "for the one that does an iteration in another way"
            )
        self._runner = runner

    def gives_way(self, error: Exception) -> bool:
        """Whether the policy has an answer to this error."""
        if self.policy == "stop" or not is_out_of_memory(error):
            return False
        self.left -= 1
        if self.left < 0:
            error.add_note("faults.max_oom is used up")
        return self.left >= 0

    def go_back(self, error: Exception) -> RollBack:
        """The wish for the last good checkpoint, where an update may be half made."""
        return RollBack(self._runner.iter, error)

    def again(self, data_batch: Any, said: str) -> Any:
        """The iteration in a smaller way; called when the error and the memory it held are gone."""
        runner = self._runner
        if in_window(runner.optim_wrapper):
            said += "\nthe gradients of this accumulation window so far are dropped"
        runner.optim_wrapper.zero_grad()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        place = f"iteration {runner.iter} (0-based)"
        if self.policy == "skip":
            runner.logger.warning(f"{said}\n{place}: batch left out (faults.on_oom='skip')")
            return leave_out(runner.optim_wrapper)
        return self._split(data_batch, f"{said}\n{place}")

    def _split(self, data_batch: Any, said: str) -> Any:
        """The batch in 2, 4, 8, … parts, until they fit; OutOfMemoryError when none does."""
        runner, count = self._runner, 2
        samples = samples_in(data_batch)
        while count < 2 * samples:
            parts = in_parts(data_batch, count)
            runner.logger.warning(f"{said}: {len(parts)} parts (faults.on_oom='split')")
            outputs = self._attempt(parts)
            if outputs is not None:
                return outputs
            runner.optim_wrapper.zero_grad()
            count *= 2
        raise torch.OutOfMemoryError(f"{said}: not even one sample at a time")

    def _attempt(self, parts: list[tuple[Any, int]]) -> Any:
        """All parts, with one update at the end; None where memory was not enough again."""
        runner = self._runner
        wrapper, total = runner.optim_wrapper, sum(size for _, size in parts)
        before, outputs = wrapper.inner_count, []
        seed_step(runner.seed, runner.iter, runner.rank)
        try:
            for number, (batch, size) in enumerate(parts, 1):
                part = Part(wrapper, size / total, last=number == len(parts))
                outputs.append((runner.model.train_step(batch, optim_wrapper=part), size / total))
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            if wrapper.inner_count != before:
                raise self.go_back(error) from None
            return None
        return _mean(outputs)


class Part:
    """An optim wrapper as a part of a batch sees it: its loss weighs its share, the last steps."""

    def __init__(self, wrapper: Any, share: float, *, last: bool) -> None:
        self._wrapper, self._share, self._last = wrapper, share, last

    def optim_context(self, model: Any) -> AbstractContextManager[Any]:
        """Where the forward runs."""
        context: AbstractContextManager[Any] = self._wrapper.optim_context(model)
        return context

    def update_params(self, loss: torch.Tensor, *args: Any, **kwargs: Any) -> None:
        """Backward of the part; the update with the last one."""
        if self._last:
            self._wrapper.update_params(loss * self._share, *args, **kwargs)
        else:
            self._wrapper.add_part(loss * self._share)

    def __getattr__(self, name: str) -> Any:
        if name in ("backward", "step", "zero_grad"):
            raise ConfigError(
                f"train_step calls optim_wrapper.{name} itself; faults.on_oom='split' needs one "
                "that calls optim_wrapper.update_params once"
            )
        return getattr(self._wrapper, name)


def _mean(outputs: list[tuple[Any, float]]) -> dict[str, Any]:
    """The numbers of the parts as those of the whole: means by share, under the same names."""
    mean: dict[str, Any] = {}
    for found, share in outputs:
        for name, value in (found or {}).items():
            number = isinstance(value, torch.Tensor | float | int)
            mean[name] = mean.get(name, 0) + value * share if number else value
    return mean
