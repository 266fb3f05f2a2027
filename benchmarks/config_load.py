"""How long reading a config takes, ours beside MMEngine's, file by file in one process.

    PYTHONPATH=src PYTHON benchmarks/config_load.py FOLDER [--every N]

FOLDER holds configs (`tests/corpus/compare.py` fetches 3,000 public ones into
~/.cache/loopwright/corpus/site). PYTHON needs mmengine 0.10.7 for the ratio; without it only our
own times are shown.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from loopwright.config import Config


def seconds(read: Callable[[str], Any], path: str, repeat: int) -> float:
    """The shortest of ``repeat`` readings; infinity for a file that is refused."""
    best = float("inf")
    for _ in range(repeat):
        start = time.perf_counter()
        try:
            read(path)
        except Exception:
            return float("inf")
        best = min(best, time.perf_counter() - start)
    return best


def mmengine_reader() -> Callable[[str], Any] | None:
    try:
        from mmengine.config import Config as Theirs
    except ImportError:
        return None
    return lambda path: Theirs.fromfile(path, import_custom_modules=False)


def percentiles(name: str, values: list[float], unit: str, scale: float) -> None:
    ordered = sorted(values)
    low, middle, high = (ordered[int(len(ordered) * q)] * scale for q in (0.1, 0.5, 0.9))
    print(f"{name:>8}: p10 {low:.3f}  median {middle:.3f}  p90 {high:.3f} {unit}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--every", type=int, default=1, help="Take every N-th file.")
    parser.add_argument("--repeat", type=int, default=1)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    sys.path.insert(0, str(options.folder))
    files = sorted(map(str, options.folder.glob("**/*.py")))[:: options.every]
    theirs = mmengine_reader()
    ours_times, their_times = [], []
    for path in files:
        mine = seconds(Config.fromfile, path, options.repeat)
        other = seconds(theirs, path, options.repeat) if theirs else mine
        if max(mine, other) < float("inf"):
            ours_times.append(mine)
            their_times.append(other)
    print(f"{len(ours_times)} of {len(files)} files read by both")
    percentiles("ours", ours_times, "ms", 1e3)
    if theirs is None:
        return
    percentiles("MMEngine", their_times, "ms", 1e3)
    ratios = [mine / other for mine, other in zip(ours_times, their_times)]
    percentiles("ratio", ratios, "(ours / MMEngine)", 1.0)
    print(f"median of the ratio: {statistics.median(ratios):.3f}")


if __name__ == "__main__":
    main()
