"""Resumes where features meet: what one of them forgets, another one shows."""

import random

import numpy as np
import pytest
import torch
from lives import digests, make
from toy import LOOPS as TOY_LOOPS
from toy import Net, Samples, loader, spec

from loopwright.checkpoint import Store
from loopwright.hooks import Hook
from loopwright.runner.loops import EpochBasedTrainLoop

SHORT = {"type": "EpochBasedTrainLoop", "max_epochs": 3}


class Dies(Hook):
    """An error at a hook point, the ``at``-th time it is reached."""

    def __init__(self, point, at):
        self.left = at
        setattr(self, point, self._reached)

    def _reached(self, runner, *args, **kwargs):
        self.left -= 1
        if self.left < 0:
            raise RuntimeError("boom")


class Elsewhere(Hook):
    """Another process begins with generators that stand elsewhere."""

    def before_train(self, runner):
        random.seed(1)
        np.random.seed(2)
        torch.manual_seed(3)


def straight_and_resumed(folder, point="after_train_iter", at=8, **changes):
    """Digests of a run without and with an error at a point, after which it is resumed."""

    def config(name):
        made = {key: value() if callable(value) else value for key, value in changes.items()}
        return spec(folder / name, **{"train_cfg": SHORT, **made})

    whole = make(config("whole"))
    whole.train()
    broken = make(config("broken"))
    broken.register_hook(Dies(point, at), priority="LOWEST")
    with pytest.raises(RuntimeError, match="boom"):
        broken.train()
    again = make(config("broken"))
    again.register_hook(Elsewhere())
    again.train()
    return whole, again


def same(pair):
    one, other = (digests(runner) for runner in pair)
    assert other == one


class Keeping(torch.utils.data.Sampler):
    """Draws from generators of its own, which go on from epoch to epoch, and from a global one."""

    def __init__(self, dataset, seed=0):
        self.dataset = dataset
        self.generators = random.Random(seed), np.random.default_rng(seed)
        self.python, self.numpy = self.generators
        self.old = np.random.RandomState(seed)
        self.torch = torch.Generator().manual_seed(seed)

    def __len__(self):
        return len(self.dataset)

    def __iter__(self):
        count = len(self)
        for _ in range(count):
            drawn = self.python.randrange(count) + int(self.numpy.integers(count))
            drawn += int(self.old.randint(count)) + random.randrange(count)
            yield (drawn + int(torch.randint(count, (), generator=self.torch))) % count


@pytest.mark.parametrize("loop", ["epoch", "iter"])
def test_a_sampler_with_generators_of_its_own_goes_on_where_it_was(tmp_path, loop):
    def data():
        return {**loader(0, train=True), "sampler": {"type": Keeping}}

    changes = {"train_dataloader": data, "train_cfg": {**TOY_LOOPS[loop]}}
    same(straight_and_resumed(tmp_path, at=15, **changes))


class Stream(torch.utils.data.IterableDataset):
    metainfo = Samples.metainfo

    def __iter__(self):
        return (Samples()[index] for index in range(22))


def test_a_stream_of_unknown_length_is_resumed_in_a_later_pass(tmp_path):
    def data():
        cfg = loader(0, train=True)
        del cfg["sampler"]
        return {**cfg, "dataset": Stream()}

    loop = {"type": "IterBasedTrainLoop", "max_iters": 20, "val_interval": 9}
    same(straight_and_resumed(tmp_path, at=15, train_dataloader=data, train_cfg=loop))


class Plain(Samples):
    """Nothing is drawn in a sample, so none is seeded."""

    deterministic = True


class Noisy(Net):
    """Draws when it predicts, too."""

    def forward(self, inputs, data_samples=None, mode="tensor"):
        return super().forward(inputs + 9 * torch.randn_like(inputs), data_samples, mode)


