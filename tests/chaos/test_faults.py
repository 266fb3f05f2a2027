"""Full disks, broken numbers, dead workers, jumping clocks: each ends or goes on as it says."""

import errno
import io
import os
import signal
import stat
import sys
import tempfile
import time
import traceback
from pathlib import Path

import pytest
import torch
from lives import digests, fork, make
from toy import Net, Samples, loader, spec

from loopwright.checkpoint import CheckpointError, SaveError, Store
from loopwright.config import Config, ConfigError
from loopwright.files import Disk, Locked
from loopwright.hooks import Hook, NonFiniteLossError
from loopwright.runner import Runner


class FullDisk(Disk):
    """Full from one save to another, counted in saves."""

    def __init__(self, first: int, last: int, kind: int = errno.ENOSPC) -> None:
        self.saves, self.first, self.last, self.kind = 0, first, last, kind

    def mkdir(self, path):
        self.saves += 1
        super().mkdir(path)

    def write(self, fd, data):
        if self.first <= self.saves <= self.last:
            raise OSError(self.kind, os.strerror(self.kind))
        return super().write(fd, data)


def plain(folder, **changes):
    """Without validation: only regular saves, at iterations 2, 4, 6, …"""
    return spec(folder, val_cfg=None, val_dataloader=None, val_evaluator=None) | {
        "default_hooks": {
            "checkpoint": {"type": "CheckpointHook", "interval": 2, "by_epoch": False}
        },
        **changes,
    }


def keep_going(folder, async_save=False, **changes):
    hooks = {"type": "CheckpointHook", "interval": 2, "by_epoch": False, "async_save": async_save}
    return plain(folder, **{"default_hooks": {"checkpoint": hooks}, **changes})


@pytest.mark.parametrize("async_save", [False, True])
@pytest.mark.parametrize("kind", [errno.ENOSPC, errno.EIO])
def test_two_failed_saves_are_survived_and_earlier_checkpoints_stay(tmp_path, async_save, kind):
    runner = make(keep_going(tmp_path, async_save, log_level="ERROR"), disk=FullDisk(3, 4, kind))
    runner.train()
    (log,) = tmp_path.glob("*/*.log")
    said = [line.split(" - ERROR - ")[1] for line in log.read_text().splitlines()]
    assert said == [
        f"checkpoint iter_{step} was not saved: [Errno {kind}] {os.strerror(kind)}; "
        "earlier ones are untouched"
        for step in (6, 8)
    ]
    names = Store(tmp_path).names()
    assert {"iter_2", "iter_4", "iter_10", "iter_30"} <= set(names)
    assert not {"iter_6", "iter_8"} & set(names)


@pytest.mark.parametrize("async_save", [False, True])
def test_the_third_failed_save_in_a_row_stops_the_run_with_74(tmp_path, async_save):
    runner = make(keep_going(tmp_path, async_save), disk=FullDisk(3, 99))
    with pytest.raises(SaveError) as caught:
        runner.train()
    assert caught.value.exit_code == 74
    assert "max_failed_saves" in "".join(caught.value.__notes__)
    assert Store(tmp_path).newest().name == "iter_4"


def test_the_number_of_failed_saves_is_the_configs(tmp_path):
    runner = make(keep_going(tmp_path, faults={"max_failed_saves": 1}), disk=FullDisk(2, 2))
    with pytest.raises(SaveError):
        runner.train()
    assert runner.iter == 3


