"""Linear probe: how good the frozen features of a pre-trained model are, on few labels.

    python recipes/linear_probe.py recipes/mae_pretrain/config.py --work-dir work_dirs/mae

A logistic regression is fitted on the features of a few labelled digits of each class and tested
on the test digits: on the pre-trained features, on those of the same model with random weights, and
on raw pixels. Which digits are labelled is drawn five times; the figures are the means.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import torch

from loopwright.checkpoint import find_state_dict, load_any, load_weights
from loopwright.config import Config
from loopwright.registry import DATASETS, MODELS


def accuracy(train: Any, test: Any) -> float:
    """Per cent right of a logistic regression on standardised features (n, d) and labels (n,)."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    fitted = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    return 100 * float(fitted.fit(*train).score(*test))


@torch.no_grad()
def features(model: torch.nn.Module | None, images: torch.Tensor) -> np.ndarray:
    """(n, d): what a model predicts as `feat` of images (n, C, H, W), or the pixels themselves.

    The model is asked as a test would ask it, so its preprocessor sees the images first.
    """
    if model is None:
        return images.flatten(1).numpy()
    model.eval()
    parts = [{"inputs": part, "data_samples": None} for part in images.split(256)]
    said = [one["feat"] for part in parts for one in model.test_step(part)]
    return torch.stack(said).flatten(1).numpy()


def draws(labels: np.ndarray, per_class: int, count: int) -> list[np.ndarray]:
    """Which samples are labelled, `count` times: `per_class` of each class."""
    each = [np.nonzero(labels == number)[0] for number in np.unique(labels)]
    rngs = [np.random.RandomState(seed) for seed in range(count)]
    return [
        np.concatenate([rng.choice(those, per_class, replace=False) for those in each])
        for rng in rngs
    ]


def digits(split: str, size: int) -> tuple[torch.Tensor, np.ndarray]:
    """All images (n, 1, size, size) of a split and their labels (n,)."""
    data = DATASETS.build({"type": "DigitsClassification", "split": split, "size": size})
    return data.inputs, data.labels.numpy()


def probe(
    config: str, checkpoint: dict[str, Any], *, per_class: int = 5, repeats: int = 5
) -> dict[str, float]:
    """Test accuracy, a mean over draws, by what the features are: pretrained, random, pixels."""
    cfg = Config.fromfile(config)
    size = cfg["train_dataloader"]["dataset"].get("size", 16)
    (train, labels), (test, truth) = digits("train", size), digits("test", size)
    chosen = draws(labels, per_class, repeats)

    def score(model: torch.nn.Module | None) -> float:
        known, asked = features(model, train), features(model, test)
        return mean(accuracy((known[few], labels[few]), (asked, truth)) for few in chosen)

    torch.manual_seed(0)
    model = MODELS.build(cfg["model"])
    random = score(model)
    load_weights(model, checkpoint, strict=True)
    return {"pretrained": score(model), "random weights": random, "pixels": score(None)}


def newest(work_dir: str) -> dict[str, Any]:
    """The weights of a run's last checkpoint."""
    name = Path(work_dir, "last_checkpoint").read_text(encoding="utf-8").strip()
    state = load_any(Path(work_dir, Path(name).name))
    return find_state_dict(state)


def main() -> None:
    parser = argparse.ArgumentParser(description="Linear probe of frozen features.")
    parser.add_argument("config")
    parser.add_argument("--work-dir", required=True)
    parser.add_argument("--per-class", type=int, default=5)
    given = parser.parse_args()
    found = probe(given.config, newest(given.work_dir), per_class=given.per_class)
    print(json.dumps({name: round(value, 1) for name, value in found.items()}))


if __name__ == "__main__":
    main()
