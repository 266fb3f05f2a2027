"""The order in which a run is set up, as one function to read."""

from __future__ import annotations

from functools import partial
from typing import Any

from loopwright.build.parts import compiled
from loopwright.build.spec import origin_in
from loopwright.core.length import length_of
from loopwright.model import check_expected, fingerprint, init_weights, unwrap
from loopwright.model.fingerprints import check_ranks
from loopwright.optim.checks import run_findings
from loopwright.optim.specs import Run


def prepare(runner: Any) -> None:
    """Set up a training run.

    Loops before the optimizer, because their lengths are needed; schedulers after the learning
    rates are final, because they remember them; weights before the fingerprint; accumulation
    counts after resuming, because they start there; compiling last.
    """
    loop = runner.train_loop
    wrapper = runner.optim_wrapper
    runner.param_schedulers  # noqa: B018  built here: they take the first step on the final lr
    _say_what_does_not_fit(runner)
    runner.val_loop  # noqa: B018  built here: a mistake in it must show before training
    runner.call_hook("before_run")
    _initialise(runner)
    runner.load_or_resume()
    _same_start(runner)
    wrapper.initialize_count_status(runner.model, runner.progress.iter, loop.max_iters)
    if runner.hook_table["after_backward"]:
        wrapper.after_backward = partial(runner.call_hook, "after_backward")
    if compiled(runner.model, runner.spec.compile, runner.logger.info):
        runner.register_hook({"type": "CompileReportHook"})


def _say_what_does_not_fit(runner: Any) -> None:
    """Warn of schedules that do not fit the run, whose length is known only now.

    What ``runner.told`` holds was said before, with its place in the config.
    """
    if runner.spec.param_scheduler is None:
        return
    loop = runner.train_loop
    run = Run(loop.max_iters, loop.max_epochs, length_of(runner.train_dataloader))
    for text in run_findings(runner.spec.param_scheduler, runner.optim_wrapper, run):
        if not any(f": {text}".endswith(f": {told}") for told in runner.told):
            runner.logger.warning(f"param_scheduler: {text}")


def _initialise(runner: Any) -> None:
    """Initialise what was not loaded already (``runner.resume(path)`` may come before the run)."""
    model = unwrap(runner.model)
    kept = {n: t.clone() for n, t in model.state_dict().items() if n in runner.loaded_names}
    init_weights(runner.model, runner.seed)
    if kept:
        model.load_state_dict(kept, strict=False)


def _same_start(runner: Any) -> None:
    """Note the fingerprint of the parameters that training starts from; all ranks must agree."""
    if runner.progress.iter:
        return
    found = fingerprint(runner.model)
    check_ranks(found)
    runner.message_hub.update_info("init_fingerprint", found.total)
    runner.logger.info(f"init params {found.total[:12]} ({len(found.tensors)} tensors)")
    if runner.rank == 0:
        found.save(f"{runner.work_dir}/fingerprint.json")
    # Last, with the file there to compare with.
    check_expected(found, runner.spec.expect_init, origin_in(runner.cfg, "expect_init"))
