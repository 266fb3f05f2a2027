"""Going back to the last good checkpoint in the middle of a run, and leaving batches out."""

from __future__ import annotations

from typing import Any

from loopwright.checkpoint import Broken
from loopwright.hooks.finite_loss import RollBack
from loopwright.runner import resuming, saving


def run_training(runner: Any) -> None:
    """Run the training loop; where a hook wishes it, from the last good checkpoint again."""
    while True:
        try:
            runner.train_loop.run()
        except RollBack as wish:
            go_back(runner, wish)
        else:
            return


def go_back(runner: Any, wish: RollBack) -> None:
    """Load the newest good checkpoint from before the iteration, which is then left out.

    Raises the error behind the wish where there is none.
    """
    saving.poll_saves(runner, wait=True)
    found = _newest_good(runner, wish.iteration)
    if found is None:
        wish.error.add_note("no good checkpoint from before this iteration to go back to")
        raise wish.error from None
    runner.left_out.add(wish.iteration)
    runner.optim_wrapper.zero_grad()
    runner.train_loop.core.whole = True
    resuming.restore(runner, found.state)
    wrapper, loop = runner.optim_wrapper, runner.train_loop
    wrapper.initialize_count_status(runner.model, runner.progress.iter, loop.max_iters)
    runner.logger.warning(
        f"{wish.error}\nback to {found.path} (iteration {runner.iter}); "
        f"iteration {wish.iteration} will be left out"
    )


def _newest_good(runner: Any, iteration: int) -> Any:
    for entry in reversed(runner.store.entries()):
        if not entry.good or entry.step > iteration:
            continue
        try:
            return runner.store.load(entry.name)
        except Broken as error:
            runner.logger.error(f"cannot go back to {entry.name}: {error}")
    return None


def leave_out(wrapper: Any) -> dict[str, Any]:
    """Count an iteration without learning from it; the end of an accumulation window stays one."""
    check, wrapper.check_loss = wrapper.check_loss, _no
    try:
        wrapper.update_params(None)
    finally:
        wrapper.check_loss = check
    return {}


def _no(loss: Any) -> bool:
    return False