class Draws(Hook):
    """Changes the weights at random before an iteration and at an epoch's end."""

    def _draw(self, runner):
        with torch.no_grad():
            for parameter in runner.model.parameters():
                parameter.mul_(1 + 0.1 * random.random() * float(np.random.rand() - torch.rand(())))

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self._draw(runner)

    def after_train_epoch(self, runner):
        self._draw(runner)


def test_what_hooks_and_a_validation_draw_is_the_same_after_a_resume(tmp_path):
    torch.manual_seed(0)
    weights = Noisy().state_dict()

    def model():
        noisy = Noisy()
        noisy.load_state_dict(weights)
        return noisy

    changes = {"model": model, "custom_hooks": lambda: [Draws()]}
    plain = {"dataset": Plain(24, augment=False)}
    changes["train_dataloader"] = lambda: {**loader(0, train=True), **plain}
    changes["val_dataloader"] = lambda: {**loader(0, train=False), **plain}
    same(straight_and_resumed(tmp_path, "before_val", 1, **changes))


PLATEAU = [
    {"type": "ReduceOnPlateauLR", "monitor": "right", "rule": "greater", "patience": 0},
    {"type": "ExponentialLR", "gamma": 0.5},
]


@pytest.mark.parametrize("point", ["after_val_epoch", "after_val"])
def test_an_error_among_hooks_leaves_no_checkpoint_in_which_some_were_told(tmp_path, point):
    pair = straight_and_resumed(tmp_path, point, at=1, param_scheduler=lambda: [*PLATEAU])
    same(pair)
    assert not any(name.startswith("crash") for name in Store(tmp_path / "broken").names())


class StopsOnce(Hook):
    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter == 7:
            runner.requests.stop("enough")


def test_a_stop_that_waits_for_the_epochs_end_is_not_forgotten(tmp_path):
    whole, again = straight_and_resumed(tmp_path, at=10, custom_hooks=lambda: [StopsOnce()])
    assert whole.iter == 12
    same((whole, again))


def test_a_run_that_stopped_early_goes_on_with_another_config_alone(tmp_path, capsys):
    hooks = {"logger": {"type": "LoggerHook"}}
    hooks["checkpoint"] = {"type": "CheckpointHook", "interval": 5, "by_epoch": True}

    def config(**changes):
        return spec(tmp_path, train_cfg=SHORT, default_hooks=hooks, **changes)

    make(config(custom_hooks=[StopsOnce()])).train()
    assert Store(tmp_path).load("epoch_2").meta["epoch"] == 2
    again = make(config(custom_hooks=[StopsOnce()], log_level="WARNING"))
    again.train()
    assert again.iter == 12
    longer = make(config(custom_hooks=[], log_level="WARNING"))
    longer.train()
    assert longer.iter == 18
    said = capsys.readouterr().out
    assert "the run was to stop (enough), and does" in said
    assert "the run was to stop (enough); with another config it goes on" in said


class OwnRun(EpochBasedTrainLoop):
    def run(self):
        self.runner.call_hook("before_train")
        while self._epoch < self._max_epochs:
            self.run_epoch()
            self.runner.val_loop.run()
        self.runner.call_hook("after_train")


def test_a_loop_with_its_own_run_is_told_of_a_validation_it_may_miss(tmp_path, capsys):
    loop = {"type": OwnRun, "max_epochs": 3}
    saving = {"checkpoint": {"type": "CheckpointHook", "interval": 1}}
    changes = {"train_cfg": loop, "default_hooks": saving, "log_level": "WARNING"}
    straight_and_resumed(tmp_path, "before_val", 1, **changes)
    said = capsys.readouterr().out
    assert "OwnRun.run is the loop's own: if a validation was due after 2" in said


def test_records_after_the_end_are_of_the_last_iteration(tmp_path):
    pair = straight_and_resumed(tmp_path, "after_train", 0)
    same(pair)
    assert pair[0].storage.iter == pair[1].storage.iter == 17
