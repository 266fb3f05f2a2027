"""Files: atomic replacement, confinement, regular files only, one writer a folder."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopwright.files import (
    Disk,
    Locked,
    OutsideRoot,
    RunLock,
    atomic_write,
    check_space,
    confine,
    not_ours_alone,
    open_regular,
    probe,
    read_bytes,
    write_all,
)


class Failing(Disk):
    """Fails at one kind of call."""

    def __init__(self, call: str):
        self.call = call

    def _maybe(self, call):
        if call == self.call:
            raise OSError(errno.EIO, "input/output error")

    def write(self, fd, data):
        self._maybe("write")
        return super().write(fd, data[:3])

    def sync(self, fd):
        self._maybe("sync")
        super().sync(fd)

    def rename(self, old, new):
        self._maybe("rename")
        super().rename(old, new)


@pytest.mark.parametrize("call", ["write", "sync", "rename"])
def test_a_failed_atomic_write_leaves_the_old_file_and_no_other(call, tmp_path):
    target = atomic_write(tmp_path / "a", "old")
    with pytest.raises(OSError, match="input/output"):
        atomic_write(target, "new", disk=Failing(call))
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["a"]


def test_short_writes_go_on_until_all_is_written(tmp_path):
    atomic_write(tmp_path / "a", b"x" * 100, disk=Failing("never"))
    assert (tmp_path / "a").read_bytes() == b"x" * 100


def test_a_disk_that_takes_nothing_is_an_error_not_a_loop(tmp_path):
    class Nothing(Disk):
        def write(self, fd, data):
            return 0

    disk = Nothing()
    fd = disk.create(tmp_path / "a")
    with pytest.raises(OSError, match="took none"):
        write_all(disk, fd, memoryview(b"x"))
    disk.close(fd)


def test_creating_never_follows_a_link_nor_overwrites(tmp_path):
    (tmp_path / "target").write_text("precious")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    for name in ("link", "target"):
        with pytest.raises(FileExistsError):
            Disk().create(tmp_path / name)
    assert (tmp_path / "target").read_text() == "precious"


@pytest.mark.parametrize(
    "path", ["../x", "a/../../x", "/etc/passwd", "a\0b", "http://x/y", "out/x"]
)
def test_paths_from_data_stay_inside_their_root(path, tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    (root / "out").symlink_to(tmp_path)
    with pytest.raises(OutsideRoot):
        confine(path, root)


def test_paths_inside_are_joined(tmp_path):
    assert confine("a/./b/../c", tmp_path) == tmp_path.resolve() / "a" / "c"
    assert confine(".", tmp_path) == tmp_path.resolve()


@given(st.text(alphabet="ab./\\", max_size=12))
def test_a_confined_path_is_inside_or_refused(text):
    root = "/nonexistent/root"
    try:
        found = confine(text, root)
    except OutsideRoot:
        return
    assert found.as_posix() == root or found.as_posix().startswith(root + "/")


def test_only_regular_files_are_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/zero")
    for name in ("pipe", "link", "."):
        with pytest.raises(OSError):
            open_regular(tmp_path / name).close()
    (tmp_path / "file").write_bytes(b"12345")
    assert read_bytes(tmp_path / "file", limit=5) == b"12345"
    with pytest.raises(OSError, match="5 bytes, more than the 4"):
        read_bytes(tmp_path / "file", limit=4)


def test_space_is_checked_with_a_margin(tmp_path):
    class Small(Disk):
        def free(self, path):
            return 100 << 20

    check_space(tmp_path, 90 << 20, disk=Small())
    with pytest.raises(OSError, match=r"needs 101\.1 MB, 100\.0 MB free") as caught:
        check_space(tmp_path, 100_000_000, disk=Small())
    assert caught.value.errno == errno.ENOSPC


def test_a_folder_that_takes_no_files_is_known_before_the_run(tmp_path):
    probe(tmp_path)
    assert os.listdir(tmp_path) == []
    with pytest.raises(OSError, match="input/output"):
        probe(tmp_path, disk=Failing("sync"))


HOLD = """
import sys
from loopwright.files import Locked, RunLock
try:
    lock = RunLock(sys.argv[1]).acquire()
except Locked as error:
    print(error, flush=True)
    sys.exit(error.exit_code)
print("held", flush=True)
sys.stdin.read()
"""


def start(folder):
    command = [sys.executable, "-c", HOLD, str(folder)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_a_second_run_is_refused_with_73_and_told_who_holds_the_folder(tmp_path):
    first = start(tmp_path)
    assert first.stdout.readline() == "held\n"
    second = start(tmp_path)
    told, _ = second.communicate(timeout=300)
    assert second.returncode == 73
    assert f"is in use by pid {first.pid} on " in told
    first.send_signal(signal.SIGKILL)
    first.wait()
    with RunLock(tmp_path):
        pass


def race(folder, ready, told, done):
    """In a forked child: wait for the start, try, tell, and hold until all have tried."""
    os.read(ready, 1)
    lock, code = RunLock(folder), 0
    try:
        lock.acquire()
    except Locked as error:
        code = error.exit_code
    os.write(told, bytes([code]))
    os.read(done, 1)
    os._exit(0)


def test_of_fifty_races_exactly_one_wins_each(tmp_path):
    for number in range(50):
        folder = tmp_path / str(number)
        folder.mkdir()
        (ready, go), (codes, told), (done, end) = os.pipe(), os.pipe(), os.pipe()
        children = []
        for _ in range(2):
            child = os.fork()
            if child == 0:
                os.close(go)
                os.close(end)
                race(folder, ready, told, done)
            children.append(child)
        os.close(go)
        found = sorted(os.read(codes, 1) + os.read(codes, 1))
        os.close(end)
        for child in children:
            os.waitpid(child, 0)
        for fd in (ready, codes, told, done):
            os.close(fd)
        assert found == [0, 73]


def test_a_forked_child_does_not_keep_the_lock(tmp_path):
    lock = RunLock(tmp_path).acquire()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(writing)
        os.read(reading, 1)
        os._exit(0)
    os.close(reading)
    lock.release()
    with RunLock(tmp_path):
        pass
    os.close(writing)
    os.waitpid(child, 0)


def test_whose_a_file_is_matters_where_others_can_reach_it(tmp_path):
    tmp_path.chmod(0o755)
    folder = tmp_path / "iter_1"
    folder.mkdir()
    (folder / "MANIFEST.json").write_text("{}")
    assert not_ours_alone(folder) is None
    (folder / "MANIFEST.json").chmod(0o666)
    assert "MANIFEST.json may be written by every user" in str(not_ours_alone(folder))
    tmp_path.chmod(0o700)
    assert not_ours_alone(folder) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file away")
def test_another_users_file_is_told(tmp_path):
    (tmp_path / "a").write_text("")
    os.chown(tmp_path / "a", 65534, 65534)
    assert "belongs to another user (65534)" in str(not_ours_alone(tmp_path / "a"))
    assert not_ours_alone(tmp_path / "missing") is None
