"""The store: names, order, retention, the hint, asynchronous saves, remote folders."""

from __future__ import annotations

import errno
import os
import threading
import time

import pytest
import torch

from loopwright.checkpoint import (
    Broken,
    CheckpointError,
    SaveError,
    Store,
    better,
    infer_rule,
    load_any,
    retain,
)

from .faulty import CountingDisk, FaultyDisk


def state(value: float = 1.0) -> dict:
    return {"model": {"w": torch.full((4,), value)}}


def value_of(loaded) -> float:
    return loaded.state["model"]["w"][0].item()


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path / "run") as made:
        yield made


def test_meta_step_and_name_come_back(store):
    path = store.save("epoch_3", state(), step=30, meta={"epoch": 3, "loss": float("nan")})
    entry = store.newest()
    assert (entry.name, entry.step, entry.path) == ("epoch_3", 30, path)
    assert entry.meta["epoch"] == 3
    assert entry.size > 0
    assert store.load().meta["epoch"] == 3


def test_the_order_is_by_step_whatever_the_clock_says(store, monkeypatch):
    for step, day in ((1, 3), (2, 1), (3, 2)):
        monkeypatch.setattr(time, "time", lambda day=day: day * 86400.0)
        path = store.save(f"iter_{step}", state(step), step=step)
        os.utime(path, (day * 86400, day * 86400))
    assert store.names() == ["iter_1", "iter_2", "iter_3"]
    assert value_of(store.load()) == 3


def test_of_two_with_one_step_the_later_save_is_newer(store):
    store.save("epoch_1", state(1), step=10)
    store.save("best_acc", state(2), step=10)
    assert store.newest().name == "best_acc"
    assert Store(store.place.folder).save("epoch_1", state(3), step=10)
    assert store.newest().name == "epoch_1"


def test_the_hint_is_a_relative_name_and_only_a_hint(store):
    store.save("epoch_1", state(1), step=1)
    store.save("epoch_2", state(2), step=2)
    hint = store.place.folder / "last_checkpoint"
    assert hint.read_text() == "epoch_2"
    hint.write_text("/somewhere/else")
    assert value_of(store.load()) == 2
    os.rename(store.place.folder, store.place.folder.with_name("moved"))
    assert value_of(Store(store.place.folder.with_name("moved")).load()) == 2


@pytest.mark.parametrize("name", ["", ".hidden", "a/b", "../x", "bad_1", "a\0b", "x" * 200, "a\\b"])
def test_a_name_is_one_plain_file_name(store, name):
    with pytest.raises(CheckpointError, match="no name for a checkpoint"):
        store.save(name, state(), step=1)


def test_an_unknown_name_suggests_the_nearest(store):
    store.save("epoch_12", state(), step=1)
    with pytest.raises(CheckpointError, match="did you mean 'epoch_12'"):
        store.load("epoch_21")


def test_the_last_whole_checkpoint_is_never_deleted(store):
    store.save("epoch_1", state(), step=1)
    with pytest.raises(CheckpointError, match="no whole successor"):
        store.delete("epoch_1")
    store.save("epoch_2", state(), step=2)
    store.delete("epoch_1")
    assert store.names() == ["epoch_2"]


def test_a_damaged_successor_does_not_count(tmp_path):
    store = Store(tmp_path)
    store.save("epoch_1", state(), step=1)
    path = store.save("epoch_2", state(), step=2)
    (path / "model.safetensors").write_bytes(b"")
    with pytest.raises(CheckpointError, match="no whole successor"):
        Store(tmp_path).delete("epoch_1")


def test_a_checkpoint_that_is_not_good_supersedes_nothing(store):
    store.save("epoch_1", state(), step=1)
    store.save("epoch_2", state(float("nan")), step=2, meta={"good": False})
    assert store.prune(1) == []
    with pytest.raises(CheckpointError, match="no whole successor"):
        store.delete("epoch_1")
    store.save("epoch_3", state(), step=3, meta={"good": True})
    assert store.prune(1) == ["epoch_1", "epoch_2"]


