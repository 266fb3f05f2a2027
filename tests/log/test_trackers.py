"""Experiment trackers, read back by their own libraries (skipped where one is not installed)."""

import json
import os
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from loopwright.log import LogRecord, MLflowWriter, Point, Visualizer, WandbWriter
from loopwright.log.pictures import Picture


def records():
    late = Point("rare", 0.25, 3, 0, None, None)
    image = Picture("seen", np.full((4, 6, 3), 9, np.uint8), 10, layout="HWC")
    yield LogRecord(10, 0, scalars={"loss": 0.5}, points=(late,), images=(image,), wall_time=1e9)
    yield LogRecord(20, 1, "val", scalars={"acc": 90.0}, wall_time=1e9 + 1)


def test_an_mlflow_store_holds_every_value_at_its_iteration(tmp_path):
    mlflow = pytest.importorskip("mlflow")
    writer = MLflowWriter(tmp_path.as_uri(), experiment="demo", run_name="one", params={"lr": 0.1})
    for record in records():
        writer.write(record)
    writer.log_text("config.py", "a = 1")
    run_id = writer.run_id
    writer.close()
    client = mlflow.MlflowClient(tmp_path.as_uri())
    run = client.get_run(run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params == {"lr": "0.1"}
    history = {
        name: [(m.step, m.value) for m in client.get_metric_history(run_id, name)]
        for name in ("loss", "rare", "val/acc")
    }
    assert history == {"loss": [(10, 0.5)], "rare": [(3, 0.25)], "val/acc": [(20, 90.0)]}


def test_an_mlflow_run_goes_on_after_a_resume(tmp_path):
    mlflow = pytest.importorskip("mlflow")
    first = MLflowWriter(tmp_path.as_uri())
    first.write(LogRecord(1, 0, scalars={"loss": 1.0}, wall_time=1e9))
    state = json.loads(json.dumps(first.state_dict()))
    first.close()
    second = MLflowWriter(tmp_path.as_uri())
    second.load_state_dict(state)
    second.write(LogRecord(2, 0, scalars={"loss": 0.5}, wall_time=1e9 + 1))
    second.close()
    client = mlflow.MlflowClient(tmp_path.as_uri())
    assert [m.step for m in client.get_metric_history(state["run_id"], "loss")] == [1, 2]


def test_an_offline_wandb_run_holds_every_value_at_its_iteration(tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_SILENT", "true")
    writer = WandbWriter(tmp_path, init_kwargs={"mode": "offline", "project": "demo"})
    for record in records():
        writer.write(record)
    writer.close()
    (file,) = tmp_path.glob("wandb/offline-run-*/run-*.wandb")
    for _ in range(1200):  # W&B's service may still be writing
        rows = list(read_wandb(file))
        if len(rows) == 4:
            break
        time.sleep(0.1)
    found = {(row["iter"], name): value for row in rows for name, value in row.items()}
    assert found[10, "loss"] == 0.5
    assert found[3, "rare"] == 0.25
    assert found[20, "val/acc"] == 90.0
    assert found[10, "seen/_type"] == "image-file"


def read_wandb(path):
    """The history rows of a run file, parsed with W&B's own message classes."""
    from wandb.proto import wandb_internal_pb2

    for data in leveldb_records(path.read_bytes()):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        if record.WhichOneof("record_type") == "history":
            yield {
                item.key or "/".join(item.nested_key): json.loads(item.value_json)
                for item in record.history.item
            }


def leveldb_records(data, block=32768, header=7):
    """Records of a LevelDB log: in blocks, each piece with crc (4), length (2) and kind (1).

    Kinds: 1 whole, 2 first, 3 middle, 4 last. The file's own header is 7 bytes long.
    """
    at, pieces = header, []
    while at < len(data):
        if block - at % block < header:
            at += block - at % block
            continue
        length, kind = struct.unpack_from("<HB", data, at + 4)
        pieces.append(data[at + header : at + header + length])
        at += header + length
        if kind in (1, 4):
            yield b"".join(pieces)
            pieces = []


def test_a_dvclive_folder_holds_every_value(tmp_path, monkeypatch):
    pytest.importorskip("dvclive")
    monkeypatch.chdir(tmp_path)  # inside a git repository it would write into that
    visualizer = Visualizer(
        vis_backends={"type": "DVCLiveVisBackend", "save_dir": str(tmp_path / "live")}
    )
    for record in records():
        visualizer.write(record)
    visualizer.close()
    text = (tmp_path / "live" / "plots" / "metrics" / "loss.tsv").read_text()
    assert text.split() == ["step", "loss", "10", "0.5"]


WRITE = """
import sys
sys.path.insert(0, {here!r})
from test_trackers import records
from loopwright.log.writers import {writer}

writer = {writer}({arguments})
{before}
for record in records():
    writer.write(record)
writer.log_text("config.py", "a = 1")
writer.close()
{after}
"""


def written(folder, **parts):
    """What a process of its own prints that wrote the records; these libraries start threads."""
    code = WRITE.format(here=str(Path(__file__).parent), **{"before": "", "after": "", **parts})
    env = {**os.environ, "HOME": str(folder), "CLEARML_OFFLINE_MODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_an_aim_repository_holds_every_value_and_picture(tmp_path):
    pytest.importorskip("aim")
    told = written(
        tmp_path,
        writer="AimWriter",
        arguments="'repo', init_kwargs={'system_tracking_interval': None}",
        before="name = writer.experiment.hash",
        after="import aim, json\n"
        "run = aim.Run(name, repo='repo')\n"
        "found = {m.name: [m.context.to_dict()['tag'], m.values.sparse_list()[1]]\n"
        "         for m in run.metrics() if not m.name.startswith('__')}\n"
        "images = [i['name'] for i in run.collect_sequence_info('images')['images']]\n"
        "print(json.dumps([run['config.py'], images, found]))",
    )
    text, images, found = json.loads(told.splitlines()[-1])
    assert text == "a = 1"
    assert images == ["seen"]
    assert found == {
        "loss": ["train", [0.5]],
        "rare": ["train", [0.25]],
        "val/acc": ["val", [90.0]],
    }


def test_an_offline_clearml_task_holds_every_value_at_its_iteration(tmp_path):
    pytest.importorskip("clearml")
    told = written(
        tmp_path,
        writer="ClearMLWriter",
        arguments="init_kwargs={'project_name': 'demo', 'task_name': 'one', "
        "'auto_connect_frameworks': False, 'auto_resource_monitoring': False}",
        before="folder = str(writer.experiment.get_offline_mode_folder())",
        after="print(folder)",
    )
    folder = Path(next(line for line in told.splitlines()[::-1] if "offline-" in line))
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    events = [event for line in lines for event in json.loads(line)]
    numbers = {e["variant"]: (e["iter"], e["value"]) for e in events if "value" in e}
    assert numbers == {"loss": (10, 0.5), "rare": (3, 0.25), "val/acc": (20, 90.0)}
    assert [e["iter"] for e in events if e["type"] == "training_debug_image"] == [10]


def test_an_offline_neptune_run_holds_every_series(tmp_path):
    pytest.importorskip("neptune")
    written(tmp_path, writer="NeptuneWriter", arguments="init_kwargs={'mode': 'offline'}")
    [log] = tmp_path.glob(".neptune/offline/*/data-1.log")
    rows = [json.loads(line)["obj"] for line in log.read_text().splitlines()]
    named = {"/".join(row["path"]): row for row in rows}
    series = {
        name: [(value["step"], value["value"]) for value in named[name]["values"]]
        for name in ("loss", "rare", "val/acc")
    }
    assert series == {"loss": [(10, 0.5)], "rare": [(3, 0.25)], "val/acc": [(20, 90.0)]}
    assert {"seen", "config.py"} <= set(named)
