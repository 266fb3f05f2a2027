"""The detection recipes: half precision with its scaler, the same start, bad boxes, compiling."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from loopwright.cli.run import start
from loopwright.config import Config
from loopwright.hooks import Hook
from loopwright.model.prints import Fingerprint
from loopwright.registry import DATASETS

RECIPES = Path(__file__).parents[2] / "recipes"
AMP = RECIPES / "detection_amp"
FEW = {
    "train_dataloader.batch_size": 4,
    "train_dataloader.dataset.count": 16,
    "train_dataloader.dataset.planted": {"_delete_": True, "reversed": 2},
    "val_dataloader.dataset.count": 4,
}


class Enough(Exception):
    """As many iterations were trained as the test needs."""


class Watch(Hook):
    """Notes gradients, weights and the wrapper's figures, and ends the run."""

    def __init__(self, iters):
        self.iters = iters
        self.backward, self.figures, self.weights = [], [], []

    def before_train(self, runner):
        self.weights.append(flat(runner.model.parameters()))

    def after_backward(self, runner, **_):
        self.backward.append(norm(p.grad for p in runner.model.parameters()))

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        figures = {key: float(value) for key, value in runner.optim_wrapper.metrics().items()}
        figures["loss"] = float(outputs["loss"])
        figures["skipped"] = runner.optim_wrapper.last_step_skipped
        self.figures.append(figures)
        self.weights.append(flat(runner.model.parameters()))
        if runner.iter + 1 == self.iters:
            raise Enough


def flat(parameters):
    return torch.cat([p.detach().flatten().clone() for p in parameters])


def norm(gradients):
    return float(torch.stack([g.float().norm() for g in gradients if g is not None]).norm())


def watched(folder, *, iters=1, file="config.py", **changes):
    """A recipe's first iterations, as seen by a hook."""
    cfg = Config.fromfile(str(AMP / file))
    watch = Watch(iters)
    cfg.merge_from_dict({"work_dir": str(folder), **FEW, **changes, "custom_hooks": [watch]})
    with pytest.raises(Enough):
        start(cfg, str(AMP / file)).train()
    return watch


PLAIN = {"type": "SGD", "lr": 1.0, "weight_decay": 0}


def test_gradients_are_unscaled_before_they_are_clipped(tmp_path):
    limit = 0.25
    found = watched(
        tmp_path,
        file="float16.py",
        **{"optim_wrapper.optimizer": PLAIN, "optim_wrapper.clip_grad.max_norm": limit},
    )
    scale = found.figures[0]["loss_scale"]
    true = found.figures[0]["grad_norm"]
    assert scale == 65536
    assert found.backward[0] == pytest.approx(scale * true, rel=1e-3)
    assert true > limit
    # one step of plain SGD at rate 1 moves the weights by exactly what the clipped gradient is;
    # clipped before it was unscaled, that would be 65,536 times less
    moved = float((found.weights[1] - found.weights[0]).norm())
    assert moved == pytest.approx(limit, rel=1e-3)


def test_a_scale_that_overflows_costs_a_step_and_is_halved(tmp_path):
    scale = {"optim_wrapper.loss_scale": {"_delete_": True, "init_scale": 2.0**40}}
    found = watched(tmp_path, iters=2, file="float16.py", **scale)
    assert [f["skipped"] for f in found.figures] == [True, True]
    assert [f["loss_scale"] for f in found.figures] == [2.0**39, 2.0**38]
    assert torch.equal(found.weights[0], found.weights[2])


def test_the_expected_start_is_an_assertion(tmp_path):
    watched(tmp_path / "first")
    told = Fingerprint.load(tmp_path / "first" / "fingerprint.json").total
    watched(tmp_path / "same", expect_init=told[:12])
    other = Config.fromfile(str(AMP / "config.py"))
    other.merge_from_dict(
        {"work_dir": str(tmp_path / "other"), "expect_init": told, "randomness.seed": 1, **FEW}
    )
    runner = start(other, "other.py")
    with pytest.raises(ValueError, match=f"expect_init is {told}"):
        runner.train()
    assert runner.iter == 0


def test_without_a_policy_the_planted_boxes_stay_as_they_are():
    cfg = Config.fromfile(str(AMP / "config.py")).train_dataloader.dataset
    raw = DATASETS.build({**cfg, "policy": None})
    boxes = np.concatenate(raw.boxes)
    finite = boxes[np.isfinite(boxes).all(1)]
    assert len(boxes) - len(finite) == cfg.planted.not_finite
    assert (finite[:, :2] > finite[:, 2:]).any(1).sum() == cfg.planted.reversed
    good = np.concatenate(DATASETS.build(cfg).boxes)
    assert (good[:, :2] < good[:, 2:]).all()
    assert len(good) == len(boxes) - sum(
        cfg.planted[cause] for cause in ("outside", "too_small", "not_finite", "duplicate")
    )


def test_both_recipes_have_one_model_and_the_same_clean_data():
    amp, edge = (Config.fromfile(str(RECIPES / n / "config.py")) for n in (AMP.name, "rtmdet_edge"))
    for key in ("model", "val_dataloader", "test_dataloader", "train_cfg"):
        assert amp[key] == edge[key]
    planted = ("planted", "policy")
    data = {k: v for k, v in amp.train_dataloader.dataset.items() if k not in planted}
    assert data == edge.train_dataloader.dataset


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile on a CPU needs g++")
def test_the_recipe_compiles(tmp_path):
    plain = watched(tmp_path / "plain", iters=2)
    compiled = watched(tmp_path / "compiled", iters=2, **{"compile.enabled": True})
    for here, there in zip(plain.figures, compiled.figures, strict=True):
        assert there["loss"] == pytest.approx(here["loss"], rel=0.02)
