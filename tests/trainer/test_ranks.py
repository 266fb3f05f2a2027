"""A DefaultTrainer of two processes, by `launch` and by torchrun: one run, whatever stops it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from ranks_script import STOP_AT, config, straight_and_stopped

from loopwright.files import RunLock
from loopwright.trainer import DefaultTrainer, launch

HERE = Path(__file__).parent


def ranks(folder):
    return [json.loads((folder / f"rank{rank}.json").read_text()) for rank in (0, 1)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A straight run, and one that a signal stopped and torchrun took up again."""
    folder = tmp_path_factory.mktemp("ranks")
    environment = {k: v for k, v in os.environ.items() if k not in ("RANK", "WORLD_SIZE")}
    environment |= {"PYTHONPATH": str(HERE), "OMP_NUM_THREADS": "1"}
    before, os.environ["PYTHONPATH"] = os.environ.get("PYTHONPATH"), str(HERE)
    try:
        with pytest.raises(SystemExit) as end:
            launch(straight_and_stopped, 2, args=(str(folder),))
    finally:
        os.environ.pop("PYTHONPATH") if before is None else os.environ.update(PYTHONPATH=before)
    assert end.value.code == 75, "what the processes exit with is what the launch exits with"
    (folder / "at_stop.txt").write_text((folder / "parts" / "last_checkpoint").read_text())
    done = subprocess.run(
        [
            sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2",
            str(HERE / "ranks_script.py"), str(folder),
        ],
        capture_output=True, text=True, timeout=900, env=environment, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    return folder


def test_both_ranks_end_with_the_same_weights_results_and_losses(folder):
    first, second = ranks(folder / "straight")
    for name in ("weights", "results", "losses"):
        assert first[name] == second[name], name


def test_ranks_are_seeded_alike_before_they_build(folder):
    first, second = ranks(folder / "straight")
    assert first["begins"] == second["begins"]


def test_ranks_draw_apart_once_they_train(folder):
    first, second = ranks(folder / "straight")
    assert all(a != b for a, b in zip(first["drawn"], second["drawn"], strict=True))


def test_the_evaluation_is_that_of_all_samples(folder):
    """23 samples on two ranks: 24 with the one that makes the shares even, which is not counted."""
    alone = DefaultTrainer(config(folder / "alone"))
    alone.checkpointer.load(str(folder / "straight" / "model_final.pth"), checkpointables=[])
    wanted = DefaultTrainer.test(alone.cfg, alone.model)
    found = ranks(folder / "straight")[0]["results"]
    assert found == wanted
    assert found["accuracy/top1"] * 23 / 100 == pytest.approx(round(found["accuracy/top1"] * 0.23))


def test_the_main_rank_alone_writes(folder):
    first, second = ranks(folder / "straight")
    assert first["writers"] == ["PeriodicWriter"]
    assert second["writers"] == []
    names = {path.name for path in (folder / "straight").iterdir()}
    assert {"metrics.json", "log.txt", "log.txt.rank1", "model_final.pth"} <= names
    lines = (folder / "straight" / "metrics.json").read_text().splitlines()
    told = [json.loads(line)["iteration"] for line in lines]
    assert told == sorted(set(told)), "each iteration once"


def test_after_an_error_the_main_rank_saves_alone_and_both_go_on_to_the_same_bits(folder):
    """Had it asked the other for anything, the messages of the next training would not match."""
    straight, failed = ranks(folder / "straight"), ranks(folder / "failed")
    assert (folder / "failed" / f"model_{STOP_AT - 1:07d}.pth").exists()
    for rank in (0, 1):
        assert failed[rank]["start"] == STOP_AT
        for name in ("weights", "results"):
            assert failed[rank][name] == straight[rank][name], f"rank {rank}: {name}"


def test_a_signal_stops_both_ranks_after_the_same_iteration(folder):
    assert (folder / "at_stop.txt").read_text() == f"model_{STOP_AT:07d}.pth"


def test_the_run_that_was_stopped_goes_on_under_torchrun_to_the_same_bits(folder):
    straight, parts = ranks(folder / "straight"), ranks(folder / "parts")
    assert parts[0]["start"] == parts[1]["start"] == STOP_AT + 1
    for rank in (0, 1):
        for name in ("weights", "results"):
            assert parts[rank][name] == straight[rank][name], f"rank {rank}: {name}"
        assert parts[rank]["drawn"] == straight[rank]["drawn"][STOP_AT + 1 :]
    logs = [(folder / name / "metrics.json").read_text() for name in ("straight", "parts")]
    assert logs[0] == logs[1]
    states = [
        torch.load(folder / name / "model_final.pth", weights_only=True)
        for name in ("straight", "parts")
    ]
    assert states[0]["trainer"]["iteration"] == states[1]["trainer"]["iteration"] == 11


def test_the_folder_is_free_again(folder):
    with RunLock(str(folder / "parts")):
        pass


def test_a_rank_that_writes_nothing_is_not_told_that_it_lacks_a_writer(folder):
    for name in ("log.txt", "log.txt.rank1"):
        text = (folder / "parts" / name).read_text()
        assert "starting training from iteration" in text
        assert "which this run lacks" not in text
