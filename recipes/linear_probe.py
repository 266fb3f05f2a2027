"""Linear probe: how good the frozen features of a pre-trained model are, on few labels.

    python recipes/linear_probe.py recipes/mae_pretrain/config.py --work-dir work_dirs/mae

A logistic regression is fitted on the features of a few labelled digits of each class and tested
on the test digits: on the pre-trained features, on those of the same model with random weights, and
on raw pixels.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
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
def features(model: torch.nn.Module | None, data: Any) -> tuple[np.ndarray, np.ndarray]:
    """What a model says of each image, flat, or the pixels themselves; and the labels."""
    images = torch.stack([data[i]["inputs"] for i in range(len(data))])
    labels = np.array([int(data[i]["data_samples"]) for i in range(len(data))])
    if model is None:
        return images.flatten(1).numpy(), labels
    model.eval()
    found = torch.cat([model.extract_feat(part) for part in images.split(256)])
    return found.flatten(1).numpy(), labels


def labelled(size: int, split: str, per_class: int | None = None) -> Any:
    return DATASETS.build(
        {
            "type": "DigitsClassification",
            "split": split,
            "size": size,
            "labels_per_class": per_class,
        }
    )


def probe(config: str, checkpoint: dict[str, Any], *, per_class: int = 5) -> dict[str, float]:
    """Test accuracy by what the features are: pretrained, random weights, pixels."""
    cfg = Config.fromfile(config)
    size = cfg["train_dataloader"]["dataset"].get("size", 16)
    train, test = labelled(size, "train", per_class), labelled(size, "test")
    torch.manual_seed(0)
    model = MODELS.build(cfg["model"])
    random = accuracy(features(model, train), features(model, test))
    load_weights(model, checkpoint)
    return {
        "pretrained": accuracy(features(model, train), features(model, test)),
        "random weights": random,
        "pixels": accuracy(features(None, train), features(None, test)),
    }


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
