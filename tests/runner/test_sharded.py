"""Two gloo processes that hold half a model each: what they save is whole, and resumes exactly."""

import json
import os
import subprocess
import sys
from pathlib import Path

import torch

from loopwright.checkpoint import Store
from loopwright.config import Config
from loopwright.model import unwrap
from loopwright.runner import Runner

HERE = Path(__file__).parent


def two_processes(script, folder):
    environment = {**os.environ, "PYTHONPATH": str(HERE), "OMP_NUM_THREADS": "1"}
    command = ["torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    done = subprocess.run(
        [sys.executable, "-m", *command, str(HERE / script), str(folder)],
        capture_output=True, text=True, timeout=900, env=environment, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]


def test_an_average_of_a_sharded_run_is_seen_by_validation_saved_whole_and_resumed(tmp_path):
    two_processes("sharded_average_script.py", tmp_path)
    for rank in (0, 1):
        told = json.loads((tmp_path / f"average_{rank}.json").read_text())
        assert told.pop("looked") == [True, True, True]
        assert told == dict.fromkeys(("by hand", "moved", "resumed", "saved", "raw"), True)


def test_a_sharded_run_saves_whole_tensors_and_resumes_to_the_same_weights(tmp_path):
    two_processes("sharded_script.py", tmp_path)
    for rank in (0, 1):
        told = json.loads((tmp_path / f"rank_{rank}.json").read_text())
        assert told["same"]
        assert told["iters"] == [4, 4]
        assert told["local"] <= 0.6 * told["whole"]
    in_one_process(tmp_path)


def in_one_process(folder):
    """The checkpoint is as any other: one process resumes it with the whole model."""
    entry = Store(folder / "straight").newest()
    model = {"type": "ToyResNet"}
    data = {"batch_size": 4, "dataset": {"type": "ToyClasses", "length": 8}}
    runner = Runner.from_cfg(
        Config(
            {
                "model": model,
                "work_dir": str(folder / "alone"),
                "train_dataloader": {**data, "collate_fn": {"type": "default_collate"}},
                "train_cfg": {"type": "EpochBasedTrainLoop", "max_epochs": 3},
                "optim_wrapper": {"optimizer": {"type": "AdamW", "lr": 0.01}},
                "resume": str(entry.path),
                "log_level": "ERROR",
            }
        )
    )
    runner.load_or_resume()
    saved = Store(folder / "straight").load().state
    own = unwrap(runner.model).state_dict()
    assert all(torch.equal(own[name], value) for name, value in saved["state_dict"].items())
    moments = runner.optim_wrapper.state_dict()["state"]
    for name, values in saved["optimizer"]["state"].items():
        assert torch.equal(values["exp_avg"], moments[name]["exp_avg"]), name
