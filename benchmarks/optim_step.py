"""An AdamW step on a ViT-B/16-shaped parameter list under the MAE block: ours and MMEngine's.

    python benchmarks/optim_step.py [--width 768]

Both are built from the same config with engine defaults; gradients are given. CPU time, smallest
of many turns taken in alternation in one process. Also what `update_params` costs over
`loss.backward(); step(); zero_grad()`, and clipping over torch's.
"""

from __future__ import annotations

import argparse
import logging
import time
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from loopwright.optim import OptimWrapper, build_optim_wrapper, clip_norm

MAE = {
    "type": "OptimWrapper",
    "optimizer": {"type": "AdamW", "lr": 2.4e-3, "betas": (0.9, 0.95), "weight_decay": 0.05},
    "paramwise_cfg": {
        "custom_keys": {
            "ln": {"decay_mult": 0.0},
            "bias": {"decay_mult": 0.0},
            "pos_embed": {"decay_mult": 0.0},
            "mask_token": {"decay_mult": 0.0},
            "cls_token": {"decay_mult": 0.0},
        }
    },
}


class Layer(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.ln1, self.ln2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = nn.ModuleDict({"qkv": nn.Linear(width, 3 * width)})
        self.attn["proj"] = nn.Linear(width, width)
        self.ffn = nn.Sequential(nn.Linear(width, 4 * width), nn.Linear(4 * width, width))


class ViT(nn.Module):
    """The parameters of a vision transformer; it computes nothing."""

    def __init__(self, width: int, depth: int = 12) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 197, width))
        self.patch_embed = nn.Conv2d(3, width, 16, 16)
        self.layers = nn.ModuleList(Layer(width) for _ in range(depth))
        self.ln1 = nn.LayerNorm(width)
        self.head = nn.Linear(width, 1000)


def with_gradients(width: int) -> nn.Module:
    torch.manual_seed(0)
    model = ViT(width)
    for p in model.parameters():
        p.grad = torch.randn_like(p)
    return model


def theirs(model: nn.Module) -> Any:
    try:
        from mmengine.optim import build_optim_wrapper as build
    except ImportError:
        return None
    logging.disable(logging.WARNING)
    return build(model, {**MAE})


def best(runs: dict[str, Callable[[], Any] | None], turns: int, calls: int) -> dict[str, float]:
    """Microseconds a call of each, the smallest of many turns in alternation."""
    found = dict.fromkeys(runs, float("inf"))
    for _ in range(turns):
        for name, run in runs.items():
            if run is None:
                continue
            start = time.process_time()
            for _ in range(calls):
                run()
            found[name] = min(found[name], (time.process_time() - start) / calls * 1e6)
    return found


def step(width: int) -> None:
    mine = build_optim_wrapper(with_gradients(width), MAE)
    other = theirs(with_gradients(width))
    runs = {"ours": mine.step, "MMEngine": other.step if other else None}
    times = best(runs, turns=8, calls=20 if width < 256 else 2)
    groups = len(mine.optimizer.param_groups)
    print(
        f"AdamW, width {width}: ours {times['ours']:.0f} us in {groups} groups, "
        f"MMEngine {times['MMEngine']:.0f} us, ratio {times['ours'] / times['MMEngine']:.3f}"
    )


def clip(width: int) -> None:
    params: list[Tensor] = list(with_gradients(width).parameters())
    runs: dict[str, Callable[[], Any] | None] = {
        "ours": lambda: clip_norm(params, 1e9),
        "torch": lambda: nn.utils.clip_grad_norm_(params, 1e9),
    }
    times = best(runs, turns=8, calls=20 if width < 256 else 2)
    print(
        f"clip by norm, width {width}: ours {times['ours']:.0f} us, torch {times['torch']:.0f} us, "
        f"ratio {times['ours'] / times['torch']:.2f}"
    )


def update() -> None:
    def parts() -> tuple[nn.Module, Tensor, torch.optim.Optimizer]:
        model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
        return model, torch.randn(32, 64), torch.optim.SGD(model.parameters(), lr=0.0, fused=True)

    model, x, sgd = parts()
    wrapper = OptimWrapper(sgd)
    bare_model, bare_x, bare_sgd = parts()

    def ours() -> None:
        wrapper.update_params(model(x).sum())

    def bare() -> None:
        bare_model(bare_x).sum().backward()
        bare_sgd.step()
        bare_sgd.zero_grad()

    times = best({"ours": ours, "bare": bare}, turns=20, calls=300)
    print(
        f"update_params with forward: ours {times['ours']:.1f} us, bare {times['bare']:.1f} us, "
        f"over bare {times['ours'] - times['bare']:+.1f} us"
    )


def main() -> None:
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--width", type=int, nargs="+", default=[32, 768])
    for width in parser.parse_args().width:
        step(width)
        clip(width)
    update()


if __name__ == "__main__":
    main()
