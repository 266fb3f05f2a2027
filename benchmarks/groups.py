"""Building the optimizer of a ViT-L-shaped tree with six custom keys: ours and MMEngine's.

    python benchmarks/groups.py

CPU time, smallest of many turns taken in alternation in one process; MMEngine without its log
lines.
"""

from __future__ import annotations

import logging
import warnings

import torch
from optim_step import ViT, best
from torch import nn

from loopwright.optim import build_optim_wrapper

CONFIG = {
    "optimizer": {"type": "AdamW", "lr": 1e-3, "weight_decay": 0.05},
    "paramwise_cfg": {
        "norm_decay_mult": 0.0,
        "bias_decay_mult": 0.0,
        "custom_keys": {
            ".cls_token": {"decay_mult": 0.0},
            ".pos_embed": {"decay_mult": 0.0},
            "patch_embed": {"lr_mult": 0.1},
            "layers.0.": {"lr_mult": 0.5},
            "layers.23.": {"lr_mult": 2.0},
            "head": {"lr_mult": 10.0},
        },
    },
}


def theirs(model: nn.Module) -> object:
    try:
        from mmengine.optim import build_optim_wrapper as build
    except ImportError:
        return None
    logging.disable(logging.CRITICAL)
    return lambda: build(model, {**CONFIG})


def main() -> None:
    warnings.simplefilter("ignore")
    with torch.device("meta"):
        model = ViT(width=8, depth=24)
    model = model.to_empty(device="cpu")
    runs = {"ours": lambda: build_optim_wrapper(model, CONFIG), "MMEngine": theirs(model)}
    times = best(runs, turns=10, calls=3)
    groups = len(build_optim_wrapper(model, CONFIG).optimizer.param_groups)
    print(
        f"{len(list(model.parameters()))} tensors: ours {times['ours'] / 1e3:.2f} ms, {groups} "
        f"groups; MMEngine {times['MMEngine'] / 1e3:.2f} ms; "
        f"ratio {times['ours'] / times['MMEngine']:.3f}"
    )


if __name__ == "__main__":
    main()
