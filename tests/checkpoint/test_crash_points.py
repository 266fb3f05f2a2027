"""A save that dies or fails at any call leaves the old or the new checkpoint whole."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
from pathlib import Path

import pytest
import torch

from loopwright.checkpoint import CheckpointError, SaveError, Store

from .faulty import CountingDisk, FaultyDisk, RecordingDisk

KINDS = ("kill", "ENOSPC", "EIO", "short", "short then full")


def state(value: int) -> dict:
    return {
        "state_dict": {"w": torch.full((40, 10), float(value))},
        "optimizer": {"exp_avg": torch.full((7,), float(value))},
        "progress": {"iter": value},
    }


def value_of(loaded: dict) -> int:
    """The one number that is everywhere in the state; anything else is a torn checkpoint."""
    numbers = {
        *loaded["state_dict"]["w"].unique().tolist(),
        *loaded["optimizer"]["exp_avg"].unique().tolist(),
        float(loaded["progress"]["iter"]),
    }
    assert len(numbers) == 1, f"a mixture of two saves: {numbers}"
    return int(numbers.pop())


class Scenario:
    """One way of saving over an older checkpoint."""

    def __init__(self, label: str, first: str, second: str, prune: bool) -> None:
        self.label, self.first, self.second, self.prune = label, first, second, prune

    def prepare(self, folder: Path) -> None:
        Store(folder).save(self.first, state(1), step=1)

    def save(self, folder: Path, disk) -> None:
        store = Store(folder, disk=disk)
        store.save(
            self.second, state(2), step=2, then=(lambda: store.prune(1)) if self.prune else None
        )

    def __repr__(self) -> str:
        return self.label


SCENARIOS = (
    Scenario("a new folder, the old one kept", "iter_1", "iter_2", False),
    Scenario("a new folder, the old one deleted", "iter_1", "iter_2", True),
    Scenario("the same folder again", "last", "last", False),
    Scenario("a new file, the old one deleted", "iter_1.pth", "iter_2.pth", True),
    Scenario("the same file again", "last.pth", "last.pth", False),
)


def calls_of(scenario: Scenario, folder: Path) -> list[str]:
    scenario.prepare(folder)
    disk = CountingDisk()
    scenario.save(folder, disk)
    return disk.calls


def run_in_child(job) -> int:
    """The wait status of a forked child that does the job and leaves at once."""
    child = os.fork()
    if child == 0:
        try:
            job()
        except SaveError:
            os._exit(3)
        except BaseException:
            os._exit(4)
        os._exit(0)
    return os.waitpid(child, 0)[1]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=repr)
def test_every_call_of_a_save_may_fail_in_every_way(scenario, swift_path):
    calls = calls_of(scenario, swift_path / "count")
    assert {"create", "write", "sync", "sync_folder", "rename"} <= set(calls)
    scenario.prepare(swift_path / "before")
    outcomes = set()
    for at, kind in itertools.product(range(len(calls)), KINDS):
        if kind.startswith("short") and calls[at] != "write":
            continue
        folder = swift_path / f"{at}-{kind}"
        shutil.copytree(swift_path / "before", folder)
        status = run_in_child(lambda f=folder, a=at, k=kind: scenario.save(f, FaultyDisk(a, k)))
        if kind == "kill":
            assert os.WIFSIGNALED(status)
            assert os.WTERMSIG(status) == signal.SIGKILL
        else:
            assert os.WEXITSTATUS(status) in (0, 3), f"{kind} at {calls[at]} ({at}) ended oddly"
        found = value_of(Store(folder).load().state)
        assert found in (1, 2)
        if kind == "short":
            assert (status, found) == (0, 2), "a short write is no failure"
        if os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0:
            assert found == 2, "a save that reported success must be there"
        outcomes.add(found)
        again = Store(folder)
        again.save("afterwards", state(3), step=3)
        assert value_of(again.load().state) == 3
        assert not [n for n in os.listdir(folder) if n.startswith((".tmp", ".old", ".trash"))]
        shutil.rmtree(folder)
    assert outcomes == {1, 2}


def test_a_failed_save_in_one_process_leaves_no_litter_and_the_next_one_works(tmp_path):
    Store(tmp_path).save("iter_1", state(1), step=1)
    store = Store(tmp_path, disk=FaultyDisk(3, "ENOSPC"))
    with pytest.raises(SaveError, match="iter_2 was not saved"):
        store.save("iter_2", state(2), step=2)
    assert sorted(os.listdir(tmp_path)) == ["iter_1", "last_checkpoint"]
    store.save("iter_3", state(3), step=3)
    assert value_of(store.load().state) == 3


def test_a_full_disk_is_noticed_before_writing(tmp_path):
    class FullDisk(CountingDisk):
        def free(self, path):
            return 1000

    disk = FullDisk()
    with pytest.raises(SaveError, match=r"needs 1\.0 MB, 1000 B free"):
        Store(tmp_path, disk=disk).save("iter_1", state(1), step=1)
    assert disk.calls == []


# -- power failure -------------------------


def unsynced(log: list[tuple]) -> list[int]:
    """Places of operations that no later sync of their file or folder has made durable."""
    waiting: dict[int, list[int]] = {}
    for place, entry in enumerate(log):
        if entry[0] == "sync":
            waiting.pop(entry[1], None)
        else:
            waiting.setdefault(entry[1], []).append(place)
    return sorted(itertools.chain.from_iterable(waiting.values()))


def replay(log: list[tuple], lost: set[int], home: int, before: dict) -> dict:
    """The tree after a power failure: inode -> name -> (inode, kind) and inode -> bytes."""
    folders = {home: dict(before["names"]), **{k: dict(v) for k, v in before["folders"].items()}}
    files = dict(before["files"])
    for place, entry in enumerate(log):
        if place in lost or entry[0] == "sync":
            continue
        if entry[0] == "link":
            folders.setdefault(entry[1], {})[entry[2]] = (entry[3], entry[4])
        elif entry[0] == "data":
            files[entry[1]] = files.get(entry[1], b"") + entry[2]
        elif entry[0] == "unlink":
            folders.setdefault(entry[1], {}).pop(entry[2], None)
        elif entry[0] == "move":
            names = folders.setdefault(entry[1], {})
            names.pop(entry[2], None)
            names[entry[3]] = (entry[4], entry[5])
    return {"folders": folders, "files": files}


def write_tree(tree: dict, inode: int, folder: Path) -> None:
    folder.mkdir()
    for name, (child, kind) in tree["folders"].get(inode, {}).items():
        if kind == "folder":
            write_tree(tree, child, folder / name)
        else:
            (folder / name).write_bytes(tree["files"].get(child, b""))


def picture(tree: dict, inode: int) -> tuple:
    """A tree as a hashable value, to look at equal ones once."""
    return tuple(
        (name, picture(tree, child) if kind == "folder" else tree["files"].get(child, b""))
        for name, (child, kind) in sorted(tree["folders"].get(inode, {}).items())
    )


def take_stock(folder: Path) -> dict:
    """What lies in a folder now, all of it durable."""
    stock: dict = {"names": {}, "folders": {}, "files": {}}
    for path in folder.rglob("*"):
        inode, kind = path.stat().st_ino, "folder" if path.is_dir() else "file"
        if path.is_dir():
            stock["folders"].setdefault(inode, {})
        else:
            stock["files"][inode] = path.read_bytes()
        if path.parent == folder:
            stock["names"][path.name] = (inode, kind)
        else:
            parent = path.parent.stat().st_ino
            stock["folders"].setdefault(parent, {})[path.name] = (inode, kind)
    return stock


@pytest.mark.parametrize("scenario", SCENARIOS, ids=repr)
def test_any_unsynced_operations_may_be_lost_in_a_power_failure(scenario, swift_path):
    folder = swift_path / "run"
    scenario.prepare(folder)
    before, home = take_stock(folder), folder.stat().st_ino
    disk = RecordingDisk(folder)
    scenario.save(folder, disk)
    seen, outcomes, widest = set(), set(), 0
    for length in range(len(disk.log) + 1):
        log = disk.log[:length]
        open_now = unsynced(log)
        widest = max(widest, len(open_now))
        assert len(open_now) <= 12
        for count in range(len(open_now) + 1):
            for lost in itertools.combinations(open_now, count):
                tree = replay(log, set(lost), home, before)
                key = picture(tree, home)
                if key in seen:
                    continue
                seen.add(key)
                place = swift_path / f"crash-{len(seen)}"
                write_tree(tree, home, place)
                outcomes.add(value_of(Store(place).load().state))
                shutil.rmtree(place)
    assert outcomes == {1, 2}
    assert widest >= 3
    assert len(seen) > 8


def test_a_save_that_returned_survives_the_loss_of_all_that_was_not_synced(swift_path):
    folder = swift_path / "run"
    SCENARIOS[0].prepare(folder)
    before, home = take_stock(folder), folder.stat().st_ino
    disk = RecordingDisk(folder)
    SCENARIOS[0].save(folder, disk)
    tree = replay(disk.log, set(unsynced(disk.log)), home, before)
    write_tree(tree, home, swift_path / "after")
    assert value_of(Store(swift_path / "after").load().state) == 2


def test_nothing_left_at_all_is_said_plainly(swift_path):
    with pytest.raises(CheckpointError, match="no whole checkpoint"):
        Store(swift_path).load()
