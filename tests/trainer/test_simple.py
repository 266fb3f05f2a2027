"""What SimpleTrainer and AMPTrainer do with a batch."""

import math

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader
from trainer_models import Spoils, TwoLosses, batches, sgd

from loopwright.hooks import NonFiniteLossError
from loopwright.log import EventStorage
from loopwright.optim import AmpOptimWrapper, OptimWrapper
from loopwright.trainer import AMPTrainer, CallbackHook, SimpleTrainer


def by_hand(count: int) -> nn.Module:
    model = TwoLosses()
    optimizer, data = sgd(model), batches()
    for iteration in range(count):
        losses = model(data[iteration % 7])
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
    return model


def equal(a: nn.Module, b: nn.Module) -> bool:
    pairs = zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    return all(torch.equal(one, other) for one, other in pairs)


@pytest.mark.parametrize("before_forward", [False, True])
def test_it_learns_as_a_loop_by_hand_and_starts_a_finite_loader_again(before_forward):
    model = TwoLosses()
    SimpleTrainer(model, batches(), sgd(model), zero_grad_before_forward=before_forward).train(
        0, 20
    )
    assert equal(model, by_hand(20))


def test_a_model_may_return_a_single_loss():
    class One(TwoLosses):
        def forward(self, batch):
            return sum(super().forward(batch).values())

    model = One()
    trainer = SimpleTrainer(model, batches(), sgd(model))
    trainer.train(0, 20)
    assert equal(model, by_hand(20))
    assert "total_loss" in trainer.storage.latest()


def test_a_metric_beside_the_losses_is_told_and_not_learned_from():
    model = TwoLosses(metric=True)
    trainer = SimpleTrainer(model, batches(), sgd(model))
    trainer.train(0, 20)
    latest = {name: value for name, (value, _) in trainer.storage.latest().items()}
    assert equal(model, by_hand(20))
    assert latest["accuracy"] == 0.5
    assert latest["total_loss"] == pytest.approx(latest["loss_fit"] + latest["loss_size"])


def test_an_answer_that_is_no_loss_is_an_error():
    class Wrong(TwoLosses):
        def forward(self, batch):
            return [1.0]

    model = Wrong()
    with pytest.raises(TypeError, match="a loss or a dict of losses, got list"):
        SimpleTrainer(model, batches(), sgd(model)).train(0, 1)


def test_a_model_in_eval_mode_is_not_trained():
    model = TwoLosses()
    trainer = SimpleTrainer(model, batches(), sgd(model))
    model.eval()
    with pytest.raises(RuntimeError, match=r"model\.train\(\)"):
        trainer.train(0, 1)


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("period", [1, 5])
def test_a_loss_that_is_not_finite_stops_at_once_and_is_named(asynchronous, period):
    model = Spoils(at=2)
    trainer = SimpleTrainer(
        model,
        batches(),
        sgd(model),
        gather_metric_period=period,
        async_write_metrics=asynchronous,
    )
    with pytest.raises(NonFiniteLossError, match=r"iteration 2 .* loss_size is not") as error:
        trainer.train(0, 10)
    assert isinstance(error.value, FloatingPointError)
    assert equal(model, by_hand(2)), "the weights have not seen it"


def test_losses_are_looked_at_also_where_reading_waits_for_a_device():
    """As on an accelerator: nothing is read until the period, and then every iteration is named."""
    model, storage = TwoLosses(), EventStorage()
    trainer = SimpleTrainer(model, batches(), sgd(model))
    book = trainer._book
    book._pending = [
        (3, {"total_loss": torch.tensor(1.0)}),
        (4, {"total_loss": torch.tensor(math.inf)}),
    ]
    with pytest.raises(NonFiniteLossError, match="iteration 4"):
        book.settle(storage)


def test_hooks_between_backward_and_step_see_the_gradients():
    seen = []
    model = TwoLosses()
    trainer = SimpleTrainer(model, batches(), sgd(model))

    def look(trainer):
        seen.append(
            (trainer.iter, model.fc.weight.grad is not None, equal(model, by_hand(trainer.iter)))
        )

    trainer.register_hooks([CallbackHook(after_backward=look)])
    trainer.train(0, 3)
    assert seen == [(0, True, True), (1, True, True), (2, True, True)]


def test_gradients_are_still_there_after_the_step():
    model, found = TwoLosses(), []
    trainer = SimpleTrainer(model, batches(), sgd(model))
    trainer.register_hooks(
        [CallbackHook(after_step=lambda t: found.append(model.fc.weight.grad is not None))]
    )
    trainer.train(0, 2)
    assert found == [True, True]


def test_gradients_accumulate_by_the_wrapper():
    class Mean(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.zeros(()))

        def forward(self, batch):
            return {"loss": self.w * batch}

    model = Mean()
    data = [torch.tensor(v) for v in (1.0, 3.0, 5.0, 7.0)]
    wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), lr=1.0), accumulative_counts=2)
    SimpleTrainer(model, data, wrapper).train(0, 4)
    assert model.w.item() == -(2.0 + 6.0)


