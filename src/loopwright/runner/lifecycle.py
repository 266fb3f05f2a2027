"""A run's life: one writer a folder, signals heard, every ending orderly."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from loopwright.files import RunLock
from loopwright.runner import saving
from loopwright.runner.recording import current
from loopwright.runner.signals import PREEMPTED, listening


@contextmanager
def alive(runner: Any) -> Iterator[None]:
    """Hold the run folder, listen to signals, and end well whatever happens inside.

    After an exception: what is whole is saved, ``after_run`` is said to every hook, writers are
    closed, and the exception goes on with its traceback. After SIGTERM or SIGINT: a checkpoint is
    written and SystemExit(75) or KeyboardInterrupt is raised. Raises Locked when another run uses
    the folder.
    """
    with RunLock(runner.work_dir), listening(runner.requests), current(runner):
        try:
            yield
        except BaseException as error:
            _end_badly(runner, error)
            raise
        if runner.requests.saving is not None:
            saving.save_where_it_is(runner)
        _end(runner)
    _leave(runner)


def _end_badly(runner: Any, error: BaseException) -> None:
    """Save and close what can be, without hiding the error that ended the run."""
    try:
        saving.save_after_error(runner, error)
    except Exception as second:
        error.add_note(f"saving after this error failed too: {second!r}")
    for failed in runner.hook_table.say_all("after_run"):
        error.add_note(f"after_run failed too: {failed!r}")
    runner.close()


def _end(runner: Any) -> None:
    errors = runner.hook_table.say_all("after_run")
    runner.close()
    if errors:
        raise errors[0]


def _leave(runner: Any) -> None:
    """After a halt the caller must not go on as if training were finished."""
    reason = runner.requests.halting
    if reason is None:
        return
    runner.logger.warning(f"stopped by {reason} at iteration {runner.iter}; resume=True goes on")
    if reason == "SIGINT":
        raise KeyboardInterrupt(f"stopped at iteration {runner.iter}, checkpoint written")
    raise SystemExit(PREEMPTED)
