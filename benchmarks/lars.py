"""A LARS step on a ResNet-50-shaped list: operations, scalar reads and CPU time, ours and a loop's.

    python benchmarks/lars.py [--width 64]

The loop is LARS as it is usually written, tensor by tensor, with a read of each norm. Operations
are those that reach aten in one step with momentum and weight decay.
"""

from __future__ import annotations

import argparse
import collections
from typing import Any

import torch
from optim_step import best
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from loopwright.optim import LARS


def resnet50_shapes(width: int) -> list[tuple[int, ...]]:
    """The shapes of a ResNet-50's parameters, narrower by `width` / 64."""
    shapes: list[tuple[int, ...]] = [(width, 3, 7, 7), (width,), (width,)]
    inputs = width
    for stage, blocks in enumerate((3, 4, 6, 3)):
        inner = width * 2**stage
        for block in range(blocks):
            convs = [(inner, inputs, 1, 1), (inner, inner, 3, 3), (4 * inner, inner, 1, 1)]
            convs += [(4 * inner, inputs, 1, 1)] if block == 0 else []
            shapes += [s for conv in convs for s in (conv, (conv[0],), (conv[0],))]
            inputs = 4 * inner
    return [*shapes, (1000, inputs), (1000,)]


def groups(width: int) -> list[dict[str, Any]]:
    torch.manual_seed(0)
    params = [nn.Parameter(torch.randn(shape)) for shape in resnet50_shapes(width)]
    for p in params:
        p.grad = torch.randn_like(p)
    weights = [p for p in params if p.ndim > 1]
    vectors = [p for p in params if p.ndim == 1]
    return [{"params": weights}, {"params": vectors, "weight_decay": 0.0, "lars_exclude": True}]


class Loop:
    """LARS tensor by tensor."""

    def __init__(self, groups: list[dict[str, Any]]) -> None:
        self.groups = groups
        self.buffers: dict[Tensor, Tensor] = {}

    @torch.no_grad()
    def step(self) -> None:
        for group in self.groups:
            for p in group["params"]:
                rate = 1.0 if group.get("lars_exclude") else self._rate(p)
                move = p.grad.add(p, alpha=group.get("weight_decay", 1e-6)).mul(rate * 0.3)
                if p in self.buffers:
                    move = self.buffers[p].mul_(0.9).add_(move)
                else:
                    self.buffers[p] = move
                p.add_(-move)

    @staticmethod
    def _rate(p: Any) -> float:
        weight, grad = p.norm().item(), p.grad.norm().item()
        return 0.001 * weight / (grad + 1e-6 * weight + 1e-8) if weight and grad else 1.0


class Count(TorchDispatchMode):
    """Counts operations as they reach aten."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: collections.Counter[str] = collections.Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.seen[str(func)] += 1
        return func(*args, **(kwargs or {}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--width", type=int, default=64)
    width = parser.parse_args().width
    ours, loop = LARS(groups(width), lr=0.3, momentum=0.9, weight_decay=1e-6), Loop(groups(width))
    for name, optimizer in (("ours", ours), ("loop", loop)):
        optimizer.step()
        with Count() as count:
            optimizer.step()
        reads = count.seen["aten._local_scalar_dense.default"]
        print(f"{name}: {count.seen.total()} operations, {reads} scalar reads a step")
        if name == "ours":
            print("  ", ", ".join(f"{k[5:]} {n}" for k, n in count.seen.most_common()))
    times = best({"ours": ours.step, "loop": loop.step}, turns=8, calls=3)
    print(
        f"CPU time: ours {times['ours'] / 1e3:.1f} ms, loop {times['loop'] / 1e3:.1f} ms, "
        f"ratio {times['ours'] / times['loop']:.2f}"
    )


if __name__ == "__main__":
    main()
