"""The hooks of a trainer, each by what it does and by the mistake it does not make."""

import json
import logging
from itertools import pairwise

import pytest
import torch
from torch import nn
from trainer_models import TwoLosses, batches, sgd

from loopwright.evaluation import DatasetEvaluator, inference_on_dataset
from loopwright.log import CommonMetricPrinter, EventWriter, JSONWriter
from loopwright.optim.where import (
    CosineParamScheduler,
    LRMultiplier,
    MultiStepParamScheduler,
    StepWithFixedGammaParamScheduler,
    WarmupParamScheduler,
)
from loopwright.trainer import (
    AutogradProfiler,
    CallbackHook,
    EvalHook,
    IterationTimer,
    LRScheduler,
    PeriodicWriter,
    PreciseBN,
    SimpleTrainer,
    TorchMemoryStats,
    TorchProfiler,
)


def trained(hooks, iterations, model=None, start=0):
    model = model or TwoLosses()
    trainer = SimpleTrainer(model, batches(), sgd(model))
    trainer.register_hooks(hooks)
    trainer.train(start, iterations)
    return trainer


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def put(name, when=lambda i: True, value=float):
    return CallbackHook(
        after_step=lambda t: when(t.iter) and t.storage.put_scalar(name, value(t.iter), False)
    )


def test_the_timer_tells_all_but_the_first_two_iterations():
    trainer = trained([IterationTimer()], 50)
    assert trainer.storage.history("time").number == 48


def test_the_timer_says_the_overall_speed(caplog):
    with caplog.at_level(logging.INFO, "loopwright.trainer"):
        trained([IterationTimer()], 10)
    assert "Overall training speed: 8 iterations in " in caplog.text
    assert "s / it)" in caplog.text
    assert "Total training time: " in caplog.text


@pytest.mark.parametrize("behind", [False, True])
@pytest.mark.parametrize("period", [1, 7, 20])
def test_no_scalar_is_lost_whatever_the_order_of_hooks_and_the_period(tmp_path, behind, period):
    writer = PeriodicWriter([JSONWriter(tmp_path / "metrics.json")], period=period)
    rare = put("rare", lambda i: (i + 1) % 7 == 0)
    last = CallbackHook(after_train=lambda t: t.storage.put_scalar("end", 1.0))
    trained([writer, rare, last] if behind else [rare, last, writer], 100)
    told = [
        (line["iteration"], line["rare"])
        for line in lines(tmp_path / "metrics.json")
        if "rare" in line
    ]
    assert told == [(i, float(i)) for i in range(6, 100, 7)]
    assert [line["iteration"] for line in lines(tmp_path / "metrics.json") if "end" in line] == [
        100
    ]


def test_losses_reach_the_file_with_asynchronous_metrics_and_a_period_of_one(tmp_path):
    model = TwoLosses()
    trainer = SimpleTrainer(model, batches(), sgd(model), async_write_metrics=True)
    trainer.register_hooks(
        [
            LRScheduler(scheduler=CosineParamScheduler(1, 0)),
            PeriodicWriter([JSONWriter(tmp_path / "m.json")], 1),
        ]
    )
    trainer.train(0, 30)
    assert [line["iteration"] for line in lines(tmp_path / "m.json") if "total_loss" in line] == [
        *range(30)
    ]


def test_a_writer_that_fails_is_dropped_and_training_goes_on(tmp_path, caplog):
    class Broken(EventWriter):
        def write(self):
            raise OSError("disk full")

    trained([PeriodicWriter([Broken(), JSONWriter(tmp_path / "m.json")], 5)], 10)
    assert [line["iteration"] for line in lines(tmp_path / "m.json")] == [4, 9]
    assert "Broken failed and is dropped" in caplog.text


def test_two_writes_in_one_iteration_without_a_timer_do_no_harm():
    printer = CommonMetricPrinter(10)
    twice = CallbackHook(after_step=lambda t: (printer.write(), printer.write()))
    assert trained([twice], 3).iter == 3


def test_the_lr_told_is_the_one_that_was_used(tmp_path):
    writer = PeriodicWriter([JSONWriter(tmp_path / "m.json")], period=1)
    trained([LRScheduler(scheduler=CosineParamScheduler(1, 0)), writer], 4)
    rates = [line["lr"] for line in lines(tmp_path / "m.json") if "lr" in line]
    expected = [0.1 * CosineParamScheduler(1, 0)(i / 4) for i in range(4)]
    assert rates == pytest.approx(expected)


def test_the_fixed_gamma_warm_up_schedule_can_finish():
    steps = StepWithFixedGammaParamScheduler(1.0, 2, 0.1, 10)
    schedule = WarmupParamScheduler(steps, 0.1, 0.2, "linear", rescale_interval=True)
    trainer = trained([LRScheduler(scheduler=schedule)], 10)
    assert trainer.iter == 10
    assert trainer.optimizer.param_groups[0]["lr"] == pytest.approx(0.1 * 0.01)


def test_a_multi_step_schedule_may_be_run_past_its_end():
    schedule = MultiStepParamScheduler([1.0, 0.1], milestones=[3, 5])
    model = TwoLosses()
    optimizer = sgd(model)
    multiplier = LRMultiplier(optimizer, schedule, max_iter=5)
    trainer = SimpleTrainer(model, batches(), optimizer)
    trainer.register_hooks([LRScheduler(optimizer, multiplier)])
    trainer.train(0, 9)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.01)


