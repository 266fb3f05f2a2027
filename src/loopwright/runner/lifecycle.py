"""A run's life: one writer a folder, signals heard, every ending orderly."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from loopwright.build.policies import faults
from loopwright.checkpoint import SaveError
from loopwright.dist.signals import agree, leave, listening
from loopwright.files import RunLock, private_folder, probe
from loopwright.runner import saving
from loopwright.runner.recording import current


@contextmanager
def alive(runner: Any) -> Iterator[None]:
    """Hold the run folder, listen to signals, and end well whatever happens inside.

    After an exception: what is whole is saved, ``after_run`` is said to every hook, writers are
    closed, and the exception goes on with its traceback. After SIGTERM or SIGINT (or SIGUSR1 with
    ``faults.on_sigusr1='stop'``): a checkpoint is written and SystemExit(75) or KeyboardInterrupt
    is raised. Raises Locked when another run uses the folder, SaveError when it takes no files.
    """
    check_folder(runner)
    halts = faults(runner.spec.faults)["on_sigusr1"] == "stop"
    listens = listening(runner.heard, usr1_halts=halts)
    with _lock(runner), listens, unplugged(), current(runner):
        try:
            yield
        except BaseException as error:
            _end_badly(runner, error)
            raise
        if runner.distributed:
            agree(runner.heard, runner.requests)
        if runner.requests.saving is not None:
            saving.save_where_it_is(runner)
        reason = runner.requests.halting  # a signal after this finds the run at its end
        _end(runner)
        if reason is not None:
            runner.logger.warning(
                f"stopped by {reason} at iteration {runner.iter}; resume=True goes on"
            )
            leave(reason, f"at iteration {runner.iter}, checkpoint written")


@contextmanager
def unplugged() -> Iterator[None]:
    """A terminal that is closed (SIGHUP) does not end the run; where it is ignored it stays so."""
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGHUP) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGHUP, lambda number, frame: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


def _lock(runner: Any) -> AbstractContextManager[Any]:
    """The folder is held by the main process, which alone writes into it."""
    return RunLock(runner.work_dir) if runner.rank == 0 else nullcontext()


def check_folder(runner: Any) -> None:
    """Better to hear now that the folder takes no files than at the first save: SaveError."""
    if runner.rank != 0:
        return
    try:
        private_folder(runner.work_dir)
        if runner.has_training:
            probe(runner.work_dir)
    except OSError as error:
        text = f"work_dir {runner.work_dir} takes no files: {error}"
        raise SaveError(error.errno, text) from error


def _end_badly(runner: Any, error: BaseException) -> None:
    """Save and close what can be, without hiding the error that ended the run."""
    try:
        saving.save_after_error(runner, error)
    except Exception as second:
        error.add_note(f"saving after this error failed too: {second!r}")
    for failed in runner.hook_table.say_all("after_run"):
        error.add_note(f"after_run failed too: {failed!r}")
    try:
        runner.close()
    except Exception as second:
        error.add_note(f"closing failed too: {second!r}")


def _end(runner: Any) -> None:
    errors = runner.hook_table.say_all("after_run")
    runner.close()
    if errors:
        raise errors[0]
