"""Too little memory in one iteration: told, left out or done in parts, never half an update."""

import pytest
import torch
from lives import digests, make
from toy import Net, spec

from loopwright.checkpoint import Store
from loopwright.config import ConfigError


def plain(folder, on_oom, **changes):
    """Full precision, one update an iteration, saves every two iterations."""
    return spec(folder, val_cfg=None, val_dataloader=None, val_evaluator=None) | {
        "default_hooks": {
            "checkpoint": {"type": "CheckpointHook", "interval": 2, "by_epoch": False}
        },
        "optim_wrapper": {"type": "OptimWrapper", "optimizer": {"type": "AdamW", "lr": 0.01}},
        "train_cfg": {"type": "EpochBasedTrainLoop", "max_epochs": 2},
        "faults": {"on_oom": on_oom},
        **changes,
    }


def no_memory():
    return torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 3 GiB")


class Hungry(Net):
    """Too little memory for more than ``room`` samples in its ``at``-th forward."""

    def __init__(self, at=5, room=0, times=1):
        super().__init__()
        self.at, self.room, self.times, self.calls = at, room, times, 0

    def forward(self, inputs, data_samples=None, mode="tensor"):
        self.calls += 1
        if self.at <= self.calls and self.times and len(inputs) > self.room:
            self.times -= 1
            raise no_memory()
        return super().forward(inputs, data_samples, mode)


class HungryBackward(Net):
    """Too little memory in a backward, after some gradients are there."""

    def forward(self, inputs, data_samples=None, mode="tensor"):
        self.calls = getattr(self, "calls", 0) + 1
        losses = super().forward(inputs, data_samples, mode)
        if self.calls == 5:
            first = next(self.parameters())
            handle = first.register_hook(lambda grad: fail())

            def fail():
                handle.remove()
                raise no_memory()

        return losses


class HungryStep(torch.optim.SGD):
    """Too little memory in an optimizer's step, when some weights have already moved."""

    steps = 0

    def step(self, closure=None):
        HungryStep.steps += 1
        if HungryStep.steps == 6:
            with torch.no_grad():
                self.param_groups[0]["params"][0].add_(1000.0)
            raise no_memory()
        return super().step(closure)


def test_by_default_the_run_stops_and_names_shapes_and_samples(tmp_path):
    runner = make(plain(tmp_path, "stop", model=Hungry()))
    with pytest.raises(torch.OutOfMemoryError) as caught:
        runner.train()
    notes = "".join(caught.value.__notes__)
    assert "batch.inputs 4x8 float32" in notes
    assert f"samples {', '.join(map(str, runner.train_dataloader.samples_now()))}" in notes
    assert "batch_size" in notes
    assert Store(tmp_path).newest().step == 4


def test_the_samples_named_are_those_of_the_batch(tmp_path):
    runner = make(plain(tmp_path, "stop"))
    loader = runner.train_dataloader
    loader.set_position(1, 2)
    iter(loader).__next__()
    order = [i for _, piece in loader.sampler.pieces() for i in piece.tolist()]
    assert loader.samples_now() == order[8:12]


@pytest.mark.parametrize("model", [Hungry, HungryBackward])
def test_a_batch_left_out_is_as_one_that_was_never_learned_from(tmp_path, model):
    torch.manual_seed(0)
    calm = make(plain(tmp_path / "calm", "skip", model=Net()))
    calm.left_out.add(4)
    calm.train()
    torch.manual_seed(0)
    hungry = make(plain(tmp_path / "hungry", "skip", model=model()))
    hungry.train()
    assert hungry.iter == 12
    wanted, found = digests(calm), digests(hungry)
    parts = ("optimizer", "schedules", "counters")  # batch norm's buffers have seen the batch
    assert {part: found[part] for part in parts} == {part: wanted[part] for part in parts}


def test_a_batch_in_parts_gives_the_gradient_of_the_whole(tmp_path):
    class Linear(Net):
        """Nothing that depends on the other samples of a batch, nothing drawn."""

        def __init__(self, room=99, times=0):
            super().__init__()
            self.net = torch.nn.Linear(8, 3)
            self.room, self.times = room, times

        def forward(self, inputs, data_samples=None, mode="tensor"):
            if self.times and len(inputs) > self.room:
                self.times -= 1
                raise no_memory()
            return {"loss": torch.nn.functional.cross_entropy(self.net(inputs), data_samples)}

    weights = []
    for name, times in (("whole", 0), ("parts", 4)):
        torch.manual_seed(0)
        wrapper = {"type": "OptimWrapper", "optimizer": {"type": "SGD", "lr": 0.1}}
        config = plain(tmp_path / name, "split", model=Linear(1, times), optim_wrapper=wrapper)
        runner = make(config)
        runner.train()
        assert runner.iter == 12
        assert runner.model.times == 0
        weights.append(torch.cat([p.flatten() for p in runner.model.parameters()]))
    assert torch.allclose(*weights, atol=1e-5)
    assert not torch.equal(*weights), "the parts were never taken"


def test_parts_inside_a_window_count_as_one_batch(tmp_path):
    changes = {"optim_wrapper": spec(tmp_path)["optim_wrapper"], "model": Hungry(room=2)}
    runner = make(plain(tmp_path, "split", **changes))
    runner.train()
    assert runner.optim_wrapper.inner_count == runner.iter == 12


def test_a_step_half_made_goes_back_to_the_last_checkpoint(tmp_path):
    HungryStep.steps = 0
    wrapper = {"type": "OptimWrapper", "optimizer": {"type": HungryStep, "lr": 0.01}}
    runner = make(plain(tmp_path, "skip", optim_wrapper=wrapper))
    runner.train()
    assert runner.left_out == {5}
    assert all(float(p.detach().abs().max()) < 100 for p in runner.model.parameters())


def test_so_many_and_no_more(tmp_path):
    limits = {"on_oom": "skip", "max_oom": 2}
    runner = make(plain(tmp_path, "skip", model=Hungry(times=9), faults=limits))
    with pytest.raises(torch.OutOfMemoryError) as caught:
        runner.train()
    assert "max_oom" in "".join(caught.value.__notes__)
    assert runner.iter == 6


def test_what_does_not_fit_one_by_one_ends_the_run(tmp_path):
    runner = make(plain(tmp_path, "split", model=Hungry(times=99)))
    with pytest.raises(torch.OutOfMemoryError, match="not even one sample"):
        runner.train()
    assert runner.iter == 4


@pytest.mark.parametrize(
    ("faults", "said"),
    [
        ({"on_oom": "splitt"}, "one of stop, skip, split"),
        ({"on_omm": "skip"}, "did you mean 'on_oom'"),
        ({"max_failed_saves": 0}, "at least 1"),
    ],
)
def test_a_policy_that_there_is_not_is_an_error_before_the_run(tmp_path, faults, said):
    with pytest.raises(ConfigError, match=said):
        make(plain(tmp_path, "stop", faults=faults))
