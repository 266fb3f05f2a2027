"""What a logged scalar costs: puts, records, writers; and whether a long run pays more."""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from typing import Any

import torch

from loopwright.core import Progress
from loopwright.log import CSVWriter, EventStorage, JSONLWriter, RecordSpec, WriterSet, make_record


def fastest(act: Callable[[], Any], count: int, repeats: int = 7) -> float:
    """Microseconds a call of the fastest of several stretches (CPU time)."""
    spent = []
    for _ in range(repeats):
        began = time.process_time()
        for _ in range(count):
            act()
        spent.append(time.process_time() - began)
    return min(spent) / count * 1e6


def put_cost(scalars: int) -> dict[str, float]:
    """One `put_dict` beside the barest thing that keeps the values at all."""
    losses = {f"loss_{i}": torch.tensor(float(i)) for i in range(scalars)}
    storage, kept = EventStorage(max_pending=10**9), []

    def put() -> None:
        storage.put_dict(losses, "train/")

    def append() -> None:
        kept.append((0, dict(losses)))

    result = {"put_dict_us": fastest(put, 3000), "bare_append_us": fastest(append, 3000)}
    storage._pending.clear()
    return result


def record_cost(scalars: int, interval: int) -> dict[str, float]:
    """Everything a record costs: reading, folding, summarising, writing; and that by value."""
    losses = {f"loss_{i}": torch.tensor(float(i)) for i in range(scalars)}
    storage, progress, spec = EventStorage(), Progress(), RecordSpec(window=10, offset=1)
    with tempfile.TemporaryDirectory() as folder:
        writers = WriterSet([JSONLWriter(folder), CSVWriter(folder)])
        made = written = 0.0
        rounds = 60
        for _ in range(rounds):
            for _ in range(interval):
                storage.iter = progress.iter = storage.iter + 1
                storage.put_dict(losses, "train/")
            began = time.process_time()
            record = make_record(storage, progress, spec)
            middle = time.process_time()
            writers.write(record)
            made += middle - began
            written += time.process_time() - middle
    return {
        "record_us": made / rounds * 1e6,
        "write_us": written / rounds * 1e6,
        "us_per_value": made / rounds / scalars / interval * 1e6,
    }


def long_run(iterations: int) -> dict[str, float]:
    """An iteration of an old run that nobody reads beside one of a fresh run, and memory growth."""
    import psutil

    losses = {f"loss_{i}": torch.tensor(float(i)) for i in range(4)}
    old, fresh, process = EventStorage(), EventStorage(), psutil.Process()

    def stretch(storage: EventStorage, count: int) -> float:
        began = time.process_time()
        for _ in range(count):
            storage.iter += 1
            storage.put_dict(losses, "train/")
        return (time.process_time() - began) / count * 1e6

    stretch(old, 50_000)
    before = process.memory_info().rss
    stretch(old, iterations)
    after = process.memory_info().rss
    stretch(fresh, 20_000)
    pairs = [(stretch(old, 10_000), stretch(fresh, 10_000)) for _ in range(15)]
    old_us, fresh_us = (statistics.median(column) for column in zip(*pairs))
    return {
        "old_us": old_us,
        "fresh_us": fresh_us,
        "old_over_fresh": old_us / fresh_us,
        "rss_growth_kib": (after - before) / 1024,
        "state_bytes": float(len(json.dumps(old.state_dict()))),
    }


def main() -> None:
    """Print every figure as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--iterations", type=int, default=1_000_000, help="of the long run")
    options = parser.parse_args()
    torch.set_num_threads(1)
    figures: dict[str, Any] = {f"put_{n}": put_cost(n) for n in (2, 5, 20)}
    figures["record_20_scalars_every_50"] = record_cost(20, 50)
    figures["record_4_scalars_every_10"] = record_cost(4, 10)
    figures["long_run"] = long_run(options.iterations)
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
