"""A COCO dataset with images on disk and an exact number of each fault, for the tests."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

IMAGES = 40
WANTED = {
    "not_finite": {"drop": 2},
    "reversed": {"repair": 6},
    "outside": {"drop": 3},
    "partly_outside": {"clip": 4},
    "empty": {"drop": 2},
    "too_small": {"drop": 1},
    "duplicate": {"drop": 2},
    "mask": {"keep": 1},
    "area": {"repair": 3},
    "bad_entry": {"drop": 8},
    "unknown_category": {"drop": 2},
    "unknown_image": {"drop": 2},
    "duplicate_annotation_id": {"renumber": 1},
    "duplicate_image_id": {"drop": 1},
    "duplicate_image": {"keep": 1},
    "duplicate_category": {"drop": 1},
    "bad_size": {"keep": 1},
    "wrong_size": {"repair": 2},
    "missing_image": {"keep": 1},
    "unreadable_image": {"keep": 3},
    "extra_image": {"keep": 1},
    "path_outside": {"keep": 2},
    "unmatched_class": {"keep": 1},
    "unused_class": {"keep": 1},
}
CLEAN = 400

BOXES = [
    ([float("nan"), 1, 5, 5], "not_finite"),
    ([1, 1, float("inf"), 5], "not_finite"),
    *[([40 + i, 20, -10, 8], "reversed") for i in range(3)],
    *[([40 + i, 30, -10, -8], "reversed") for i in range(3)],
    *[([200 + i, 20, 10, 8], "outside") for i in range(3)],
    *[([-4, 10 + i, 12, 8], "partly_outside") for i in range(4)],
    ([10, 10, 0, 8], "empty"),
    ([10, 10, 8, 0], "empty"),
    ([10, 10, 0.4, 8], "too_small"),
]
BROKEN = [
    "a string",
    None,
    [1, 2],
    {"id": 901, "image_id": 1, "category_id": 1},
    {"id": 902, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3]},
    {"id": 903, "image_id": 1, "category_id": 1, "bbox": ["1", "2", "3", "4"]},
    {"id": 904, "image_id": 1, "category_id": 1, "bbox": {"x": 1}},
    {"id": 905, "image_id": 1, "category_id": 1, "bbox": [1, 2, True, 10**400]},
    {"id": 906, "image_id": 1, "category_id": 77, "bbox": [1, 2, 3, 4]},
    {"id": 907, "image_id": 1, "category_id": [1], "bbox": [1, 2, 3, 4]},
    {"id": 908, "image_id": 9999, "category_id": 1, "bbox": [1, 2, 3, 4]},
    {"id": 909, "image_id": None, "category_id": 1, "bbox": [1, 2, 3, 4]},
]


def entry(number: int, image: int, box: list, **more: object) -> dict:
    return {"id": number, "image_id": image, "category_id": 1 + number % 2, "bbox": box, **more}


def clean(number: int) -> dict:
    box = [1 + number % 7, 1 + number // 40, 10 + number % 11, 20]
    return entry(number, 1 + number % 30, box, area=box[2] * box[3], iscrowd=0)


def annotations() -> list:
    made = [clean(number) for number in range(CLEAN)]
    made += [
        entry(500 + place, 1 + place, box, area=30, iscrowd=0)
        for place, (box, _) in enumerate(BOXES)
    ]
    made += [{**made[0], "id": 600}, {**made[1], "id": 601}]
    made += [
        entry(610, 5, [60, 2, 10, 10], segmentation=[[5, 40, 20, 40, 20, 60, 5, 60]]),
        *[entry(620 + i, 6, [50, 2 + i, 10, 10], area=a) for i, a in enumerate([0, -5, 1e6])],
        {**entry(620, 7, [50, 2, 10, 10]), "id": 620},
    ]
    return made + BROKEN


def images() -> list[dict]:
    made = [
        {"id": n, "file_name": f"{n:03}.png", "width": 100, "height": 80}
        for n in range(1, IMAGES + 1)
    ]
    made[34].update(width=80, height=100)
    made[35].update(width=640)
    made[36].pop("width")
    return [
        *made,
        {"id": 1, "file_name": "again.png", "width": 100, "height": 80},
        {"id": 71, "file_name": "002.png", "width": 100, "height": 80},
        {"id": 72, "file_name": "../secret.png", "width": 100, "height": 80},
        {"id": 73, "file_name": "/etc/passwd", "width": 100, "height": 80},
    ]


def dataset(folder: Path) -> tuple[Path, Path]:
    """Write the annotations and images; gives the json's path and the images' folder."""
    pictures = folder / "images"
    pictures.mkdir(parents=True)
    rng = np.random.RandomState(0)
    for n in range(1, IMAGES + 1):
        Image.fromarray(rng.randint(0, 255, (80, 100, 3), np.uint8)).save(pictures / f"{n:03}.png")
    (pictures / "040.png").unlink()
    (pictures / "039.png").write_bytes(b"")
    (pictures / "038.png").write_bytes(b"no image")
    whole = (pictures / "034.png").read_bytes()
    (pictures / "034.png").write_bytes(whole[: len(whole) // 2])
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(pictures / "extra.png")
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(folder / "secret.png")
    categories = [
        {"id": 1, "name": "cat"},
        {"id": 2, "name": "dog"},
        {"id": 2, "name": "dog again"},
        {"id": 3, "name": "bird"},
    ]
    path = folder / "annotations.json"
    data = {"images": images(), "categories": categories, "annotations": annotations()}
    path.write_text(json.dumps({"info": {"year": 2024}, **data}))
    return path, pictures