def test_the_loader_goes_on_where_the_iteration_is():
    class Shuffled:
        """Seven batches whose order depends on the epoch alone."""

        def __init__(self):
            self.items, self.epoch, self.batch = batches(), 0, 0

        def set_position(self, epoch, batch):
            self.epoch, self.batch = epoch, batch

        def __len__(self):
            return 7

        def __iter__(self):
            order = torch.randperm(7, generator=torch.Generator().manual_seed(self.epoch))
            return iter([self.items[i] for i in order.tolist()[self.batch :]])

    whole, halves = TwoLosses(), TwoLosses()
    SimpleTrainer(whole, Shuffled(), sgd(whole)).train(0, 20)
    optimizer = sgd(halves)
    SimpleTrainer(halves, Shuffled(), optimizer).train(0, 11)
    SimpleTrainer(halves, Shuffled(), optimizer).train(11, 20)
    assert equal(whole, halves)


def test_an_empty_loader_and_an_iterator_that_ends_are_errors():
    model = TwoLosses()
    with pytest.raises(RuntimeError, match="gave no batch"):
        SimpleTrainer(model, [], sgd(model)).train(0, 1)
    with pytest.raises(RuntimeError, match="give a loader, not an iterator"):
        SimpleTrainer(model, iter(batches(3)), sgd(model)).train(0, 5)


def test_another_loader_can_be_put_in():
    model = TwoLosses()
    trainer = SimpleTrainer(model, [], sgd(model))
    trainer.reset_data_loader(batches)
    trainer.train(0, 20)
    assert equal(model, by_hand(20))


def test_a_step_of_ones_own_may_use_the_trainers_parts():
    class Mine(SimpleTrainer):
        def run_step(self):
            losses = self.model(next(self._data_loader_iter))
            self.optimizer.zero_grad()
            sum(losses.values()).backward()
            self._write_metrics(losses, 0.5)
            self.optimizer.step()

    model = TwoLosses()
    trainer = Mine(model, batches(), sgd(model))
    trainer.train(0, 20)
    latest = trainer.storage.latest()
    assert equal(model, by_hand(20))
    assert latest["data_time"] == (0.5, 19)
    assert set(latest) == {"total_loss", "loss_fit", "loss_size", "data_time"}


def test_amp_trains_a_model_with_a_train_step_under_autocast():
    seen = []

    class Net(TwoLosses):
        def forward(self, batch):
            out = self.fc(batch)
            seen.append(out.dtype)
            return {"loss_fit": (out.float() - 1).square().mean()}

    model = Net()
    trainer = AMPTrainer(model, batches(), sgd(model), precision=torch.bfloat16)
    trainer.train(0, 3)
    assert seen == [torch.bfloat16] * 3
    assert trainer.optim_wrapper.loss_scaler is None, "bfloat16 needs no loss scale"


def test_float16_has_a_scale_that_is_saved_and_told():
    model = TwoLosses()
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    trainer = AMPTrainer(model, batches(), sgd(model), grad_scaler=scaler, log_grad_scaler=True)
    trainer.train(0, 3)
    assert trainer.storage.latest()["[metric]grad_scaler"] == (8.0, 2)
    assert "loss_scaler" in trainer.state_dict()["optimizer"]


def test_a_grad_scaler_of_ones_own_is_used():
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    model = TwoLosses()
    trainer = AMPTrainer(model, batches(), sgd(model), grad_scaler=scaler)
    assert trainer.optim_wrapper.loss_scaler is scaler


def test_clipping_under_a_loss_scale_sees_true_gradients_with_a_fused_optimizer():
    """A step whose gradient has norm 1 is not clipped at 2, whatever the scale is."""

    class Unit(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.zeros(1))

        def forward(self, batch):
            return {"loss": self.w.sum()}

    model = Unit()
    fused = torch.optim.SGD(model.parameters(), lr=1.0, fused=True)
    wrapper = AmpOptimWrapper(dtype="float16", optimizer=fused, clip_grad={"max_norm": 2.0})
    trainer = AMPTrainer(model, [torch.zeros(1)], wrapper)
    trainer.train(0, 1)
    assert model.w.item() == -1.0
    assert wrapper.metrics()["grad_norm"].item() == 1.0


def test_a_seed_makes_what_is_drawn_depend_on_the_iteration_alone():
    class Noisy(TwoLosses):
        def forward(self, batch):
            return {"loss": (self.fc(batch) * torch.rand(3, 1)).mean()}

    whole, halves = Noisy(), Noisy()
    SimpleTrainer(whole, batches(), sgd(whole), seed=3).train(0, 9)
    optimizer = sgd(halves)
    SimpleTrainer(halves, batches(), optimizer, seed=3).train(0, 4)
    torch.rand(100)
    SimpleTrainer(halves, batches(), optimizer, seed=3).train(4, 9)
    assert equal(whole, halves)


@pytest.mark.parametrize("stop_at", [4, 7, 9])  # in an epoch, between two, in the second
def test_with_a_seed_a_shuffled_loader_of_torch_goes_on_where_it_stopped(stop_at):
    def loader():
        return DataLoader(torch.cat(batches()), batch_size=3, shuffle=True)

    whole, halves = TwoLosses(), TwoLosses()
    SimpleTrainer(whole, loader(), sgd(whole), seed=3).train(0, 16)
    optimizer = sgd(halves)
    SimpleTrainer(halves, loader(), optimizer, seed=3).train(0, stop_at)
    torch.rand(100)
    SimpleTrainer(halves, loader(), optimizer, seed=3).train(stop_at, 16)
    assert equal(whole, halves)
