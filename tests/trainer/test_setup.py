"""Scripts: arguments, folders, loggers, several processes."""

import json
import logging
import os
from contextvars import copy_context
from pathlib import Path

import pytest
import torch
from torch import nn
from trainer_models import Spoils, TwoLosses, batches, sgd

from loopwright import dist
from loopwright.config import Config
from loopwright.registry import RefusedNameError
from loopwright.trainer import (
    HookBase,
    SimpleTrainer,
    create_ddp_model,
    default_argument_parser,
    default_setup,
    default_writers,
    instantiate,
    launch,
    setup_logger,
)


def test_a_script_is_told_which_packages_lazy_configs_may_name(tmp_path):
    def script():
        args = default_argument_parser().parse_args(["--allow", "statistics", "train.seed=1"])
        default_setup({"train": {"output_dir": str(tmp_path)}}, args)
        return instantiate({"_target_": "statistics.NormalDist", "mu": 3.0}).mean

    assert copy_context().run(script) == 3.0
    with pytest.raises(RefusedNameError):
        instantiate({"_target_": "statistics.NormalDist"})


def test_the_arguments_of_a_script():
    args = default_argument_parser().parse_args(
        ["--config-file", "a.py", "--resume", "--num-gpus", "2", "train.max_iter=5", "~lr"]
    )
    assert (args.config_file, args.resume, args.eval_only, args.num_gpus) == (
        "a.py",
        True,
        False,
        2,
    )
    assert args.opts == ["train.max_iter=5", "~lr"]


def test_the_setup_writes_log_and_config_and_seeds(tmp_path):
    cfg = {"train": {"output_dir": str(tmp_path), "seed": 4}, "model": {"_target_": nn.Linear}}
    default_setup(cfg, default_argument_parser().parse_args([]))
    first = torch.rand(1)
    default_setup(cfg, default_argument_parser().parse_args([]))
    assert torch.equal(first, torch.rand(1))
    assert "torch.nn.modules.linear.Linear" in (tmp_path / "config.yaml").read_text()
    assert "command line arguments" in (tmp_path / "log.txt").read_text()


def test_the_setup_takes_configs_of_every_kind_and_writes_objects_as_text(tmp_path):
    args = default_argument_parser().parse_args([])
    plain = Config({"work_dir": str(tmp_path / "plain"), "randomness": {"seed": 1}})
    default_setup(plain, args)
    assert Config.fromfile(tmp_path / "plain" / "config.yaml").randomness.seed == 1
    default_setup({"work_dir": str(tmp_path / "held"), "model": nn.Linear(2, 3)}, args)
    assert "in_features=2" in (tmp_path / "held" / "config.txt").read_text()
    assert "went to config.txt as text" in (tmp_path / "held" / "log.txt").read_text()


def test_the_logger_writes_one_file_a_rank(tmp_path):
    logger = setup_logger(str(tmp_path), distributed_rank=1, name="loopwright_test_ranks")
    logger.info("hello")
    setup_logger(str(tmp_path), distributed_rank=1, name="loopwright_test_ranks").info("again")
    text = (tmp_path / "log.txt.rank1").read_text()
    assert text.count("hello") == text.count("again") == 1
    logging.getLogger("loopwright_test_ranks").handlers.clear()


def test_the_default_writers_write_into_the_folder(tmp_path):
    kinds = [type(writer).__name__ for writer in default_writers(str(tmp_path), 10)]
    assert kinds[:2] == ["CommonMetricPrinter", "JSONWriter"]


def test_alone_a_model_stays_itself_and_main_is_called_here():
    model = TwoLosses()
    assert create_ddp_model(model) is model
    assert launch(lambda a, b: (a, b, os.getpid()), 1, args=(1, 2)) == (1, 2, os.getpid())


def test_auto_is_for_one_machine():
    with pytest.raises(ValueError, match="tcp://host:port"):
        launch(print, 2, num_machines=2, dist_url="auto")


class Remember(HookBase):
    def after_train(self):
        latest = self.trainer.storage.latest()
        self.trainer.kept = {name: value for name, (value, _) in latest.items()}


def two_ranks(folder):
    """Each rank trains on half of each batch; the result of each goes into a file."""
    torch.set_num_threads(1)
    rank, model = dist.get_rank(), TwoLosses()
    data = [batch[rank::2] for batch in [torch.cat([b, b[:1]]) for b in batches()]]
    wrapped = create_ddp_model(model)
    trainer = SimpleTrainer(wrapped, data, sgd(wrapped), gather_metric_period=2)
    trainer.register_hooks([Remember()])
    trainer.train(0, 4)
    weight = model.fc.weight.flatten().tolist()
    said = spoiled(rank, data)
    Path(folder, f"{rank}.json").write_text(json.dumps([weight, trainer.kept, said]))


def spoiled(rank, data):
    """What each rank says when the loss of rank 1 is NaN from iteration 2 on."""
    wrapped = create_ddp_model(Spoils(at=2) if rank == 1 else TwoLosses())
    trainer = SimpleTrainer(wrapped, data, sgd(wrapped), gather_metric_period=2)
    try:
        trainer.train(0, 8)
    except FloatingPointError as error:
        return str(error)
    return "nothing"


def test_two_processes_share_gradients_and_losses(tmp_path, monkeypatch):
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    launch(two_ranks, 2, args=(str(tmp_path),))
    (w0, kept0, said0), (w1, kept1, said1) = (
        json.loads((tmp_path / f"{r}.json").read_text()) for r in (0, 1)
    )
    assert w0 == w1
    assert said0 == said1, "both stop, at the same iteration"
    assert "iteration 2 (0-based)" in said0
    assert "loss_size is not finite" in said0
    assert kept0 == kept1
    alone = TwoLosses()
    trainer = SimpleTrainer(alone, [torch.cat([b, b[:1]]) for b in batches()], sgd(alone))
    trainer.train(0, 4)
    assert w0 == pytest.approx(alone.fc.weight.flatten().tolist(), abs=1e-6)
    assert kept0["total_loss"] == pytest.approx(trainer.storage.latest()["total_loss"][0], abs=1e-6)
