"""Workers that die, hang, fail, or lose their parent."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from torch.utils.data import get_worker_info

from loopwright.data import Loader, SampleError, WorkerError, WorkerSettings

linux = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's process calls")


def loader_of(dataset, **workers):
    return Loader(dataset, batch_size=2, seed=5, workers=WorkerSettings(**workers))


@linux
@pytest.mark.filterwarnings("ignore:loader worker")
def test_a_worker_killed_twenty_times_changes_no_bit(drawing, sampled):
    data = drawing(200)
    expected = sampled(loader_of(data, count=0))
    loader = loader_of(data, count=2, persistent=True)
    got, killed = [], 0
    for place, batch in enumerate(loader):
        worker = loader._pool.workers[place % 2].process
        if killed < 20 and worker.is_alive():
            os.kill(worker.pid, signal.SIGKILL)
            killed += 1
        got += sampled([batch])
    loader.close()
    assert killed == 20
    assert got == expected


@linux
def test_a_hanging_worker_is_reported_with_its_stack_and_replaced(drawing, sampled, tmp_path):
    data = drawing(8, once=(5, tmp_path / "hung"), action=hang)
    expected = sampled(loader_of(drawing(8), count=0))
    with pytest.warns(UserWarning, match=r"hung for 1 s(?s:.*)__getitem__(?s:.*)samples \[4, 5\]"):
        assert sampled(loader_of(data, count=1, timeout=1.0, restarts=100)) == expected


def hang():
    time.sleep(3600)


@linux
@pytest.mark.filterwarnings("ignore:loader worker")
def test_a_batch_that_kills_every_worker_ends_the_run_and_says_which(drawing, tmp_path):
    data = drawing(8, once=(3, tmp_path / "never" / "there"), action=None)
    data.__class__ = type("Deadly", (type(data),), {"__getitem__": _die_at_three})
    with pytest.raises(WorkerError, match=r"killed by signal 9.*samples \[2, 3\], 3 times"):
        list(loader_of(data, count=1, restarts=2))


def _die_at_three(self, index):
    if index == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return torch.tensor(index)


def test_a_sample_s_error_comes_over_with_path_index_and_the_worker_s_trace(drawing):
    loader = loader_of(drawing(8, broken=[5]), count=2)
    with pytest.raises(SampleError, match=r"sample 5 \(images/5.jpg\) of Drawing.*truncated") as e:
        list(loader)
    assert "in loader worker 0" in e.value.__notes__[0]
    assert "__getitem__" in e.value.__notes__[0]


def test_a_collate_function_s_error_keeps_its_type(drawing):
    loader = loader_of(drawing(4), count=1)
    loader.collate_fn = _refuse
    with pytest.raises(ValueError, match="ragged"):
        list(loader)


def _refuse(samples):
    raise ValueError("ragged")


def test_workers_know_who_they_are_and_are_initialised(drawing):
    settings = WorkerSettings(count=2, init=_note_worker)
    data = drawing(4)
    data.__class__ = type("Telling", (type(data),), {"__getitem__": _tell})
    loader = Loader(data, batch_size=1, collate_fn=list, workers=settings)
    assert [batch[0] for batch in loader] == [(0, 2, 0), (1, 2, 1), (0, 2, 0), (1, 2, 1)]


_NOTED = []


def _note_worker(number):
    _NOTED.append(number)


def _tell(self, index):
    info = get_worker_info()
    return (info.id, info.num_workers, _NOTED[0])


def test_a_failing_worker_init_is_the_error_of_the_first_batch(drawing):
    with pytest.raises(KeyError, match="no such gpu"):
        list(loader_of(drawing(4), count=1, init=_fail))


def _fail(number):
    raise KeyError("no such gpu")


def test_workers_start_by_spawn_too():
    loader = Loader(range(4), batch_size=2, workers=WorkerSettings(count=1, context="spawn"))
    assert list(loader) == [[0, 1], [2, 3]]


@linux
def test_signals_meant_for_the_run_do_not_end_a_worker(drawing):
    loader = loader_of(drawing(20), count=1)
    batches = iter(loader)
    next(batches)
    for number in (signal.SIGINT, signal.SIGUSR1, signal.SIGHUP):
        os.kill(loader._pool.workers[0].process.pid, number)
    pid = loader._pool.workers[0].process.pid
    assert len(list(batches)) == 9
    assert _runs(pid) is False


def test_a_batch_comes_over_as_it_was(drawing):
    inner = Loader([0], collate_fn=_mixed_batch)
    outer = Loader([0], collate_fn=_mixed_batch, workers=WorkerSettings(count=1))
    (here,), (there,) = list(inner), list(outer)
    assert _described(there) == _described(here)
    there["list"][0].add_(1)


class Own(dict):
    pass


def _mixed_batch(samples):
    return {
        "list": [torch.arange(4.0), torch.ones(2, 3, dtype=torch.bfloat16).T, torch.tensor(7)],
        "tuple": (np.arange(6, dtype=np.int16).reshape(2, 3).T, np.float32(1.5), np.zeros((0, 4))),
        "empty": torch.zeros(0, 3),
        "text": ["a", b"b", None, 3],
        "own": Own(x=torch.ones(3)),
        "strings": np.array(["x", "yz"]),
        "bool": torch.tensor([True, False]),
        "complex": torch.tensor([1 + 2j, 3j]).conj(),
    }


def _described(value):
    if isinstance(value, dict):
        return type(value).__name__, {key: _described(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value).__name__, [_described(item) for item in value]
    if isinstance(value, torch.Tensor | np.ndarray):
        return type(value).__name__, str(value.dtype), tuple(value.shape), value.tolist()
    return type(value).__name__, value


_PARENT = """
import os, sys, time
from loopwright.data import Loader, WorkerSettings
loader = Loader(range(1000), batch_size=1, workers=WorkerSettings(count=2))
batches = iter(loader)
next(batches)
print(*[worker.process.pid for worker in loader._pool.workers], flush=True)
time.sleep(3600)
"""


@linux
def test_workers_die_with_a_parent_that_is_killed():
    parent = subprocess.Popen([sys.executable, "-c", _PARENT], stdout=subprocess.PIPE, text=True)
    pids = [int(pid) for pid in parent.stdout.readline().split()]
    parent.kill()
    parent.wait()
    parent.stdout.close()
    until = time.monotonic() + 60
    while any(map(_runs, pids)) and time.monotonic() < until:
        time.sleep(0.05)
    assert len(pids) == 2
    assert not any(map(_runs, pids))


def _runs(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
