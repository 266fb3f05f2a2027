"""Resume latency: from a built loader to its first batch, at 0 and in the middle of a million.

    python benchmarks/resume_latency.py

Prints seconds and peak memory of the order for positions 0 and 100,000 of a data set of 1 M samples
(batch 10, shuffled), and how many samples were loaded on the way.
"""

from __future__ import annotations

import json
import resource
import time

import torch

from loopwright.data import build_dataloader


class Counted(torch.utils.data.Dataset):
    """A million samples that count how often they are asked for."""

    def __init__(self) -> None:
        self.asked = 0

    def __len__(self) -> int:
        return 1_000_000

    def __getitem__(self, index: int) -> torch.Tensor:
        self.asked += 1
        return torch.tensor(index)


def first_batch(epoch: int, batch: int) -> dict[str, float]:
    """Seconds to the first batch at a position, and samples loaded for it."""
    data = Counted()
    cfg = {
        "batch_size": 10,
        "num_workers": 0,
        "dataset": data,
        "sampler": {"type": "DefaultSampler", "shuffle": True},
    }
    loader = build_dataloader(cfg, seed=0)
    began = time.perf_counter()
    loader.set_position(epoch, batch)
    next(iter(loader))
    return {"seconds": round(time.perf_counter() - began, 4), "samples_loaded": data.asked}


def main() -> None:
    torch.set_num_threads(1)
    first_batch(0, 0)
    found = {
        "at_0": first_batch(0, 0),
        "at_iteration_99_999_of_epoch_0": first_batch(0, 99_999),
        "at_iteration_1_050_000": first_batch(10, 50_000),
    }
    found["difference_s"] = (
        found["at_iteration_99_999_of_epoch_0"]["seconds"] - found["at_0"]["seconds"]
    )
    found["peak_rss_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
