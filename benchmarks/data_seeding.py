"""What seeding and loading cost: per sample, per step, per batch beside torch's loader, at resume.

    python benchmarks/data_seeding.py [--workers]

Times are the best of several stretches in one process; the loaders take turns.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset, TensorDataset

from loopwright.data import build_dataloader, seed_sample, seed_step

COUNT = 6400
PLANES, LABELS = torch.randn(COUNT, 16), torch.randint(0, 10, (COUNT,))


class Mapped(Dataset[Any]):
    """Two tensors a sample, from a dataset that says nothing about randomness."""

    def __len__(self) -> int:
        return COUNT

    def __getitem__(self, index: int) -> Any:
        return PLANES[index], LABELS[index]


class Fixed(Mapped):
    """The same, declared to draw nothing."""

    deterministic = True


class Pictures(Dataset[Any]):
    """Square float images of three channels, as a decoder would give them."""

    deterministic = True

    def __init__(self, size: int = 224) -> None:
        self.size = size

    def __len__(self) -> int:
        return 640

    def __getitem__(self, index: int) -> Any:
        return torch.full((3, self.size, self.size), float(index)), index


def best(call: Callable[[], Any], times: int = 20_000, repeats: int = 5) -> float:
    """Microseconds a call, in the best of some stretches."""
    found = []
    for _ in range(repeats):
        start = time.perf_counter()
        for _ in range(times):
            call()
        found.append((time.perf_counter() - start) / times * 1e6)
    return min(found)


def a_batch(loader: Iterable[Any]) -> float:
    """Microseconds a batch over one epoch."""
    start, count = time.perf_counter(), 0
    for _ in loader:
        count += 1
    return (time.perf_counter() - start) / count * 1e6


def compare(name: str, dataset: Any, batch_size: int, **options: Any) -> None:
    """One line: torch's loader and ours over the same data, taking turns."""
    theirs = DataLoader(dataset, batch_size, shuffle=True, **options)
    cfg = {"dataset": dataset, "batch_size": batch_size, "collate_fn": "default_collate"}
    ours = build_dataloader({**cfg, **options})
    pairs = [(a_batch(theirs), a_batch(ours)) for _ in range(5)]
    one, other = (min(column) for column in zip(*pairs))
    print(f"{name:32} torch {one:9.1f} us a batch   ours {other:9.1f}   ratio {other / one:.2f}")
    if hasattr(ours, "close"):
        ours.close()


def resume(kind: str, at: int) -> float:
    """Seconds to the first batch of a million samples from a position on."""
    cfg = {"dataset": range(1_000_000), "batch_size": 32, "sampler": {"type": kind}}
    loader = build_dataloader(cfg)
    start = time.perf_counter()
    loader.set_position(*divmod(at, len(loader)))
    next(iter(loader))
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", action="store_true", help="also compare with two workers")
    workers = parser.parse_args().workers
    print(f"seed_sample {best(lambda: seed_sample(1, 2, 3)):.1f} us")
    print(f"seed_step   {best(lambda: seed_step(1, 2, 3)):.1f} us")
    print(f"torch.manual_seed {best(lambda: torch.manual_seed(1), 500):.1f} us (not used)")
    for size in (1, 32):
        compare(f"tensors, batch {size}", TensorDataset(PLANES, LABELS), size)
        compare(f"map-style, fixed, batch {size}", Fixed(), size)
        compare(f"map-style, reseeded, batch {size}", Mapped(), size)
    if workers:
        kept = {"num_workers": 2, "persistent_workers": True}
        compare("map-style, fixed, 2 workers", Fixed(), 32, **kept)
        compare("images of 224, 2 workers", Pictures(), 16, **kept)
        compare("32 loose images of 64, 2 workers", Pictures(64), 32, collate_fn=list, **kept)
    for kind in ("DefaultSampler", "InfiniteSampler"):
        front, far = resume(kind, 0), resume(kind, 100_000)
        print(f"{kind:16} first batch at 0: {front:.3f} s, at iteration 100,000: {far:.3f} s")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory of all this: {peak:.0f} MB (a million indices are 8 MB)")


if __name__ == "__main__":
    main()
