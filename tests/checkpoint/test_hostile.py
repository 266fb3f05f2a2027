"""Hostile checkpoints run nothing, touch nothing outside their folder, and end in a typed error."""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import traceback

import pytest
import torch

from loopwright.checkpoint import CheckpointError, Store, load_any

from .hostile import CASES, GOOD, write

# Seconds of processor time; the alarm is for what waits instead of working.
SECONDS, MEMORY, HANG = 5, 512 << 20, 60
FORBIDDEN = (
    "exec", "compile", "import", "os.system", "os.exec", "os.posix_spawn", "os.fork",
    "subprocess.Popen", "socket.connect", "socket.bind", "ctypes.dlopen", "pickle.find_class",
    "marshal.loads", "code.__new__", "urllib.Request", "webbrowser.open",
)  # fmt: skip
# Strange, but small and plain once read.
HARMLESS = ("bomb memo of 2^32", "bomb sets of strings")
TOUCHING = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "os.listdir")


def watch(root, told):
    """Report forbidden events and paths outside ``root`` from now on, for good."""
    inside = os.path.realpath(root)

    def hook(event, args):
        if event in FORBIDDEN:
            told.append(f"{event} {args!r}"[:200])
        elif event in TOUCHING:
            for path in args[: 2 if event == "os.rename" else 1]:
                unfollowed = event == "open" and bool(args[2] & os.O_NOFOLLOW)
                if isinstance(path, str | bytes | os.PathLike) and not within(
                    path, inside, unfollowed
                ):
                    told.append(f"{event} {path!r}"[:200])

    sys.addaudithook(hook)


def within(path, root, unfollowed):
    """Whether a path leads into root; a link opened with O_NOFOLLOW leads nowhere."""
    name = os.fsdecode(path)
    real = os.path.realpath(name)
    if unfollowed:
        real = os.path.join(os.path.realpath(os.path.dirname(name)), os.path.basename(name))
    return real == root or real.startswith(root + os.sep)


def virtual_size() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")


def attack(path, root, pipe):
    """In a forked child: read the file under watch, with limits, and tell what happened."""
    told: list[str] = []
    limit = virtual_size() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 1))
    signal.alarm(HANG)
    os.chdir(root)
    watch(root, told)
    try:
        load_any(path)
        outcome = "loaded"
    except CheckpointError as error:
        outcome = f"refused {error}"[:500]
    except BaseException as error:
        outcome = "".join(traceback.format_exception(error))[-3000:]
    os.write(pipe, json.dumps([outcome, told]).encode())


def in_child(path, root):
    """Outcome and violations of one attack."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            attack(path, root, writing)
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        raw = pipe.read()
    status = os.waitpid(child, 0)[1]
    assert status == 0, f"the reader died of signal {os.WTERMSIG(status)}"
    outcome, told = json.loads(raw)
    return outcome, told


@pytest.fixture(scope="module", autouse=True)
def _warm(tmp_path_factory):
    """Everything the reader imports is imported before the watch begins."""
    folder = tmp_path_factory.mktemp("warm")
    state = {"m": {"w": torch.ones(2)}, "c": [1j]}
    load_any(Store(folder).save("iter_1", state, step=1))
    load_any(Store(folder).save("iter_1.pth", state, step=1))
    assert load_any(write(folder / "good.pth", GOOD)).tolist() == [0, 0, 0, 0]
    for make in CASES.values():
        if make.__code__.co_firstlineno == CASES["other tar"].__code__.co_firstlineno:
            with pytest.raises(CheckpointError):
                load_any(make(folder))


@pytest.mark.parametrize("label", CASES)
def test_a_hostile_file_does_nothing_and_is_refused(label, tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    path = CASES[label](root)
    outcome, told = in_child(path, root)
    assert told == []
    assert outcome.startswith("refused ") or (outcome == "loaded" and label in HARMLESS), outcome
    assert not list(tmp_path.rglob("HACKED"))


def test_there_are_enough_of_them():
    assert len(CASES) >= 150


def test_the_watch_sees_what_it_should(tmp_path):
    told: list[str] = []
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            watch(tmp_path, told)
            open("/etc/hostname").close()
            os.system("true")
            eval("1 + 1")
            os.write(writing, json.dumps(told).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        seen = json.loads(pipe.read())
    os.waitpid(child, 0)
    assert [line.split()[0] for line in seen][:2] == ["open", "os.system"]
    assert any(line.startswith("exec") for line in seen)


def test_the_message_names_the_global_that_was_wanted(tmp_path):
    path = CASES["reduce os.system in zip"](tmp_path)
    with pytest.raises(CheckpointError, match=r"evil\.pth: the file wants os\.system"):
        load_any(path)


def test_a_store_sets_hostile_checkpoints_aside_and_takes_the_older_whole_one(tmp_path):
    store = Store(tmp_path)
    store.save("iter_0", {"w": torch.ones(1)}, step=0)
    CASES["shard is a pipe"](tmp_path)
    assert store.load().path.name == "iter_0"
    assert (tmp_path / "bad_iter_1").is_dir()


def test_links_among_the_checkpoints_are_not_followed(tmp_path):
    outside = Store(tmp_path / "outside")
    outside.save("iter_9", {"w": torch.ones(1)}, step=9)
    inside = Store(tmp_path / "inside")
    inside.save("iter_1", {"w": torch.zeros(1)}, step=1)
    (tmp_path / "inside" / "iter_9").symlink_to(tmp_path / "outside" / "iter_9")
    assert inside.names() == ["iter_1"]
