"""Logging waits for the device only where a record is made, however much is logged."""

import pytest
from torch.utils._python_dispatch import TorchDispatchMode

from loopwright.hooks import Hook

QUIET = {"val_dataloader": None, "val_cfg": None, "val_evaluator": None}


class Reads(TorchDispatchMode):
    """Counts reads of tensors as numbers: each would wait for an accelerator."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += "_local_scalar_dense" in str(func)
        return func(*args, **(kwargs or {}))


class Many(Hook):
    """Puts twenty tensors as scalars in each iteration."""

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        for number in range(20):
            runner.storage.put_scalar(f"train/mine{number}", outputs["loss"] * number)


class Watch(Hook):
    """Counts the reads of each iteration, from the first hook to after the last."""

    priority = "LOWEST"

    def __init__(self):
        self.mode = Reads()
        self.counts = []

    def before_train(self, runner):
        self.mode.__enter__()

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.counts.append(self.mode.count)

    def after_train(self, runner):
        self.mode.__exit__(None, None, None)


def reads_by_iteration(run, hooks):
    watch = Watch()
    run(
        custom_hooks=[*hooks, watch],
        default_hooks={"logger": {"type": "LoggerHook", "interval": 4}, "finite_loss": None},
        train_cfg={"type": "IterBasedTrainLoop", "max_iters": 12},
        **QUIET,
    )
    return [after - before for before, after in zip([0, *watch.counts], watch.counts)]


@pytest.mark.parametrize("hooks", [[], [Many()]], ids=["default hooks", "twenty scalars more"])
def test_no_scalar_is_read_between_records(run, hooks):
    counts = reads_by_iteration(run, hooks)
    between = [count for number, count in enumerate(counts, start=1) if number % 4]
    assert between == [0] * 9


def test_a_read_would_be_counted(run):
    class ReadsLoss(Hook):
        def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
            float(outputs["loss"])

    assert reads_by_iteration(run, [ReadsLoss()])[0] == 1