@pytest.fixture
def open_folder():
    """A folder that users other than the one who runs the tests may reach, too."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        yield Path(folder)


@pytest.mark.parametrize("when", ["from the start", "after the set-up"])
def test_a_folder_that_takes_no_files_is_an_error_before_the_first_iteration(open_folder, when):
    home = open_folder / "run"
    make(plain(open_folder / "other"))  # all is imported now that another user may not read

    def job():
        if os.geteuid() == 0:  # root may write everywhere
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
        home.mkdir()
        if when == "from the start":
            home.chmod(0o500)
        runner = None
        try:
            runner = make(plain(home))
            home.chmod(0o500)
            runner.train()
        except SaveError as error:
            started = runner is not None and runner.iter
            sys.exit(error.exit_code if "takes no files" in str(error) and not started else 1)

    said = open_folder / "said"
    assert os.waitstatus_to_exitcode(fork(job, output=said)) == 74, said.read_text()


def test_a_file_where_the_folder_should_be_is_the_same_error(tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(SaveError, match="takes no files") as caught:
        make(plain(tmp_path / "run"))
    assert caught.value.exit_code == 74


def test_a_run_folder_is_its_users_alone(tmp_path):
    make(plain(tmp_path / "new" / "run"))
    assert stat.S_IMODE((tmp_path / "new" / "run").stat().st_mode) == 0o700
    (tmp_path / "old").mkdir(mode=0o755)
    make(plain(tmp_path / "old"))
    assert stat.S_IMODE((tmp_path / "old").stat().st_mode) == 0o755


def test_a_checkpoint_that_others_may_write_is_told_or_refused(tmp_path):
    tmp_path.chmod(0o755)
    make(plain(tmp_path, train_cfg={"type": "EpochBasedTrainLoop", "max_epochs": 1})).train()
    (path,) = (tmp_path / "iter_6").glob("state.json")
    path.chmod(0o666)
    with pytest.raises(CheckpointError, match=r"state.json may be written by every user"):
        make(plain(tmp_path, faults={"others_files": "refuse"})).train()
    tmp_path.chmod(0o700)
    make(plain(tmp_path, faults={"others_files": "refuse"})).train()


def test_a_config_that_others_may_write_is_told_in_the_log(tmp_path):
    file = tmp_path / "config.py"
    file.write_text("model = dict(type='torch.nn.Linear', in_features=1, out_features=1)\n")
    tmp_path.chmod(0o755)
    file.chmod(0o666)
    cfg = Config.fromfile(file)
    cfg["work_dir"] = str(tmp_path / "run")
    Runner.from_cfg(cfg)
    (log,) = (tmp_path / "run").glob("*/*.log")
    assert f"{file} may be written by every user; faults.others_files='refuse'" in log.read_text()


def test_a_second_run_in_one_folder_ends_with_73(tmp_path):
    class Second(Hook):
        def before_train_epoch(self, runner):
            with pytest.raises(Locked, match=f"pid {os.getpid()}") as caught:
                make(plain(tmp_path)).train()
            assert caught.value.exit_code == 73
            runner.requests.halt("seen")

    with pytest.raises(SystemExit):
        make(plain(tmp_path), hooks=(Second(),)).train()


class Hungry(Net):
    """Out of memory at one call of one part of the update."""

    def forward(self, inputs, data_samples=None, mode="tensor"):
        self.calls = getattr(self, "calls", 0) + 1
        if self.calls == 5:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 3 GiB")
        return super().forward(inputs, data_samples, mode)


def test_out_of_memory_names_the_batch_and_leaves_the_last_whole_iteration(tmp_path):
    runner = make(plain(tmp_path, model=Hungry()))
    with pytest.raises(torch.OutOfMemoryError) as caught:
        runner.train()
    notes = "".join(caught.value.__notes__)
    assert "batch.inputs 4x8 float32" in notes
    assert "batch_size" in notes
    assert Store(tmp_path).newest().step == 4


class Poison(Samples):
    """One sample is NaN."""

    def __getitem__(self, index):
        item = super().__getitem__(index)
        if index == 13:
            item["inputs"] = item["inputs"] * float("nan")
        return item


def poisoned(folder, policy, **more):
    data = {**loader(0, train=True), "dataset": Poison()}
    return keep_going(
        folder,
        train_dataloader=data,
        default_hooks={
            "logger": {"type": "LoggerHook", "interval": 2},
            "checkpoint": {"type": "CheckpointHook", "interval": 2, "by_epoch": False},
            "finite_loss": {"type": "FiniteLossHook", "policy": policy, **more},
        },
        train_cfg={"type": "EpochBasedTrainLoop", "max_epochs": 2},
    )


def test_a_run_rolls_back_and_leaves_the_bad_batches_out(tmp_path):
    runner = make(poisoned(tmp_path, "rollback"))
    runner.train()
    assert runner.iter == 12
    assert len(runner.left_out) == 2  # the sample comes once an epoch
    assert all(bool(t.isfinite().all()) for t in runner.model.state_dict().values())
    assert all(entry.good for entry in Store(tmp_path).entries())


def test_a_rolled_back_run_is_the_one_that_never_saw_the_batches(tmp_path):
    rolled = make(poisoned(tmp_path / "rolled", "rollback"))
    rolled.train()
    never = make(poisoned(tmp_path / "never", "rollback"))
    never.left_out |= rolled.left_out
    never.train()
    found, wanted = digests(rolled), digests(never)
    assert {k for k in found if found[k] != wanted[k]} == set()


def test_rolling_back_ends_after_so_many_tries(tmp_path):
    with pytest.raises(NonFiniteLossError):
        make(poisoned(tmp_path, "rollback", max_rollbacks=1)).train()


def test_rolling_back_without_a_checkpoint_stops(tmp_path):
    data = {**loader(0, train=True), "dataset": Poison(), "batch_size": 24}
    config = poisoned(tmp_path, "rollback") | {"train_dataloader": data}
    with pytest.raises(NonFiniteLossError) as caught:
        make(config).train()
    assert "no good checkpoint" in "".join(caught.value.__notes__)


def test_skipping_a_batch_that_spoiled_batch_norm_stops(tmp_path):
    with pytest.raises(NonFiniteLossError, match=r"running_mean|batch\.inputs"):
        make(poisoned(tmp_path, "skip")).train()


class Spoil(Hook):
    """Makes one weight NaN after an update."""

    priority = "HIGHEST"

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter == 5:
            with torch.no_grad():
                next(runner.model.parameters()).view(-1)[0] = float("nan")


def test_weights_with_nan_are_never_a_good_checkpoint_nor_resumed(tmp_path):
    with pytest.raises(NonFiniteLossError):
        make(plain(tmp_path), hooks=(Spoil(),)).train()
    good = {entry.name: entry.good for entry in Store(tmp_path).entries()}
    assert good["iter_4"]
    assert not good["iter_6"]
    again = make(plain(tmp_path))
    again.train()
    assert again.iter == 30
    assert all(bool(p.isfinite().all()) for p in again.model.parameters())


@pytest.mark.parametrize(("value", "good"), [("-inf", True), ("nan", False)])
def test_a_buffer_may_mean_its_infinity_but_no_nan(tmp_path, value, good):
    """A mask of attention is saved with many models; a statistic that is NaN is broken."""
    runner = make(plain(tmp_path))
    runner.model.register_buffer("mask", torch.full((2, 2), float(value)))
    runner.train()
    assert all(entry.good is good for entry in Store(tmp_path).entries())


def test_the_checkpoint_before_nan_is_not_deleted_for_the_one_with_it(tmp_path):
    hooks = {"type": "CheckpointHook", "interval": 2, "by_epoch": False, "max_keep_ckpts": 1}
    finite = {"type": "FiniteLossHook", "policy": "ignore"}
    config = plain(tmp_path, default_hooks={"checkpoint": hooks, "finite_loss": finite})
    make(config, hooks=(Spoil(),)).train()
    assert "iter_4" in Store(tmp_path).names()


class Murder(Hook):
    """Kills a loader worker now and then."""

    def __init__(self) -> None:
        self.dead = 0

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.kill_one(runner)

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.kill_one(runner)

    def kill_one(self, runner):
        pool = runner.train_dataloader._pool
        for worker in pool.workers if pool is not None else ():
            if self.dead < 20 and worker.process.is_alive():
                os.kill(worker.process.pid, signal.SIGKILL)
                worker.process.join()
                self.dead += 1
                return


@pytest.mark.filterwarnings("ignore:loader worker")
def test_twenty_dead_workers_change_no_bit(tmp_path):
    # Both workers live at the start of an epoch; when a dead one is replaced depends on the load.
    epochs = {"train_cfg": {"type": "EpochBasedTrainLoop", "max_epochs": 12}}
    calm = make(plain(tmp_path / "calm", **epochs))
    calm.train()
    hook, config = Murder(), plain(tmp_path / "wild", **epochs)
    config["train_dataloader"] = loader(2, train=True)
    wild = make(config, hooks=(hook,))
    wild.train()
    assert hook.dead == 20
    found, wanted = digests(wild), digests(calm)
    assert {k for k in found if found[k] != wanted[k]} == set()


def test_a_jumping_clock_changes_no_bit(tmp_path, monkeypatch):
    straight = make(spec(tmp_path / "straight"))
    straight.train()
    wanted, true_time, calls = digests(straight), time.time, []

    def jumping():
        calls.append(0)
        return true_time() + 86400 * (-1) ** len(calls)

    monkeypatch.setattr(time, "time", jumping)
    jumped = make(spec(tmp_path / "jumped"))
    jumped.train()
    assert digests(jumped) == wanted


class Closed(io.TextIOBase):
    def write(self, text):
        raise BrokenPipeError(errno.EPIPE, "broken pipe")

    def flush(self):
        raise BrokenPipeError(errno.EPIPE, "broken pipe")


def test_hanging_up_does_not_end_the_run(tmp_path):
    class HangUp(Hook):
        def before_train_iter(self, runner, batch_idx, data_batch=None):
            if runner.iter == 3:
                signal.raise_signal(signal.SIGHUP)

    assert fork(lambda: make(plain(tmp_path), hooks=(HangUp(),)).train()) == 0
    assert Store(tmp_path).newest().step == 30


POINTS = [point for point in Hook.stages if "test" not in point and "load" not in point]


def failing(point, policy):
    """A hook that fails at one point."""
    said = {point: lambda *args, **facts: 1 / 0, "on_error": policy}
    return type("Watch", (Hook,), said)()


def test_a_failing_hook_ends_the_run_in_order(tmp_path):
    config = spec(tmp_path, train_cfg={"type": "EpochBasedTrainLoop", "max_epochs": 1})
    for point in POINTS:
        ended = []

        class Ending(Hook):
            def after_run(self, runner, ended=ended):
                ended.append(runner.iter)

        home = tmp_path / point
        hooks = (failing(point, "stop"), Ending())
        with pytest.raises(ZeroDivisionError) as caught:
            make({**config, "work_dir": str(home)}, hooks=hooks).train()
        assert f"raised by hook Watch at {point}" in "".join(caught.value.__notes__)
        assert "in <lambda>" in "".join(traceback.format_exception(caught.value))
        assert len(ended) == 1, point
        assert Store(home).newest() is None or Store(home).load()


def test_hooks_that_only_watch_may_fail(tmp_path):
    hooks = tuple(failing(point, "disable") for point in POINTS)
    runner = make(spec(tmp_path), hooks=hooks)
    runner.train()
    assert runner.iter == 30
    assert {hook.on_error for hook in hooks} == {"disabled"}


def test_a_hooks_policy_stands_in_its_config(tmp_path):
    hook = {"type": "NaiveVisualizationHook", "on_error": "disable"}
    runner = make(plain(tmp_path, custom_hooks=[hook]))
    assert [type(h).__name__ for h in runner.hooks if h.on_error == "disable"] == [hook["type"]]
    with pytest.raises(ConfigError, match=r"on_error must be one of stop, disable, got 'disabel'"):
        make(plain(tmp_path, custom_hooks=[{**hook, "on_error": "disabel"}]))


def test_a_closed_terminal_does_not_end_the_run(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stdout", Closed())
    monkeypatch.setattr(sys, "stderr", Closed())
    runner = make(spec(tmp_path, log_level="INFO"))
    runner.train()
    assert runner.iter == 30
