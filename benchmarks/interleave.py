"""Timing an engine against a bare loop in one process: the clock lives in the data.

At every ``stretch``-th batch the data stops the engine's clock, runs as many steps of the bare loop
on a replica with the same batches, and starts the clock again. Both see the same machine at the
same time, so the ratio is steady where the times are not. Main-thread CPU time.
"""

from __future__ import annotations

import argparse
import io
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

Bare = Callable[[Any, int], None]


class Clock:
    """Batches for an engine; every stretch of them is also run by ``bare`` and both are timed."""

    deterministic = True

    def __init__(self, batches: list[Any], bare: Bare, *, stretch: int, warm_up: int) -> None:
        self.batches, self.bare = batches, bare
        self.stretch, self.warm_up = stretch, warm_up
        self.engine: list[float] = []
        self.loop: list[float] = []
        self._started = 0.0
        self._handed = 0

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> Any:
        if self._handed and self._handed % self.stretch == 0:
            self._swap()
        self._handed += 1
        return self.batches[index]

    def _swap(self) -> None:
        now = time.thread_time()
        first = self._handed - self.stretch
        for number in range(first, self._handed):
            self.bare(self.batches[number % len(self.batches)], number)
        after = time.thread_time()
        if self._handed > self.warm_up:
            self.engine.append((now - self._started) / self.stretch)
            self.loop.append((after - now) / self.stretch)
        self._started = time.thread_time()

    def report(self, name: str) -> str:
        """One line: microseconds an iteration of both, and the median of the paired ratios."""
        ratios = [e / b for e, b in zip(self.engine, self.loop, strict=True)]
        engine, loop = statistics.median(self.engine), statistics.median(self.loop)
        percent = (statistics.median(ratios) - 1) * 100
        return (
            f"{name:<34} {engine * 1e6:8.1f} us  bare {loop * 1e6:8.1f} us  "
            f"over bare {percent:+6.1f} %  ({len(ratios)} pairs)"
        )


class Counter(TorchDispatchMode):
    """Counts aten operations and scalar reads (a device sync each on a GPU)."""

    def __init__(self) -> None:
        super().__init__()
        self.operations = 0
        self.reads = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.operations += 1
        self.reads += "_local_scalar_dense" in str(func)
        return func(*args, **(kwargs or {}))


def python_calls(act: Callable[[], None]) -> int:
    """How many Python functions ``act`` enters."""
    count = 0

    def profile(frame: Any, event: str, argument: Any) -> None:
        nonlocal count
        count += event == "call"

    sys.setprofile(profile)
    try:
        act()
    finally:
        sys.setprofile(None)
    return count


def batches(number: int, seed: int = 0) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Random classification batches: 16 samples of 32 features, 10 classes."""
    generator = torch.Generator().manual_seed(seed)
    return [
        (
            torch.randn(16, 32, generator=generator),
            torch.randint(0, 10, (16,), generator=generator),
        )
        for _ in range(number)
    ]


def tiny_mlp(seed: int = 0) -> torch.nn.Module:
    """Two hidden layers of 64."""
    torch.manual_seed(seed)
    return torch.nn.Sequential(
        torch.nn.Linear(32, 64),
        torch.nn.ReLU(),
        torch.nn.Linear(64, 64),
        torch.nn.ReLU(),
        torch.nn.Linear(64, 10),
    )


class BareLoop:
    """The loop people write around the tiny MLP: torch's own parts, each called by hand.

    ``default`` adds clipping, two chained schedules, and a log line every ``log_every`` steps.
    """

    def __init__(self, default: bool, total: int, log_every: int) -> None:
        self.model, self.loss = tiny_mlp(), nn.CrossEntropyLoss()
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.05, momentum=0.9)
        self.default, self.log_every = default, log_every
        if default:
            lr = torch.optim.lr_scheduler
            warm = lr.LinearLR(self.optimizer, 0.1, total_iters=200)
            decay = lr.CosineAnnealingLR(self.optimizer, total - 200)
            self.schedule = lr.SequentialLR(self.optimizer, [warm, decay], [200])
        self.log = io.StringIO()

    def __call__(self, batch: Any, number: int) -> None:
        inputs, targets = batch
        loss = self.loss(self.model(inputs), targets)
        self.optimizer.zero_grad()
        loss.backward()
        if self.default:
            norm = nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        if self.default:
            self.schedule.step()
            if (number + 1) % self.log_every == 0:
                rate = self.optimizer.param_groups[0]["lr"]
                self.log.write(f"{number} {loss.item():.4f} {norm.item():.4f} {rate:.6f}\n")


def counts_of(step: Callable[[int], None]) -> tuple[int, int, int]:
    """Aten operations, scalar reads and Python calls of an idle step, the first three aside."""
    for number in range(3):
        step(number)
    with Counter() as counter:
        step(3)
    return counter.operations, counter.reads, python_calls(lambda: step(4))


def told(default: bool, ours: tuple[int, int, int], bare: BareLoop, batch: Any) -> str:
    """One line of counts: ours, and the bare loop's with the same batch."""
    pairs = zip(
        ("aten ops", "scalar reads", "Python calls"),
        ours,
        counts_of(lambda number: bare(batch, number)),
        strict=True,
    )
    listed = ", ".join(f"{what} {mine} (bare {theirs})" for what, mine, theirs in pairs)
    return f"{name_of(default):<34} an idle iteration: {listed}"


def name_of(default: bool) -> str:
    return "default hooks, clip, schedule" if default else "minimal"


def contests(
    description: str | None,
    compare: Callable[[bool, int, int], str],
    counts: Callable[[bool], str],
    *,
    iterations: int,
) -> None:
    """The command line of an overhead benchmark: both contests, then both counts."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--iterations", type=int, default=iterations)
    parser.add_argument("--stretch", type=int, default=100)
    options = parser.parse_args()
    torch.set_num_threads(1)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    for default in (False, True):
        print(compare(default, options.iterations, options.stretch), flush=True)
    for default in (False, True):
        print(counts(default), flush=True)


def forever(items: list[Any]) -> Iterator[Any]:
    """The items again and again."""
    while True:
        yield from items
