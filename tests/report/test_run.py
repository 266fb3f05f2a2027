"""A run folder read back: its numbers are those that were written."""

import json
import math

import pytest

from loopwright.report import NoRunError, find_runs, read_run
from loopwright.report.phases import phases
from loopwright.report.tables import config_differences, metric_rows, run_row


def test_curves_are_the_written_numbers(run_folder):
    run = read_run(run_folder)
    lines = [json.loads(x) for x in (run_folder / "metrics.jsonl").read_text().splitlines()]
    written = [(e["iter"], e["loss"]) for e in lines if e["tag"] == "train" and "loss" in e]
    assert run.curves()["loss"] == written
    assert [at for at, _ in run.curves()["val/aAcc"]] == [3, 6, 9, 12, 15, 18]


def test_the_best_is_the_highest_of_a_metric_and_the_lowest_of_a_loss(run_folder):
    run = read_run(run_folder)
    curves = run.curves()
    assert run.best()["aAcc"][0] == max(v for _, v in curves["val/aAcc"])
    assert run.best()["loss"][0] == min(v for _, v in curves["val/loss"])


def test_sessions_tell_what_was_resumed_when(run_folder):
    told = [(e["what"], e["iter"]) for e in read_run(run_folder).sessions]
    assert told == [("start", 0), ("end", 9), ("start", 9), ("end", 18)]
    assert read_run(run_folder).state == "finished"


def test_each_value_knows_where_it_was_written_and_what_it_replaced(run_folder):
    steps = read_run(run_folder).origins["optim_wrapper.optimizer.lr"]
    assert [value for value, _ in steps] == ["0.1", "0.2"]
    assert steps[0][1].endswith("base.py:16")
    assert steps[1][1].endswith("child.py:2")


def test_the_environment_holds_versions_and_no_more_than_listed(run_folder, monkeypatch):
    env = read_run(run_folder).environment
    assert {"torch", "numpy", "loopwright"} <= set(env["packages"])
    assert env["world_size"] == 1
    assert set(env["variables"]) <= {
        "CUBLAS_WORKSPACE_CONFIG",
        "CUDA_VISIBLE_DEVICES",
        "MKL_NUM_THREADS",
        "OMP_NUM_THREADS",
        "PYTORCH_CUDA_ALLOC_CONF",
    }


def test_phases_never_exceed_the_wall_clock(run_folder):
    run = read_run(run_folder)
    spent = phases(run)
    starts = [e["time"] for e in run.sessions if e["what"] == "start"]
    assert 0 < sum(spent.values()) <= run.timing[-1]["wall_time"] - starts[0] + 1
    assert spent["validation and test"] > 0


def test_time_without_a_process_is_not_counted(tmp_path):
    start = {"iter": 0, "epoch": 0}
    sessions = [
        {"what": "start", "time": 100, **start},
        {"what": "start", "time": 5000, "iter": 10, "epoch": 1},
    ]
    timing = [
        {"tag": "train", "iter": 10, "wall_time": 110, "time": 1.0, "data_time": 0.25},
        {"tag": "train", "iter": 20, "wall_time": 5012, "time": 1.0, "data_time": 0.25},
        {"tag": "train", "iter": 30, "wall_time": 5024, "time": 1.0, "data_time": 0.25},
        {"tag": "val", "iter": 30, "wall_time": 5027},
    ]
    (tmp_path / "metrics.jsonl").write_text("")
    for name, lines in (("sessions", sessions), ("timing", timing)):
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, lines)))
    assert phases(read_run(tmp_path)) == {
        "training": 7.5,
        "waiting for data": 2.5,
        "validation and test": 3.0,
        "checkpoints and the rest": 2.0,
        "start": 22.0,
    }


def test_a_half_written_line_and_nan_do_not_stop_a_report(tmp_path):
    text = '{"tag": "train", "iter": 1, "epoch": 1, "loss": NaN}\n{"tag": "tra'
    (tmp_path / "metrics.jsonl").write_text(text)
    (value,) = read_run(tmp_path).curves()["loss"]
    assert math.isnan(value[1])


def test_a_folder_that_is_no_run_names_the_runs_below(run_folder):
    with pytest.raises(NoRunError, match=r"runs below it: .*resumed"):
        read_run(run_folder.parent)


def test_runs_are_found_below_a_folder(run_folder, other_folder):
    assert set(find_runs(run_folder.parent)) == {run_folder, other_folder}


def test_a_comparison_names_what_differs_and_nothing_else(run_folder, other_folder):
    runs = [read_run(run_folder), read_run(other_folder)]
    rows = {path: values for path, *values in config_differences(runs)}
    assert rows["optim_wrapper.optimizer.lr"] == ["0.2", "0.1"]
    assert rows["randomness.seed"] == ["0", "1"]
    assert "model.type" not in rows
    assert {"best aAcc", "best loss", "last loss"} <= {row[0] for row in metric_rows(runs)}
    assert run_row(runs[0])[1:3] == ("finished", "18")
