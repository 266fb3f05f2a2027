"""How long the repair of a million boxes takes: arrays alone, and the whole `data check` of a file.

    python benchmarks/boxes.py [--boxes 1000000]

The file is a COCO json of that many boxes over 100 thousand images, one box in fifty bad.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from loopwright.vision.boxes import repair
from loopwright.vision.policy import Policy


def made(count: int, images: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Boxes in images of 640 x 480, one in fifty reversed, over the border or outside."""
    rng = np.random.default_rng(0)
    corner = rng.uniform(0, (500, 380), (count, 2)).round(1)
    boxes = np.concatenate([corner, corner + rng.uniform(5, 100, (count, 2)).round(1)], 1)
    bad = rng.permutation(count)[: count // 50]
    third = len(bad) // 3
    boxes[bad[:third]] = boxes[bad[:third]][:, [2, 1, 0, 3]]
    boxes[bad[third : 2 * third], 0] = -5
    boxes[bad[2 * third :]] += 10_000
    return boxes, rng.integers(0, 80, count), np.sort(rng.integers(0, images, count))


def coco(boxes: np.ndarray, labels: np.ndarray, image: np.ndarray, images: int) -> dict:
    rows = zip(boxes.tolist(), labels.tolist(), image.tolist())
    return {
        "images": [
            {"id": i, "file_name": f"{i:06}.jpg", "width": 640, "height": 480}
            for i in range(images)
        ],
        "categories": [{"id": c, "name": f"class {c}"} for c in range(80)],
        "annotations": [
            {
                "id": n,
                "image_id": i,
                "category_id": c,
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "area": abs((x2 - x1) * (y2 - y1)),
                "iscrowd": 0,
            }
            for n, ((x1, y1, x2, y2), c, i) in enumerate(rows)
        ],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--boxes", type=int, default=1_000_000)
    count = parser.parse_args().boxes
    images = max(count // 10, 1)
    boxes, labels, image = made(count, images)
    policy = Policy(budget=None)
    with timed(f"repair of {count} boxes in arrays"):
        done = repair(boxes, (640, 480), policy, labels=labels, image=image)
    print(done.findings.table())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.json")
        path.write_text(json.dumps(coco(boxes, labels, image, images)))
        del boxes, labels, image, done
        time_file(path)


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Print what something took on the clock, and of the processor alone, children included."""
    begun, used = time.perf_counter(), sum(os.times()[:4])
    yield
    cpu = sum(os.times()[:4]) - used
    print(f"{what}: {time.perf_counter() - begun:.2f} s, of the processor {cpu:.2f} s")


def time_file(path: Path) -> None:
    from loopwright.vision.annotations import audit, read
    from loopwright.vision.objects import no_collection

    with no_collection():
        with timed(f"json alone, Python's own ({path.stat().st_size / 1e6:.0f} MB)"):
            json.loads(path.read_bytes())
        with timed("read and audit of that file"):
            audit(read(path), Policy(budget=None, suspicion="warn"))
    command = [sys.executable, "-m", "loopwright.cli.main", "data", "check", str(path)]
    with timed("`loopwright data check` of it, from start to end"):
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)


if __name__ == "__main__":
    main()
