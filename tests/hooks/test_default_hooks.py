"""The hooks that every run has: what they tell and when."""

import json

import pytest

from loopwright.hooks import Hook

ITERS = {"type": "IterBasedTrainLoop", "max_iters": 5, "val_interval": 2}


def lines(runner, tag="train"):
    with open(f"{runner.work_dir}/metrics.jsonl", encoding="utf-8") as file:
        return [e for e in map(json.loads, file) if e["tag"] == tag]


def test_the_default_hooks_run_in_the_order_of_their_priorities(make):
    names = [type(h).__name__ for h in make().hooks]
    assert names == [
        "RuntimeInfoHook",
        "FiniteLossHook",
        "IterTimerHook",
        "DistSamplerSeedHook",
        "LoggerHook",
        "ParamSchedulerHook",
        "CheckpointHook",
    ]


def test_a_runner_lists_its_hooks_with_the_numbers_that_order_them(make):
    told = make().get_hooks_info().splitlines()
    assert told[0] == "( 10) RuntimeInfoHook"
    assert told[-1] == "( 90) CheckpointHook"


def test_a_hook_knows_the_last_batch_and_the_last_iteration(run):
    ends = []

    class Ends(Hook):
        def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
            last = self.end_of_epoch(runner.train_dataloader, batch_idx)
            ends.append((last, self.is_last_train_iter(runner)))

    run(custom_hooks=[Ends()])
    assert [epoch for epoch, _ in ends] == [False, False, True] * 2
    assert [training for _, training in ends] == [False] * 5 + [True]


def test_the_logger_records_every_interval_and_what_is_left_at_the_end(run):
    runner = run(train_cfg=ITERS, default_hooks={"logger": {"type": "LoggerHook", "interval": 2}})
    assert [entry["iter"] for entry in lines(runner)] == [2, 4, 5]
    assert [entry["iter"] for entry in lines(runner, "val")] == [2, 4, 5]


def test_an_epoch_shorter_than_the_interval_is_recorded_at_its_end(run):
    assert [entry["iter"] for entry in lines(run())] == [3, 6]


def test_the_last_batches_are_recorded_when_ignore_last_is_off(run):
    logger = {"type": "LoggerHook", "interval": 2, "ignore_last": False}
    assert [e["iter"] for e in lines(run(default_hooks={"logger": logger}))] == [2, 3, 5, 6]


def test_the_loss_told_is_the_mean_of_its_window(run):
    class Losses(Hook):
        seen = []

        def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
            self.seen.append(float(outputs["loss"]))

    entries = lines(run(custom_hooks=[Losses()]))
    assert entries[0]["loss"] == pytest.approx(sum(Losses.seen[:3]) / 3)
    assert entries[1]["loss"] == pytest.approx(sum(Losses.seen) / 6)


def test_every_record_carries_where_the_run_was(run):
    entry = lines(run())[-1]
    assert (entry["iter"], entry["epoch"], entry["step"], entry["samples"]) == (6, 2, 6, 24)


def test_accumulation_counts_steps_of_the_optimizer(run):
    wrapper = {
        "type": "OptimWrapper",
        "optimizer": {"type": "SGD", "lr": 0.1},
        "accumulative_counts": 3,
    }
    assert lines(run(optim_wrapper=wrapper))[-1]["step"] == 2


@pytest.mark.parametrize("priority", ["HIGHEST", "NORMAL", "LOWEST"])
def test_a_scalar_put_by_any_hook_in_any_order_is_written(run, priority):
    class Puts(Hook):
        def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
            runner.storage.put_scalar("train/mine", float(runner.iter))

    hook = Puts()
    hook.priority = priority
    found = [value for entry in lines(run(custom_hooks=[hook])) for value in [entry.get("mine")]]
    assert any(value is not None for value in found)


def test_a_scalar_put_after_the_last_record_is_written(run):
    class Late(Hook):
        priority = "HIGHEST"

        def after_train(self, runner):
            runner.storage.put_scalar("train/late", 7.0)

    assert any(entry.get("late") == 7.0 for entry in lines(run(custom_hooks=[Late()])))


def test_the_rate_told_is_the_one_the_update_used(run):
    schedule = {"type": "MultiStepLR", "milestones": [1], "by_epoch": True}
    entries = lines(run(param_scheduler=[schedule]))
    assert [entry["lr"] for entry in entries] == pytest.approx([0.1, 0.01])


def test_iteration_schedules_step_after_each_iteration(run):
    schedule = {"type": "MultiStepLR", "milestones": [2], "by_epoch": False}
    runner = run(param_scheduler=[schedule], train_cfg=ITERS)
    assert runner.storage.history("train/lr").tail(9) == pytest.approx([0.1, 0.1, *[0.01] * 3])


def test_the_hub_knows_seed_name_and_lengths(run):
    hub = run().message_hub
    assert hub.get_info("seed") == 0
    assert hub.get_info("max_iters") == 6
    assert hub.get_info("loop_stage") == "train"


def test_times_are_put_for_every_iteration_and_go_to_the_timing_file(run):
    runner = run()
    assert runner.storage.history("train/time").number == 6
    assert runner.storage.history("train/data_time").number == 6
    assert "time" not in lines(runner)[-1]
    with open(f"{runner.work_dir}/timing.jsonl", encoding="utf-8") as file:
        assert "time" in json.loads(file.readline())


def test_a_test_leaves_its_metrics_in_the_log_folder(make):
    runner = make(train_cfg=None, train_dataloader=None, optim_wrapper=None)
    found = runner.test()
    with open(f"{runner.log_dir}/test_metrics.json", encoding="utf-8") as file:
        assert json.load(file) == pytest.approx(found)


def test_each_epoch_is_shuffled_anew(run):
    class Order(Hook):
        seen = []

        def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
            self.seen.append(data_batch["inputs"].sum().item())

    run(custom_hooks=[Order()])
    assert Order.seen[:3] != Order.seen[3:]
    assert sum(Order.seen[:3]) == pytest.approx(sum(Order.seen[3:]), rel=1e-4)


def test_logs_are_copied_where_out_dir_says(run, tmp_path):
    logger = {"type": "LoggerHook", "interval": 10, "out_dir": str(tmp_path / "copy")}
    run(default_hooks={"logger": logger})
    names = {p.name for p in (tmp_path / "copy" / "run").iterdir()}
    assert {"metrics.jsonl", "metrics.csv", "config.py"} <= names
