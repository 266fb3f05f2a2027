"""DefaultTrainer: from a config of either kind, with parts overridden."""

import json
import os

import pytest
import torch
from torch import nn

from loopwright.config import Config, ConfigError
from loopwright.evaluation import DatasetEvaluator
from loopwright.files import Locked
from loopwright.log import JSONWriter
from loopwright.trainer import (
    AMPTrainer,
    CallbackHook,
    DefaultTrainer,
    HookBase,
    LazyCall,
    SimpleTrainer,
)
from loopwright.trainer.sources import source_of


def samples(count=24):
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(count, 4, generator=generator)
    return [(x, int(x[0] > 0)) for x in inputs]


def mm_config(folder, **more):
    loader = {"dataset": samples(), "batch_size": 4, "collate_fn": {"type": "default_collate"}}
    wrapper = {"type": "OptimWrapper", "optimizer": {"type": "SGD", "lr": 0.5}}
    cfg = {
        "model": {"type": "Linear", "in_features": 4, "out_features": 2},
        "loss": {"type": "CrossEntropyLoss"},
        "work_dir": str(folder),
        "train_dataloader": {**loader, "sampler": {"type": "DefaultSampler", "shuffle": True}},
        "train_cfg": {"by_epoch": True, "max_epochs": 5, "val_interval": 1},
        "optim_wrapper": wrapper,
        "param_scheduler": {"type": "LinearLR", "start_factor": 0.1, "end": 6, "by_epoch": False},
        "val_dataloader": {**loader, "sampler": {"type": "DefaultSampler", "shuffle": False}},
        "val_evaluator": {"type": "Accuracy"},
        "val_cfg": {"type": "ValLoop"},
        "randomness": {"seed": 1},
    }
    return Config(cfg | more)


class Net(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.fc = nn.Linear(4, width)

    def forward(self, batch):
        out = self.fc(batch)
        return {"loss": out.square().mean()} if self.training else out


class MeanNorm(DatasetEvaluator):
    def reset(self):
        self.seen = []

    def process(self, inputs, outputs):
        self.seen.append(outputs.norm().item())

    def evaluate(self):
        return {"size": {"norm": sum(self.seen) / len(self.seen)}}


def some_batches():
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(3, 4, generator=generator) for _ in range(5)]


def lazy_config(folder, **train):
    from loopwright.optim.where import CosineParamScheduler

    return Config(
        {
            "model": LazyCall(Net)(width=2),
            "dataloader": {
                "train": LazyCall(some_batches)(),
                "test": LazyCall(some_batches)(),
                "evaluator": LazyCall(MeanNorm)(),
            },
            "optimizer": LazyCall(torch.optim.SGD)(lr=0.1),
            "lr_multiplier": LazyCall(CosineParamScheduler)(start_value=1.0, end_value=0.0),
            "train": {"output_dir": str(folder), "max_iter": 20, "seed": 2, **train},
        }
    )