def test_pruning_keeps_the_newest_and_the_protected(store):
    for step in range(1, 6):
        store.save(f"epoch_{step}", state(step), step=step)
    assert store.prune(2, protect={"epoch_1"}) == ["epoch_2", "epoch_3"]
    assert store.names() == ["epoch_1", "epoch_4", "epoch_5"]


def test_what_a_killed_save_left_is_swept_before_the_first_save(tmp_path):
    Store(tmp_path).save("epoch_1", state(), step=1)
    litter = tmp_path / ".tmp-epoch_2-0123abcd"
    litter.mkdir()
    (litter / "model.safetensors").write_bytes(b"half")
    os.rename(tmp_path / "epoch_1", tmp_path / ".old-epoch_1-0123abcd")
    assert Store(tmp_path).names() == ["epoch_1"], "moved aside, and nothing took its place"
    Store(tmp_path).save("epoch_3", state(), step=3)
    assert sorted(os.listdir(tmp_path)) == ["epoch_1", "epoch_3", "last_checkpoint"]


def test_a_reader_sweeps_nothing(tmp_path):
    Store(tmp_path).save("epoch_1", state(), step=1)
    (tmp_path / ".tmp-epoch_2-0123abcd").mkdir()
    Store(tmp_path).load()
    assert (tmp_path / ".tmp-epoch_2-0123abcd").is_dir(), "it may belong to a running save"


def test_a_failing_deletion_is_logged_and_the_run_goes_on(tmp_path, caplog):
    Store(tmp_path).save("epoch_1", state(), step=1)
    store = Store(tmp_path)
    store.save("epoch_2", state(), step=2)
    store.place.disk = FaultyDisk(0, "EIO")
    assert store.prune(1) == []
    assert "epoch_1 was not deleted" in caplog.text
    assert store.names() == ["epoch_1", "epoch_2"]


# -- asynchronous -------------------------------------------------------------------------


class SlowDisk(CountingDisk):
    """Waits at the first write until told to go on."""

    def __init__(self):
        super().__init__()
        self.go = threading.Event()

    def write(self, fd, data):
        assert self.go.wait(10)
        return super().write(fd, data)


def test_the_state_saved_is_that_of_the_call_even_if_training_goes_on(tmp_path):
    disk = SlowDisk()
    store = Store(tmp_path, async_save=True, disk=disk)
    live = state(1)
    store.save("epoch_1", live, step=1)
    assert store.busy
    assert store.names() == []
    live["model"]["w"].fill_(9)
    disk.go.set()
    store.wait()
    assert value_of(store.load()) == 1


def test_the_memory_of_one_copy_serves_every_save(tmp_path):
    with Store(tmp_path, async_save=True) as store:
        live = state(1)
        store.save("epoch_1", live, step=1)
        first = store._spare["model"]["w"].tensor
        live["model"]["w"].fill_(2)
        store.save("epoch_2", live, step=2)
        assert store._spare["model"]["w"].tensor is first
        assert first.data_ptr() != live["model"]["w"].data_ptr()
        live["model"]["w"] = torch.full((9,), 3.0)
        store.save("epoch_3", live, step=3)
    assert [value_of(store.load(f"epoch_{k}")) for k in (1, 2, 3)] == [1, 2, 3]


def test_at_most_one_save_is_in_flight(tmp_path):
    disk = SlowDisk()
    store = Store(tmp_path, async_save=True, disk=disk)
    store.save("epoch_1", state(1), step=1)
    threading.Timer(0.1, disk.go.set).start()
    store.save("epoch_2", state(2), step=2)
    assert "epoch_1" in store.names(), "the second call waited for the first save"
    store.close()
    assert store.names() == ["epoch_1", "epoch_2"]


def test_an_error_in_the_background_is_raised_once_at_the_next_call(tmp_path):
    store = Store(tmp_path, async_save=True, disk=FaultyDisk(2, "ENOSPC"))
    store.save("epoch_1", state(1), step=1)
    while store.busy:
        time.sleep(0.001)
    with pytest.raises(SaveError, match=r"^checkpoint epoch_1 was not saved") as caught:
        store.poll()
    assert caught.value.errno == errno.ENOSPC
    assert str(caught.value).count("Errno") == 1
    store.poll()
    store.save("epoch_2", state(2), step=2)
    store.close()
    assert store.names() == ["epoch_2"]


