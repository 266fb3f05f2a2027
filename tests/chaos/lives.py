"""Lives of a run: each a fork that trains until it ends or is killed at a point of its plan."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from loopwright.checkpoint import Store
from loopwright.config import Config
from loopwright.files import Disk
from loopwright.hooks import Hook
from loopwright.runner import Runner

CALLS = ("create", "write", "sync", "close", "mkdir", "sync_folder", "rename", "unlink", "rmdir")


@dataclass(frozen=True)
class Plan:
    """When a life ends: never, or at a logical point (a wall clock would live-lock under load).

    ``"iteration"``: ``at`` iterations after the start, then ``delay`` seconds later, wherever that
    is. ``"save"``: at the ``at``-th disk call. ``"start"``: ``delay`` seconds into the set-up.
    """

    kind: str = "never"
    at: int = 0
    delay: float = 0.0


def draw(rng: random.Random) -> Plan:
    """60 % at a random instruction of training, 28 % inside a save, 12 % during the set-up."""
    kind = rng.choices(("iteration", "save", "start"), (60, 28, 12))[0]
    delay = 10 ** rng.uniform(-4, -1.3)
    at = rng.randint(0, 4) if kind == "iteration" else rng.randint(0, 55)
    return Plan(kind, at, delay)


def _timer(delay: float) -> None:
    """SIGALRM with its default action: the kernel ends the process, no Python code runs."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, max(delay, 1e-4))


class Doom(Hook):
    """Arms the timer a number of iterations after the start of this life."""

    priority = "HIGHEST"

    def __init__(self, at: int, delay: float) -> None:
        self.left, self.delay = at, delay

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if self.left == 0:
            _timer(self.delay)
        self.left -= 1


class DeadlyDisk(Disk):
    """A disk whose ``at``-th call is the last thing the process does."""

    def __init__(self, at: int) -> None:
        self.left = at


def _deadly(name: str) -> Callable:
    def call(self, *args):
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self.left -= 1
        return getattr(Disk, name)(self, *args)

    return call


for _name in CALLS:
    setattr(DeadlyDisk, _name, _deadly(_name))


def make(config: dict, *, disk: Disk | None = None, hooks: tuple = ()) -> Runner:
    """A runner of a config, its saves going through ``disk``."""
    config = {**config, "custom_hooks": [*config.get("custom_hooks", ()), *hooks]}
    runner = Runner.from_cfg(Config(config))
    if disk is not None:
        runner.store = Store(runner.work_dir, disk=disk)
    return runner


def fork(job: Callable[[], object], *, output: Path | None = None) -> int:
    """Do the job in a forked child; its wait status (0 when it came to its end).

    Whatever way it ended, no process of its group may outlive it.
    """
    child = os.fork()
    if child:
        status = os.waitpid(child, 0)[1]
        wait_for_orphans(child)
        return status
    code = 1
    try:
        os.setpgid(0, 0)
        warnings.simplefilter("ignore")
        if output is not None:
            file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        else:
            file = os.open(os.devnull, os.O_WRONLY)
        os.dup2(file, 1)
        os.dup2(file, 2)
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115  pytest's own would swallow it
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115
        torch.set_num_threads(1)
        job()
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except KeyboardInterrupt:
        code = 130
    except BaseException:
        traceback.print_exc()
        code = 1
    finally:
        with contextlib.suppress(BaseException):
            sys.stderr.flush()
            sys.stdout.flush()
        os._exit(code)


def wait_for_orphans(group: int, patience: float = 60.0) -> None:
    """Return when nobody of a process group is left; they go by themselves, or it is an error."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        if not any(_alive_in(group)):
            return
        time.sleep(0.005)
    raise AssertionError(f"workers of the killed run {group} are still alive")


def _alive_in(group: int) -> Iterator[str]:
    """States of a group's processes that still run (the dead may wait for a lazy init)."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, of = path.read_text().rpartition(") ")[2].split()[:3]
            if int(of) == group and state not in "ZX":
                yield state


def shared_memory() -> set[str]:
    """Names of what torch and multiprocessing left in shared memory."""
    there = Path("/dev/shm")
    names = os.listdir(there) if there.is_dir() else []
    return {name for name in names if name.startswith(("torch_", "psm_", "sem."))}


def live(config: dict, plan: Plan, hooks: tuple = ()) -> int:
    """One life of a run, its end noted as digests; the wait status."""
    folder = Path(config["work_dir"])
    folder.mkdir(parents=True, exist_ok=True)

    def job() -> None:
        if plan.kind == "start":
            _timer(plan.delay)
        disk = DeadlyDisk(plan.at) if plan.kind == "save" else None
        doom = (Doom(plan.at, plan.delay),) if plan.kind == "iteration" else ()
        runner = make(config, disk=disk, hooks=(*doom, *hooks))
        if plan.kind == "start":
            _timer(plan.delay)
        runner.train()
        signal.setitimer(signal.ITIMER_REAL, 0)
        (folder / "digests").write_text(json.dumps(digests(runner)))

    return fork(job, output=folder / "lives.txt")


def digests(runner: Runner) -> dict[str, str]:
    """A digest each of what must be the same in the end."""
    return {
        "weights": _digest(runner.model.state_dict()),
        "ema": _digest([h.ema_model.state_dict() for h in runner.hooks if hasattr(h, "ema_model")]),
        "optimizer": _digest(runner.optim_wrapper.state_dict()),
        "schedules": _digest([s.state_dict() for s in runner.all_param_schedulers()]),
        "counters": _digest(runner.progress.state_dict()),
        "log": hashlib.sha256(Path(runner.work_dir, "metrics.jsonl").read_bytes()).hexdigest(),
        "csv": hashlib.sha256(Path(runner.work_dir, "metrics.csv").read_bytes()).hexdigest(),
    }


def _digest(value: object) -> str:
    found = hashlib.sha256()
    _feed(found, value)
    return found.hexdigest()


def _feed(found, value: object) -> None:
    if isinstance(value, torch.Tensor):
        found.update(str((value.dtype, tuple(value.shape))).encode())
        found.update(value.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    elif isinstance(value, dict):
        for key in value:
            found.update(repr(key).encode())
            _feed(found, value[key])
    elif isinstance(value, list | tuple):
        for item in value:
            _feed(found, item)
    else:
        found.update(repr(value).encode())


def ended(folder: Path) -> dict[str, str]:
    """The digests of a run that came to its end; what its lives said, where it did not."""
    path = folder / "digests"
    if not path.exists():
        raise AssertionError(f"the run did not end:\n{(folder / 'lives.txt').read_text()[-4000:]}")
    return json.loads(path.read_text())


@dataclass
class Killed:
    """How a hammered run went."""

    kills: int = 0
    in_saves: int = 0
    lost: int = 0


def hammer(config: dict, *, kills: int, seed: int, hooks: tuple = ()) -> Killed:
    """Live again and again until ``kills`` deaths, then to the end."""
    rng, told = random.Random(seed), Killed()
    folder = Path(config["work_dir"])
    while told.kills < kills:
        plan = draw(rng)
        status = live(config, plan, hooks)
        if os.WIFSIGNALED(status):
            told.kills += 1
            told.in_saves += os.WTERMSIG(status) == signal.SIGKILL
        elif os.WEXITSTATUS(status):
            break
        else:
            return told
    assert live(config, Plan(), hooks) == 0, ended(folder)
    return told
