"""What two chained schedules cost a step over 1, 28 and 300 groups: ours, MMEngine's and torch's.

    python benchmarks/schedules.py

Warm-up and cosine, both by iteration, the cosine acting. CPU time, the smallest of many turns
taken in alternation in one process. Without mmengine installed its column is left out.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable

import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, SequentialLR

from loopwright.optim import OptimWrapper, build_param_scheduler

WARMUP, TOTAL, TURNS, STEPS = 100, 10_000_000, 30, 300
CONFIG = [
    {"type": "LinearLR", "start_factor": 0.1, "by_epoch": False, "begin": 0, "end": WARMUP},
    {"type": "CosineAnnealingLR", "by_epoch": False, "begin": WARMUP, "end": TOTAL},
]


def optimizer(groups: int) -> torch.optim.Optimizer:
    params = [{"params": [nn.Parameter(torch.zeros(1))]} for _ in range(groups)]
    return torch.optim.SGD(params, lr=0.1)


def ours(groups: int) -> Callable[[], None]:
    schedulers = build_param_scheduler(CONFIG, OptimWrapper(optimizer(groups)))
    return stepping([scheduler.step for scheduler in schedulers])


def theirs(groups: int) -> Callable[[], None] | None:
    try:
        from mmengine.optim import CosineAnnealingLR as Cosine
        from mmengine.optim import LinearLR as Linear
        from mmengine.optim import OptimWrapper as Wrapper
    except ImportError:
        return None
    wrapper = Wrapper(optimizer(groups))
    warmup = Linear(wrapper, start_factor=0.1, by_epoch=False, begin=0, end=WARMUP)
    cosine = Cosine(wrapper, T_max=TOTAL - WARMUP, by_epoch=False, begin=WARMUP, end=TOTAL)
    return stepping([warmup.step, cosine.step])


def torchs(groups: int) -> Callable[[], None]:
    sgd = optimizer(groups)
    chain = [LinearLR(sgd, 0.1, total_iters=WARMUP), CosineAnnealingLR(sgd, TOTAL)]
    return stepping([SequentialLR(sgd, chain, milestones=[WARMUP]).step])


def stepping(steps: list[Callable[[], None]]) -> Callable[[], None]:
    def run() -> None:
        for _ in range(STEPS):
            for step in steps:
                step()

    run()
    return run


def per_step(run: Callable[[], None]) -> float:
    start = time.process_time()
    run()
    return (time.process_time() - start) / STEPS * 1e6


def main() -> None:
    warnings.simplefilter("ignore")
    print("microseconds a step     ours  MMEngine     torch   ours / MMEngine")
    for groups in (1, 28, 300):
        runs = [ours(groups), theirs(groups), torchs(groups)]
        best = [float("inf")] * len(runs)
        for _ in range(TURNS):
            for i, run in enumerate(runs):
                best[i] = min(best[i], per_step(run)) if run else float("nan")
        a, b, c = best
        print(f"{groups:4} groups          {a:8.2f}  {b:8.2f}  {c:8.2f}   {a / b:.2f}")


if __name__ == "__main__":
    main()
