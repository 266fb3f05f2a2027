"""The loop of a trainer: order of hooks, iterations, endings, states."""

import pytest
from trainer_models import TwoLosses, batches, sgd

from loopwright.hooks import Hook
from loopwright.log import get_event_storage, has_event_storage
from loopwright.trainer import CallbackHook, HookBase, SimpleTrainer, TrainerBase


class Counting(TrainerBase):
    """A trainer whose iteration does nothing but count."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def run_step(self):
        self.seen.append((self.iter, get_event_storage().iter))


class Telling(HookBase):
    def __init__(self, name, log):
        self.name, self.log = name, log

    def before_train(self):
        self.log.append(f"{self.name}:before_train {self.trainer.iter}")

    def before_step(self):
        self.log.append(f"{self.name}:before_step {self.trainer.iter}")

    def after_step(self):
        self.log.append(f"{self.name}:after_step {self.trainer.iter}")

    def after_train(self):
        self.log.append(f"{self.name}:after_train {self.trainer.iter}")


def test_hooks_run_in_the_order_of_registration_before_and_after():
    log, trainer = [], Counting()
    trainer.register_hooks([Telling("a", log), None, Telling("b", log)])
    trainer.train(0, 1)
    assert log == [
        "a:before_train 0",
        "b:before_train 0",
        "a:before_step 0",
        "b:before_step 0",
        "a:after_step 0",
        "b:after_step 0",
        "a:after_train 1",
        "b:after_train 1",
    ]


def test_something_that_is_no_hook_is_refused():
    with pytest.raises(TypeError, match="derive it from HookBase"):
        Counting().register_hooks([print])


def test_the_storage_stands_where_the_trainer_does():
    trainer = Counting()
    trainer.train(3, 6)
    assert trainer.seen == [(3, 3), (4, 4), (5, 5)]
    assert trainer.iter == trainer.storage.iter == 6
    assert not has_event_storage()


def test_a_finished_run_is_not_trained_but_its_endings_are_said():
    log, trainer = [], Counting()
    trainer.register_hooks([Telling("a", log)])
    trainer.train(5, 5)
    assert trainer.seen == []
    assert log == ["a:before_train 5", "a:after_train 5"]


def test_after_train_is_said_to_every_hook_whatever_happened():
    log, trainer = [], Counting()

    def fail(trainer):
        raise ValueError("first")

    def fail_too(trainer):
        raise RuntimeError("second")

    trainer.register_hooks(
        [CallbackHook(before_step=fail), CallbackHook(after_train=fail_too), Telling("a", log)]
    )
    with pytest.raises(ValueError, match="first") as caught:
        trainer.train(0, 3)
    assert log[-1] == "a:after_train 0"
    assert any("second" in note for note in caught.value.__notes__)


def test_after_train_comes_also_when_before_train_failed():
    log, trainer = [], Counting()

    def fail(trainer):
        raise ValueError("early")

    trainer.register_hooks([CallbackHook(before_train=fail), Telling("a", log)])
    with pytest.raises(ValueError, match="early"):
        trainer.train(0, 3)
    assert log == ["a:after_train 0"]


def test_an_error_of_a_hook_at_the_end_does_not_keep_the_others_from_ending():
    log, trainer = [], Counting()

    def fail(trainer):
        raise ValueError("at the end")

    trainer.register_hooks([CallbackHook(after_train=fail), Telling("a", log)])
    with pytest.raises(ValueError, match="at the end"):
        trainer.train(0, 1)
    assert log[-1] == "a:after_train 1"


def test_methods_of_a_subclass_are_called_where_the_hooks_would_be():
    log = []

    class Mine(Counting):
        def before_step(self):
            log.append("mine before")
            super().before_step()

        def after_step(self):
            super().after_step()
            log.append("mine after")

    trainer = Mine()
    trainer.register_hooks([Telling("a", log)])
    trainer.train(0, 1)
    assert log[1:-1] == ["mine before", "a:before_step 0", "a:after_step 0", "mine after"]


def test_a_hook_can_ask_for_an_early_end():
    trainer = Counting()
    trainer.register_hooks(
        [CallbackHook(after_step=lambda t: t.iter == 2 and t.requests.stop("enough"))]
    )
    trainer.train(0, 10)
    assert trainer.iter == 3


def test_several_stateful_hooks_of_one_class_keep_their_states_apart():
    class Memory(HookBase):
        def __init__(self, value):
            self.value = value

        def state_dict(self):
            return {"value": self.value}

        def load_state_dict(self, state):
            self.value = state["value"]

    first, second = Counting(), Counting()
    first.register_hooks([Memory(1), Memory(2)])
    second.register_hooks([Memory(0), Memory(0)])
    second.load_state_dict(first.state_dict())
    assert [hook.value for hook in second._hooks] == [1, 2]


def test_a_state_without_its_hook_is_named(caplog):
    class Memory(HookBase):
        def state_dict(self):
            return {"value": 1}

    trainer = Counting()
    trainer.register_hooks([Memory()])
    with caplog.at_level("WARNING", "loopwright.trainer"):
        Counting().load_state_dict(trainer.state_dict())
    assert "Memory" in caplog.text


def test_mmengines_hooks_run_on_a_trainer():
    seen = []

    class Watch(Hook):
        priority = "HIGH"

        def before_train_iter(self, runner, batch_idx, data_batch=None):
            seen.append((runner.iter, batch_idx, tuple(data_batch.shape)))

        def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
            seen.append(sorted(outputs))

        def after_train(self, runner):
            seen.append((runner.iter, runner.max_iters, runner.epoch))

    model = TwoLosses()
    trainer = SimpleTrainer(model, batches(), sgd(model))
    trainer.register_hooks([Watch()])
    trainer.train(0, 2)
    losses = ["loss_fit", "loss_size"]
    assert seen == [(0, 0, (3, 4)), losses, (1, 1, (3, 4)), losses, (2, 2, 0)]


def test_what_a_trainer_lacks_is_said_to_a_hook_of_mmengine():
    class Wants(Hook):
        def before_train(self, runner):
            runner.val_evaluator  # noqa: B018

    trainer = Counting()
    trainer.register_hooks([Wants()])
    with pytest.raises(AttributeError, match="not a Runner: it has no 'val_evaluator'"):
        trainer.train(0, 1)
