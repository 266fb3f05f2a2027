"""A training script as users of detectron2 write it runs as it is: config, model, data, hooks."""

import json
import sys
from pathlib import Path

import pytest

from loopwright import compat
from loopwright.registry import MODELS
from loopwright.trainer import DatasetCatalog

SCRIPT = Path(__file__).parent / "train_net.txt"


@pytest.fixture
def command(tmp_path, monkeypatch):
    """The script's command line."""
    (tmp_path / "users_train_net.py").write_text(SCRIPT.read_text(encoding="utf-8"))
    monkeypatch.syspath_prepend(str(tmp_path))
    compat.install("detectron2")
    yield __import__("users_train_net").command
    compat.uninstall("detectron2")
    sys.modules.pop("users_train_net")
    DatasetCatalog.clear()
    MODELS.module_dict.pop("PointNet")


@pytest.fixture
def config(tmp_path):
    (tmp_path / "base.yaml").write_text(
        "MODEL:\n  META_ARCHITECTURE: PointNet\n  DEVICE: cpu\n"
        "SOLVER:\n  IMS_PER_BATCH: 4\n  BASE_LR: 0.1\n  STEPS: (200, 300)\n  MAX_ITER: 400\n"
        "  WARMUP_ITERS: 20\n  CHECKPOINT_PERIOD: 100\nDATALOADER:\n  NUM_WORKERS: 0\n"
    )
    path = tmp_path / "config.yaml"
    path.write_text(
        "_BASE_: base.yaml\nDATASETS:\n  TRAIN: ('points_train',)\n  TEST: ('points_val',)\n"
        "TEST:\n  EVAL_PERIOD: 50\nSOLVER:\n  MAX_ITER: 120\n  STEPS: (80, 100)\n"
    )
    return str(path)


def test_a_training_script_trains_resumes_and_evaluates(command, config, tmp_path):
    folder = tmp_path / "out"
    where = ["OUTPUT_DIR", str(folder), "SEED", "1"]
    results = command(["--config-file", config, *where])
    assert results["point"]["error"] < 0.6
    lines = [json.loads(line) for line in (folder / "metrics.json").read_text().splitlines()]
    assert [x["iteration"] for x in lines if "point/error" in x] == [49, 99, 120]
    assert [x["iteration"] for x in lines if "tta/error" in x] == [120], "also behind the writer"
    assert sum("slow" in x for x in lines) == 12
    assert all("some_accuracy" in x for x in lines if "total_loss" in x)
    told = (folder / "log.txt").read_text(encoding="utf-8")
    assert "detectron2.mine]: INFO slowing down" in told, "what a script's own logger says"

    more = command(["--config-file", config, "--resume", *where, "SOLVER.MAX_ITER", "140"])
    assert (folder / "last_checkpoint").read_text() == "model_final.pth"
    told = [json.loads(x)["iteration"] for x in (folder / "metrics.json").read_text().splitlines()]
    assert told == sorted(set(told))
    assert told[-1] == 140

    weights = ["MODEL.WEIGHTS", str(folder / "model_final.pth")]
    expected = ["TEST.EXPECTED_RESULTS", f"[['point', 'error', {more['point']['error']}, 1e-6]]"]
    found = command(["--config-file", config, "--eval-only", *where, *weights, *expected])
    assert found == more


def test_a_misspelt_option_of_the_command_line_is_refused(command, config):
    with pytest.raises(KeyError, match=r"no key SOLVER\.BASE_LT; did you mean 'BASE_LR'"):
        command(["--config-file", config, "SOLVER.BASE_LT", "0.1"])