def test_then_runs_after_the_commit_and_may_prune(tmp_path):
    with Store(tmp_path, async_save=True) as store:
        for step in range(1, 5):
            store.save(f"epoch_{step}", state(step), step=step, then=lambda: store.prune(1))
    assert store.names() == ["epoch_4"]


# -- remote -------------------------------------------------------------------------------


@pytest.fixture
def remote(tmp_path):
    pytest.importorskip("fsspec")
    import fsspec

    url = f"memory://{tmp_path.name}"
    yield url
    fsspec.filesystem("memory").rm(f"/{tmp_path.name}", recursive=True)


def test_a_remote_folder_saves_loads_prunes_and_falls_back(remote):
    store = Store(remote)
    for step in range(1, 4):
        path = store.save(f"iter_{step}", state(step), step=step, then=lambda: store.prune(2))
    assert store.names() == ["iter_2", "iter_3"]
    assert value_of(store.load()) == 3
    assert load_any(path)["model"]["w"][0] == 3
    shard = next(f for f in store.place.fs.find(f"/{remote[9:]}/iter_3") if "model" in f)
    store.place.fs.pipe_file(shard, b"\0" * store.place.fs.size(shard))
    assert value_of(Store(remote).load()) == 2


def test_a_remote_resave_switches_at_the_manifest(remote):
    store = Store(remote)
    store.save("last", state(1), step=1)
    draft = store.place.draft("last", 0)
    with draft.open(draft.file_name("model.safetensors"), pool=None) as file:
        file.write(b"half a save")
    assert value_of(Store(remote).load()) == 1, "without its manifest the new one is none"
    store.save("last", state(2), step=2)
    assert value_of(Store(remote).load()) == 2
    assert len(store.place.fs.find(f"/{remote[9:]}/last")) == 3


def test_a_missing_remote_file_is_damage(remote):
    store = Store(remote)
    store.save("iter_1", state(1), step=1)
    store.place.fs.rm_file(store.place.fs.find(f"/{remote[9:]}/iter_1")[-1])
    with pytest.raises(Broken, match="cannot be read"):
        store.load("iter_1")


# -- rules ----------------------------------------------------------------------------------

# Recorded from MMEngine 0.10.7's checkpoint hook.
RULES = {
    "acc": "greater", "loss": "less", "val_loss": "less", "coco/bbox_mAP": "greater",
    "mIoU": "greater", "accuracy/top5": "greater", "AR@100": "greater", "auc_roc": "greater",
    "single-label/precision": "greater", "loss_acc": "greater", "top1_loss": "greater",
    "LOSS": "less", "stop": "greater", "bbox_map": "greater", "lossless": "less",
    "recall": None, "f1": None, "rmse": None, "PSNR": None, "coco/AP": None,
}  # fmt: skip


@pytest.mark.parametrize(("metric", "rule"), RULES.items())
def test_the_rule_of_a_metric_is_inferred_from_its_name(metric, rule):
    if rule is None:
        with pytest.raises(ValueError, match="say rule="):
            infer_rule(metric)
    else:
        assert infer_rule(metric) == rule


def test_own_keys_replace_the_built_in_ones():
    assert infer_rule("PSNR", greater_keys=["psnr"]) == "greater"
    assert infer_rule("acc", greater_keys=["x"], less_keys=["acc"]) == "less"


def test_nan_is_never_better_and_anything_is_better_than_nan():
    nan = float("nan")
    assert not better(nan, 0.5, "greater")
    assert not better(nan, None, "less")
    assert better(0.1, nan, "greater")
    assert better(0.1, None, "less")
    assert not better(0.5, 0.5, "greater")
    assert better(float("-inf"), 0.0, "less")


def test_retention_is_pure_and_keeps_everything_when_told_so(store):
    for step in (1, 2):
        store.save(f"e{step}", state(), step=step)
    entries = store.entries()
    assert retain(entries, -1) == retain(entries, 0) == retain(entries, 5) == []
    assert retain(entries[::-1], 1) == ["e1"]
    assert len(store.entries()) == 2
