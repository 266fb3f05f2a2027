"""The order in which a run is set up, as one function to read."""

from __future__ import annotations

from functools import partial
from typing import Any

from loopwright.build.parts import compiled
from loopwright.model import fingerprint, init_weights


def prepare(runner: Any) -> None:
    """Set up a training run.

    Loops before the optimizer, because their lengths are needed; schedulers after the learning
    rates are final, because they remember them; weights before the fingerprint; accumulation
    counts after resuming, because they start there; compiling last.
    """
    loop = runner.train_loop
    wrapper = runner.optim_wrapper
    runner.param_schedulers  # noqa: B018  built here: they take the first step on the final lr
    runner.val_loop  # noqa: B018  built here: a mistake in it must show before training
    runner.call_hook("before_run")
    init_weights(runner.model, runner.seed)
    runner.load_or_resume()
    _same_start(runner)
    wrapper.initialize_count_status(runner.model, runner.progress.iter, loop.max_iters)
    if runner.hook_table["after_backward"]:
        wrapper.after_backward = partial(runner.call_hook, "after_backward")
    compiled(runner.model, runner.spec.compile, runner.logger.info)


def _same_start(runner: Any) -> None:
    """Note the fingerprint of the parameters that training starts from."""
    if runner.progress.iter:
        return
    found = fingerprint(runner.model)
    found.save(f"{runner.work_dir}/fingerprint.json")
    runner.logger.info(f"init params {found.total[:12]} ({len(found.tensors)} tensors)")
    expected = runner.spec.expect_init
    if expected is not None and not found.total.startswith(expected):
        raise ValueError(
            f"expect_init is {expected}, but the initial parameters are {found.total}: "
            "compare runs with `loopwright fingerprint diff`"
        )
