"""Losses of iterations: which values of an answer they are, are they finite, means over ranks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, bfloat16

from loopwright import dist
from loopwright.hooks import NonFiniteLossError
from loopwright.log import EventStorage
from loopwright.trainer.stopping import save_periods


def total_of(answer: Any) -> tuple[Tensor, dict[str, Any]]:
    """The loss to go backward from and everything to log, detached, of a tensor or a dict.

    What carries no gradient beside something that does is a metric: logged, not added.

    >>> w = torch.ones(1, requires_grad=True)
    >>> total, logs = total_of({"a": (2 * w).sum(), "b": (3 * w).sum(), "accuracy": 0.5})
    >>> total.item(), list(logs)
    (5.0, ['a', 'b', 'accuracy'])
    """
    if isinstance(answer, Tensor):
        return answer, {"total_loss": answer.detach()}
    if not isinstance(answer, Mapping) or not answer:
        raise TypeError(
            "in training a model must return a loss or a dict of losses, "
            f"got {type(answer).__name__}"
        )
    terms = [v for v in answer.values() if isinstance(v, Tensor) and v.requires_grad]
    terms = terms or [v for v in answer.values() if isinstance(v, Tensor)]
    if not terms:
        raise TypeError(f"the model returned no loss tensor, only {', '.join(map(str, answer))}")
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total, {name: _detached(value) for name, value in answer.items()}


def number(value: Tensor) -> float:
    """A scalar in CPU memory, read as memory: torch dispatches nothing and nothing waits."""
    plain = value.detach()
    read: float = (plain.float() if plain.dtype is bfloat16 else plain).numpy().item()
    return read


class LossBook:
    """Puts the losses of each iteration into the storage, and finds those that are not finite.

    On a CPU every loss is looked at before it goes backward. On an accelerator, and with several
    ranks, what came since the last look is read at once, every ``period`` iterations; with several
    ranks the storage of each gets the means over all (``data_time``: the largest), and all stop
    together; they also look where a checkpoint is due, so that it holds what came before it.
    """

    def __init__(self, period: int) -> None:
        self.periods = {period}
        self.ranks = dist.get_world_size()
        self._pending: list[tuple[int, dict[str, Any]]] = []

    def begin(self, hooks: Iterable[Any] = ()) -> None:
        """A training begins: see how many ranks there are, and when which of them saves."""
        self.ranks = dist.get_world_size()
        if self.ranks > 1:
            self.periods |= save_periods(hooks)
        self._pending.clear()

    def check(self, iteration: int, total: Tensor, logs: Mapping[str, Any]) -> None:
        """Raise NonFiniteLossError, naming the losses, where that costs no waiting.

        Not with several ranks: all must stop together, so the means are looked at.
        """
        if self.ranks > 1 or total.device.type != "cpu":
            return
        if not math.isfinite(number(total)):
            raise NonFiniteLossError(_message(iteration, logs))

    def put(self, iteration: int, logs: dict[str, Any], storage: EventStorage) -> None:
        """Note the values of an iteration; read what is pending where that is due."""
        if self.ranks == 1:
            storage.put_dict(logs)
            total = logs["total_loss"]
            if not isinstance(total, Tensor) or total.device.type == "cpu":
                return
        self._pending.append((iteration, {k: _detached(v) for k, v in logs.items()}))
        if any((iteration + 1) % period == 0 for period in self.periods):
            self.settle(storage)

    def settle(self, storage: EventStorage) -> None:
        """Read everything pending: means over ranks, and whether all of it is finite."""
        pending, self._pending = self._pending, []
        if not pending:
            return
        means = _means([values for _, values in pending])
        if self.ranks > 1:
            for (iteration, _), values in zip(pending, means, strict=True):
                for name, value in values.items():
                    storage.put_scalar(name, value, cur_iter=iteration)
        for (iteration, _), values in zip(pending, means, strict=True):
            if not math.isfinite(values["total_loss"]):
                raise NonFiniteLossError(_message(iteration, values))


def _detached(value: Any) -> Any:
    return value.detach() if isinstance(value, Tensor) and value.requires_grad else value


def _means(rows: list[dict[str, Any]]) -> list[dict[str, float]]:
    """The values as numbers, one transfer a device; means over ranks where there are several."""
    flat = [_on_device(value) for row in rows for value in row.values()]
    device = next((v.device for v in flat if v.device.type != "cpu"), torch.device("cpu"))
    numbers = torch.stack([v.to(device, torch.float64, non_blocking=True) for v in flat]).tolist()
    values = iter(numbers)
    own = [{name: next(values) for name in row} for row in rows]
    if dist.get_world_size() == 1:
        return own
    every = dist.all_gather_object(own)
    return [_merged([rank[i] for rank in every]) for i in range(len(rows))]


def _on_device(value: Any) -> Tensor:
    return value.reshape(()) if isinstance(value, Tensor) else torch.tensor(float(value))


def _merged(rows: list[dict[str, float]]) -> dict[str, float]:
    """Means over the ranks that have a name; of ``data_time`` the largest."""
    names = {name: None for row in rows for name in row}
    merged = {}
    for name in names:
        found = [row[name] for row in rows if name in row]
        merged[name] = max(found) if name == "data_time" else math.fsum(found) / len(found)
    return merged


def _message(iteration: int, logs: Mapping[str, Any]) -> str:
    told = {k: float(_detached(v)) for k, v in logs.items() if k != "data_time"}
    bad = [name for name, value in told.items() if not math.isfinite(value)]
    parts = ", ".join(f"{name}={value:g}" for name, value in told.items())
    return f"at iteration {iteration} (0-based) {', '.join(bad)} is not finite: {parts}"
