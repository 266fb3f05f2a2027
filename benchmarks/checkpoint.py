"""What saving costs beside torch.save + fsync of the same state, in the same process.

    python benchmarks/checkpoint.py [--mb 350] [--rounds 5] [--folder DIR]

Prints ratios of medians and of the best rounds; the kinds alternate, so that a loaded machine
hits all alike. ``async`` is the time the caller is blocked.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from loopwright.checkpoint import Store


def make_state(megabytes: int) -> dict[str, object]:
    """Weights and two moments an AdamW would keep: 1/3 each, in tensors of up to 4 MB."""
    count = max(1, megabytes // 12)
    shape = (1024, 1024)

    def part() -> dict[str, torch.Tensor]:
        return {f"layer{k}.weight": torch.randn(shape) for k in range(count)}

    return {"state_dict": part(), "optimizer": {"exp_avg": part(), "exp_avg_sq": part()}}


def with_torch(state: object, folder: Path, step: int) -> None:
    """The usual way, made durable: torch.save, fsync."""
    with open(folder / f"plain_{step}.pth", "wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())


def timed(job: Callable[[], object]) -> float:
    """Seconds of one call."""
    start = time.perf_counter()
    job()
    return time.perf_counter() - start


def main() -> None:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mb", type=int, default=350)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", default=None)
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp(dir=args.folder))
    state = make_state(args.mb)
    store, beside = Store(folder / "sync"), Store(folder / "async", async_save=True)
    times: dict[str, list[float]] = {k: [] for k in ("torch", "folder", "pth", "async", "load")}
    for step in range(args.rounds):
        kinds: dict[str, Callable[[], object]] = {
            "torch": lambda step=step: with_torch(state, folder, step),
            "folder": lambda step=step: store.save(f"iter_{step}", state, step=step),
            "pth": lambda step=step: store.save(f"file_{step}.pth", state, step=step),
            "async": lambda step=step: beside.save(f"iter_{step}", state, step=step),
            "load": lambda step=step: store.load(f"iter_{step}"),
        }
        for kind, job in kinds.items():
            times[kind].append(timed(job))
            beside.wait()
        shutil.rmtree(folder / "sync"), shutil.rmtree(folder / "async")
        (folder / f"plain_{step}.pth").unlink()
    shutil.rmtree(folder)
    base = statistics.median(times["torch"])
    for kind, found in times.items():
        middle = statistics.median(found)
        best = min(found) / min(times["torch"])
        ratio = f"{middle / base:5.2f} x torch.save + fsync"
        print(f"{kind:8s} {middle:7.3f} s  {ratio}   (best of {args.rounds}: {best:.2f} x)")


if __name__ == "__main__":
    main()
