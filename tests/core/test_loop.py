"""One iteration: what is said when, what is counted, and what a stop does."""

import pytest

from loopwright.core import HookTable, Progress, Requests, TrainLoop


class Trace:
    """Writes down every point with the iteration at which it was said."""

    def __init__(self, progress):
        self.progress, self.said = progress, []

    def __getattr__(self, point):
        if not point.startswith(("before_", "after_")):
            raise AttributeError(point)
        return lambda **facts: self.said.append((point, self.progress.iter, facts.get("batch_idx")))


def loop_with(step, requests=None):
    progress = Progress()
    table = HookTable(lambda hook, point: getattr(hook, point, None))
    trace = Trace(progress)
    table.add(trace, 50)
    return TrainLoop(step, table, progress, requests or Requests()), trace


def test_an_iteration_is_told_in_order_and_counted_after_the_hooks():
    loop, trace = loop_with(lambda batch: batch * 2)
    loop.run_iters(iter([1, 2]), until=2)
    once = ["before_step", "before_train_iter", "after_train_iter", "after_step"]
    assert [point for point, _, _ in trace.said] == once * 2
    assert [it for _, it, _ in trace.said] == [0] * 4 + [1] * 4
    assert loop.progress.iter == loop.progress.batch == 2


def test_hooks_see_batch_and_outputs():
    seen = []
    loop, _ = loop_with(lambda batch: batch * 2)

    class Look:
        def after_train_iter(self, batch_idx, data_batch, outputs):
            seen.append((batch_idx, data_batch, outputs))

    loop.hooks.add(Look(), 50)
    loop.run_iters(iter([5, 6]))
    assert seen == [(0, 5, 10), (1, 6, 12)]


def test_a_halt_is_granted_at_the_end_of_the_iteration():
    wishes = Requests()

    def step(batch):
        if batch == 2:
            wishes.halt("SIGTERM")
        return batch

    loop, _ = loop_with(step, wishes)
    loop.run_iters(iter(range(10)))
    assert loop.progress.iter == 3


def test_a_stop_waits_for_the_face_unless_the_loop_is_prompt():
    wishes = Requests()
    wishes.stop("enough")
    loop, _ = loop_with(lambda batch: batch, wishes)
    loop.run_iters(iter(range(4)))
    assert loop.progress.iter == 4
    loop.prompt = True
    loop.run_iters(iter(range(4)))
    assert loop.progress.iter == 4


def test_an_error_in_the_step_says_the_iteration_and_leaves_the_state_whole():
    def step(batch):
        if batch == 1:
            raise RuntimeError("out of memory")

    loop, _ = loop_with(step)
    with pytest.raises(RuntimeError) as caught:
        loop.run_iters(iter(range(3)))
    assert any("iteration 1" in note for note in caught.value.__notes__)
    assert loop.progress.iter == 1
    assert loop.whole


def test_an_error_after_the_step_leaves_the_state_not_whole():
    loop, _ = loop_with(lambda batch: batch)

    class Broken:
        def after_train_iter(self, **facts):
            raise ValueError("broken")

    loop.hooks.add(Broken(), 50)
    with pytest.raises(ValueError, match="broken"):
        loop.run_iters(iter(range(3)))
    assert not loop.whole


def test_a_wish_to_save_is_granted_between_two_iterations():
    wishes, saved = Requests(), []

    def step(batch):
        if batch == 1:
            wishes.save("SIGUSR1")

    loop, _ = loop_with(step, wishes)

    def save():
        saved.append((loop.progress.iter, loop.progress.batch))
        wishes.saved()

    loop.on_save = save
    loop.run_iters(iter(range(3)))
    assert saved == [(2, 2)]


def test_a_face_lets_its_users_own_iteration_in():
    loop, _ = loop_with(lambda batch: batch)

    def twice(batch_idx, batch):
        loop.run_iter(batch_idx, batch)
        loop.run_iter(batch_idx, batch)

    loop.iterate = twice
    loop.run_iters(iter(range(2)))
    assert (loop.progress.iter, loop.progress.batch) == (4, 2)