def test_an_extended_run_goes_on_at_the_lr_it_had_and_says_so():
    rates = []

    def run(start, end, state=None):
        model = TwoLosses()
        trainer = SimpleTrainer(model, batches(), sgd(model))
        trainer.register_hooks(
            [
                LRScheduler(scheduler=CosineParamScheduler(1, 0.01)),
                CallbackHook(before_step=lambda t: rates.append(t.optimizer.param_groups[0]["lr"])),
            ]
        )
        if state is not None:
            trainer.load_state_dict(state)
        trainer.train(start, end)
        return trainer.state_dict()

    state = run(0, 20)
    with pytest.warns(UserWarning, match="was 20 iterations long and is 40 now"):
        run(20, 40, state)
    jumps = [abs(b - a) for a, b in pairwise(rates)]
    assert max(jumps) < 0.011, "no step is larger than the steepest of the schedule"
    assert rates[20] == pytest.approx(0.001)


def test_a_resumed_run_has_the_rates_of_the_uninterrupted_one():
    def run(start, stop_at, rates, state=None):
        model = TwoLosses()
        trainer = SimpleTrainer(model, batches(), sgd(model))
        states = []

        def watch(trainer):
            states.append(trainer.state_dict())
            if trainer.iter == stop_at:
                trainer.requests.stop("killed")

        trainer.register_hooks(
            [
                LRScheduler(scheduler=CosineParamScheduler(1, 0)),
                CallbackHook(
                    before_step=lambda t: rates.append(t.optimizer.param_groups[0]["lr"]),
                    after_step=watch,
                ),
            ]
        )
        if state is not None:
            trainer.load_state_dict(state)
        trainer.train(start, 12)
        return states[-1]

    whole: list[float] = []
    parts: list[float] = []
    run(0, None, whole)
    run(5, None, parts, run(0, 4, parts))
    assert parts == whole


def test_torchs_schedulers_step_every_iteration():
    model = TwoLosses()
    optimizer = sgd(model)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 5, gamma=0.5)
    trainer = SimpleTrainer(model, batches(), optimizer)
    trainer.register_hooks([LRScheduler(optimizer, scheduler)])
    trainer.train(0, 10)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.025)


def test_a_torch_scheduler_that_was_meant_for_epochs_is_refused():
    model = TwoLosses()
    optimizer = sgd(model)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 3)
    trainer = SimpleTrainer(model, batches(), optimizer)
    trainer.register_hooks([LRScheduler(optimizer, scheduler)])
    with pytest.raises(ValueError, match="count its steps in iterations"):
        trainer.train(0, 30)


def test_reduce_on_plateau_is_refused_with_the_way_out():
    model = TwoLosses()
    optimizer = sgd(model)
    trainer = SimpleTrainer(model, batches(), optimizer)
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer)
    trainer.register_hooks([LRScheduler(optimizer, plateau)])
    with pytest.raises(TypeError, match="after evaluations"):
        trainer.train(0, 2)


def test_evaluations_stand_at_the_iteration_that_ended_and_the_last_at_the_end(tmp_path):
    writer = PeriodicWriter([JSONWriter(tmp_path / "m.json")])
    trained([EvalHook(15, lambda: {"bbox": {"AP": 1.0}, "n": 2}), writer], 45)
    told = [line for line in lines(tmp_path / "m.json") if "bbox/AP" in line]
    assert [line["iteration"] for line in told] == [14, 29, 45]
    assert told[0]["n"] == 2.0


def test_a_training_that_failed_in_its_last_iteration_is_not_evaluated():
    calls = []

    def fail(trainer):
        if trainer.iter == 4:
            raise ValueError("last")

    with pytest.raises(ValueError, match="last"):
        trained([EvalHook(0, lambda: calls.append(1)), CallbackHook(after_step=fail)], 5)
    assert calls == []


def test_results_that_are_no_numbers_are_refused():
    with pytest.raises(ValueError, match="'a/b' is 'text'"):
        trained([EvalHook(1, lambda: {"a": {"b": "text"}})], 2)


class Failing(DatasetEvaluator):
    def process(self, inputs, outputs):
        raise ValueError("bad evaluator")


def test_modes_are_restored_after_an_evaluation_and_after_its_failure():
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
    model.train()
    model[1].eval()  # frozen on purpose
    inference_on_dataset(model, batches(), None)
    assert [m.training for m in model] == [True, False]
    with pytest.raises(ValueError, match="bad evaluator"):
        inference_on_dataset(model, batches(), Failing())
    assert model.training
    assert [m.training for m in model] == [True, False]


class Normed(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.bn, self.fc = nn.BatchNorm1d(4), nn.Linear(4, 1)

    def forward(self, batch):
        return {"loss": self.fc(self.bn(batch)).square().mean()}


def test_precise_statistics_are_those_of_all_samples():
    model = Normed()
    data = batches(5)
    trained([PreciseBN(10, model, data * 2, 5)], 10, model=model)
    seen = torch.cat(data)
    assert torch.allclose(model.bn.running_mean, seen.mean(0), atol=1e-6)
    assert torch.allclose(model.bn.running_var, seen.var(0), atol=1e-5)


def test_precise_bn_does_nothing_for_a_model_without_batch_norm():
    model = TwoLosses()
    trained([PreciseBN(1, model, [], 5)], 2, model=model)


def test_callbacks_get_the_trainer_at_every_point():
    seen = []
    points = ("before_train", "before_step", "after_backward", "after_step", "after_train")
    hook = CallbackHook(**{p: lambda t, p=p: seen.append((p, t.iter)) for p in points})
    trained([hook], 1)
    assert seen == [(p, 0) for p in points[:-1]] + [("after_train", 1)]


def test_a_profile_is_written_for_the_iterations_asked_for(tmp_path):
    hook = TorchProfiler(lambda t: t.iter == 2, str(tmp_path), save_tensorboard=False)
    older = AutogradProfiler(lambda t: t.iter == 1, str(tmp_path))
    trained([older, hook, TorchMemoryStats()], 4)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"profiler-trace-iter1.json", "profiler-trace-iter2.json"}
