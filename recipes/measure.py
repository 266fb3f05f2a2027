"""Train recipes with several seeds and print what they reach: the tables of the READMEs.

python recipes/measure.py vit_segmentation rtmdet_edge --seeds 0 1 2
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
import time
from pathlib import Path
from statistics import mean, stdev
from typing import Any

HERE = Path(__file__).parent
PRETRAINED = ("mae_pretrain", "simclr_lars_pretrain")
NAMES = ("vit_segmentation", "detection_amp", "rtmdet_edge", *PRETRAINED, "trainer_detectron2")


def trained(name: str, seed: int, work_dir: str, **changes: Any) -> Any:
    """A runner that has trained a recipe; ``changes`` are dotted keys of its config."""
    from loopwright.cli.run import start
    from loopwright.config import Config

    path = HERE / name / "config.py"
    cfg = Config.fromfile(str(path))
    cfg.merge_from_dict({"randomness.seed": seed, "work_dir": work_dir, **changes})
    runner = start(cfg, str(path))
    runner.train()
    return runner


def reached(name: str, seed: int, work_dir: str) -> dict[str, float]:
    """The figures of a recipe trained with a seed, by name."""
    sys.path.insert(0, str(HERE))
    if name == "trainer_detectron2":
        sys.path.insert(0, str(HERE / name))
        from train import train  # the recipe's own file

        return train(work_dir, seed=seed)
    runner = trained(name, seed, work_dir)
    if name not in PRETRAINED:
        figures: dict[str, float] = runner.test()
        return figures
    from linear_probe import probe

    return probe(str(HERE / name / "config.py"), runner.model.state_dict())


def main() -> None:
    parser = argparse.ArgumentParser(description="Train recipes with several seeds.")
    parser.add_argument("names", nargs="*", default=NAMES, metavar="RECIPE")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--work-dir", help="Keep the runs below this folder.")
    given = parser.parse_args()
    for name in given.names:
        rows = []
        for seed in given.seeds:
            begun, used = time.perf_counter(), time.process_time()
            with tempfile.TemporaryDirectory() as folder:
                rows.append(reached(name, seed, f"{given.work_dir or folder}/{name}_{seed}"))
            took = {"s": time.perf_counter() - begun, "cpu_s": time.process_time() - used}
            took = {key: round(value, 1) for key, value in took.items()}
            print(json.dumps({"recipe": name, "seed": seed, **took, **rows[-1]}), flush=True)
        for key in rows[0]:
            values = [row[key] for row in rows if not math.isnan(row[key])]
            if not values:
                continue
            spread = stdev(values) if len(values) > 1 else 0.0
            print(f"{name} {key}: {mean(values):.4g} ± {spread:.2g}", flush=True)


if __name__ == "__main__":
    main()