def metrics(folder):
    with open(os.path.join(folder, "metrics.json"), encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def test_a_config_of_mmengines_keys_trains_evaluates_and_saves(tmp_path):
    trainer = DefaultTrainer(mm_config(tmp_path))
    trainer.resume_or_load(resume=False)
    results = trainer.train()
    assert trainer.iter == trainer.max_iter == 30
    assert results["accuracy/top1"] > 80
    told = [line["iteration"] for line in metrics(tmp_path) if "accuracy/top1" in line]
    assert told == [5, 11, 17, 23, 30]
    assert (tmp_path / "model_final.pth").exists()
    assert trainer.optimizer.param_groups[0]["lr"] == pytest.approx(0.5)


def test_a_lazy_config_trains_evaluates_and_saves(tmp_path):
    trainer = DefaultTrainer(lazy_config(tmp_path, eval_period=10, log_period=5))
    results = trainer.train()
    assert set(results) == {"size"}
    told = metrics(tmp_path)
    assert [line["iteration"] for line in told if "size/norm" in line] == [9, 20]
    assert [line["iteration"] for line in told if "total_loss" in line] == [4, 9, 14, 19]
    assert trainer.optimizer.param_groups[0]["lr"] == pytest.approx(0.0)


def test_hooks_come_in_the_order_that_its_reasons_ask_for(tmp_path):
    trainer = DefaultTrainer(lazy_config(tmp_path))
    assert [type(hook).__name__ for hook in trainer._hooks] == [
        "IterationTimer",
        "LRScheduler",
        "PeriodicCheckpointer",
        "EvalHook",
        "PeriodicWriter",
    ]


def test_after_backward_is_called_under_a_default_trainer(tmp_path):
    calls = []
    trainer = DefaultTrainer(lazy_config(tmp_path))
    trainer.register_hooks([CallbackHook(after_backward=lambda t: calls.append(t.iter))])
    trainer.train()
    assert calls == list(range(20))


def test_a_hook_added_behind_the_writer_is_still_written(tmp_path):
    trainer = DefaultTrainer(lazy_config(tmp_path, log_period=5))
    end = CallbackHook(after_train=lambda t: t.storage.put_scalar("tta", 1.0))
    trainer.register_hooks([end])
    trainer.train()
    assert metrics(tmp_path)[-1]["tta"] == 1.0


def test_a_run_goes_on_from_its_last_checkpoint(tmp_path):
    class Killed(HookBase):
        def before_step(self):
            if self.trainer.iter == 13:
                raise KeyboardInterrupt

    whole = DefaultTrainer(lazy_config(tmp_path / "whole", checkpointer={"period": 5}))
    whole.train()
    first = DefaultTrainer(lazy_config(tmp_path / "parts", checkpointer={"period": 5}))
    first.register_hooks([Killed()])
    with pytest.raises(KeyboardInterrupt):
        first.train()
    (tmp_path / "parts" / "model_0000012.pth").unlink()  # a kill leaves no time to write it
    again = DefaultTrainer(lazy_config(tmp_path / "parts", checkpointer={"period": 5}))
    again.resume_or_load(resume=True)
    assert again.start_iter == 10
    again.train()
    pairs = zip(whole.model.parameters(), again.model.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert metrics(tmp_path / "whole") == metrics(tmp_path / "parts")


def test_parts_are_methods_to_override(tmp_path):
    class Mine(DefaultTrainer):
        @classmethod
        def build_model(cls, cfg):
            return Net(3)

        @classmethod
        def build_evaluator(cls, cfg, dataset_name):
            assert dataset_name == "test"
            return [MeanNorm()]

        @classmethod
        def build_optimizer(cls, cfg, model):
            return torch.optim.Adam(model.parameters(), lr=0.01)

        @classmethod
        def build_lr_scheduler(cls, cfg, optimizer):
            return None

        def build_writers(self):
            return [JSONWriter(os.path.join(self.output_dir, "mine.json"))]

    trainer = Mine(lazy_config(tmp_path))
    trainer.train()
    assert trainer.model.fc.out_features == 3
    assert isinstance(trainer.optimizer, torch.optim.Adam)
    assert (tmp_path / "mine.json").exists()
    assert not (tmp_path / "metrics.json").exists()


def test_a_step_of_ones_own_drives_the_trainer_inside(tmp_path):
    steps = []

    class Mine(DefaultTrainer):
        def run_step(self):
            self._trainer.iter = self.iter
            self._trainer.run_step()
            steps.append(self.iter)

    Mine(lazy_config(tmp_path)).train()
    assert steps == list(range(20))


def test_amp_is_one_key(tmp_path):
    trainer = DefaultTrainer(lazy_config(tmp_path, amp={"enabled": True}))
    assert type(trainer._trainer) is AMPTrainer
    assert type(DefaultTrainer(lazy_config(tmp_path))._trainer) is SimpleTrainer


def test_expected_results_are_checked(tmp_path):
    wanted = [["size", "norm", 1e9, 1.0]]
    with pytest.raises(SystemExit):
        DefaultTrainer(lazy_config(tmp_path, expected_results=wanted)).train()


def test_custom_hooks_of_the_config_run_by_their_priority(tmp_path):
    cfg = mm_config(tmp_path, custom_hooks=[{"type": "EmptyCacheHook", "priority": "HIGHEST"}])
    trainer = DefaultTrainer(cfg)
    assert type(trainer._hooks[0]).__name__ == "EmptyCacheHook"


def test_a_config_of_no_kind_says_what_is_wanted():
    with pytest.raises(ConfigError, match=r"MMEngine's keys .* lazy config .*get_cfg.*; got data"):
        source_of({"data": {}})


def test_a_misspelt_key_of_train_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"train\.eval_perod.*did you mean 'eval_period'"):
        DefaultTrainer(lazy_config(tmp_path, eval_perod=3))


def test_a_config_for_other_processes_is_scaled(tmp_path):
    cfg = lazy_config(tmp_path, reference_world_size=2, eval_period=10)
    trainer = DefaultTrainer(cfg)
    assert trainer.max_iter == 40
    assert trainer.settings.eval_period == 20
    assert trainer.optimizer.param_groups[0]["lr"] == 0.05
    assert cfg["train"]["max_iter"] == 20, "the config given stays"


def test_two_runs_do_not_write_into_one_folder(tmp_path):
    first, second = DefaultTrainer(lazy_config(tmp_path)), DefaultTrainer(lazy_config(tmp_path))
    first.register_hooks([CallbackHook(before_train=lambda t: second.train())])
    with pytest.raises(Locked):
        first.train()
