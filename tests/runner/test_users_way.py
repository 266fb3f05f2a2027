"""What a user types: the README's files, the commands, loops and optimizers of one's own."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils.data import Dataset

from loopwright.config import Config
from loopwright.log import MessageHub
from loopwright.model import BaseModel
from loopwright.registry import LOOPS
from loopwright.runner import BaseLoop, EpochBasedTrainLoop, Runner

README = Path(__file__).parents[2] / "README.md"


def loopwright(folder, *words):
    return subprocess.run(
        [sys.executable, "-m", "loopwright.cli.main", *words],
        cwd=folder, capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """The README's two files in an empty folder."""
    folder = tmp_path_factory.mktemp("project")
    for name, text in re.findall(
        r"^```python\n# (\S+)\n(.*?)^```", README.read_text(), re.S | re.M
    ):
        (folder / name).write_text(text)
    return folder


def test_the_readmes_own_parts_train_validate_and_resume(project):
    done = loopwright(project, "train", "config.py")
    assert done.returncode == 0, done.stderr
    assert "epoch 2 is done" in done.stdout
    assert (project / "work_dirs" / "config" / "epoch_3").is_dir()
    done = loopwright(project, "val", "config.py")
    assert re.search(r"val error: \d", done.stdout), done.stderr
    done = loopwright(project, "train", "config.py", "--resume", "train_cfg.max_epochs=4")
    assert "epoch 3 is done" in done.stdout, done.stderr


def test_the_readmes_parts_are_planned_once_they_are_imported(project):
    done = loopwright(project, "plan", "config.py", "--import")
    assert done.returncode == 0, done.stdout


def test_own_parts_stay_under_forty_lines_of_readme_a_file():
    blocks = re.findall(r"^```python\n# \S+\n(.*?)^```", README.read_text(), re.S | re.M)
    assert all(block.count("\n") < 40 for block in blocks)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("+load_form=x.pth", "did you mean 'load_from'"),
        ("+randomness.seed=abc", "must be a whole number"),
        ("+expect_init=3fa1c0", "expect_init is 3fa1c0, but the initial parameters are"),
        ("train_dataloader.dataset.length=0", "empty"),
    ],
)
def test_a_mistake_ends_with_two_and_one_message(project, wrong, message):
    done = loopwright(project, "train", "config.py", "--work-dir", "wrong", wrong)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_an_option_that_lacks_its_section_says_which(project):
    done = loopwright(project, "train", "config.py", "--auto-scale-lr")
    assert done.returncode == 2
    assert "--auto-scale-lr needs auto_scale_lr in the config" in done.stderr


@LOOPS.register_module(force=True)
class OwnLoop(BaseLoop):
    """MMEngine's way: counters of its own, nothing of ours inside."""

    def __init__(self, runner, dataloader, max_epochs):
        super().__init__(runner, dataloader)
        self.max_epochs = max_epochs
        self.max_iters = max_epochs * len(self.dataloader)
        self._epoch = self._iter = 0

    def run(self):
        self.runner.call_hook("before_train")
        for _ in range(self.max_epochs):
            for idx, batch in enumerate(self.dataloader):
                self.runner.call_hook("before_train_iter", batch_idx=idx, data_batch=batch)
                outputs = self.runner.model.train_step(
                    batch, optim_wrapper=self.runner.optim_wrapper
                )
                self.runner.call_hook(
                    "after_train_iter", batch_idx=idx, data_batch=batch, outputs=outputs
                )
                self._iter += 1
            self._epoch += 1
        self.runner.call_hook("after_train")


def test_a_loop_that_shares_nothing_with_ours_trains(run):
    runner = run(train_cfg={"type": "OwnLoop", "max_epochs": 2})
    assert (runner.iter, runner.epoch) == (6, 2)


class TwoPlayers(BaseModel):
    def __init__(self):
        super().__init__()
        self.generator, self.critic = nn.Linear(64, 64), nn.Linear(64, 1)

    def forward(self, inputs, data_samples=None, mode="tensor"):
        return self.critic(self.generator(inputs.flatten(1)))

    def train_step(self, data, optim_wrapper):
        first = self(**data).square().mean()
        optim_wrapper["critic"].update_params(first)
        second = -self(**data).mean()
        optim_wrapper["generator"].update_params(second)
        return {"loss_critic": first.detach(), "loss_generator": second.detach()}


def test_two_optimizers_train_and_resume(run, config):
    part = {"optimizer": {"type": "SGD", "lr": 0.01}}
    wrapper = {
        "constructor": "MultiOptimWrapperConstructor",
        "generator": part,
        "critic": {**part, "accumulative_counts": 2},
    }
    runner = run(model=TwoPlayers(), optim_wrapper=wrapper)
    assert runner.iter == 6
    again = Runner.from_cfg(
        Config({**config, "model": TwoPlayers(), "optim_wrapper": wrapper, "resume": True})
    )
    again.train()
    assert all(
        torch.equal(a, b) for a, b in zip(runner.model.parameters(), again.model.parameters())
    )


def test_a_plain_optimizer_is_wrapped(run):
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
    runner = run(
        model=model, loss="CrossEntropyLoss",
        optim_wrapper=torch.optim.SGD(model.parameters(), lr=0.1),
    )  # fmt: skip
    assert runner.iter == 6


def test_a_misspelt_argument_of_the_runner_says_the_nearest():
    with pytest.raises(TypeError, match="did you mean 'train_cfg'"):
        Runner(model=nn.Linear(1, 1), trian_cfg={})


def test_mmengines_form_of_save_checkpoint_writes_elsewhere(run, tmp_path):
    runner = run()
    assert runner.save_checkpoint(str(tmp_path / "other"), "mine", by_epoch=None)
    assert (tmp_path / "other" / "mine").is_dir()


class Weighted(nn.Module):
    """Asks the hub, as MMEngine's models do, where the run stands."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 1)
        self.seen = []

    def forward(self, inputs):
        hub = MessageHub.get_current_instance()
        self.seen.append((hub.get_info("iter"), hub.get_info("dataset_meta")))
        return {"loss": self.layer(inputs).mean()}


class Named(Dataset):
    metainfo = {"classes": ("a", "b")}

    def __len__(self):
        return 3

    def __getitem__(self, index):
        return {"inputs": torch.ones(2)}


def trained(tmp_path, model, **train_cfg):
    runner = Runner(
        model=model,
        work_dir=tmp_path,
        train_dataloader=dict(dataset=Named(), batch_size=1),
        train_cfg=train_cfg,
        optim_wrapper=dict(optimizer=dict(type="SGD", lr=0.1)),
    )
    runner.train()
    return runner


def test_a_model_reads_the_iteration_and_the_classes_from_the_hub(tmp_path):
    model = Weighted()
    trained(tmp_path, model, by_epoch=True, max_epochs=1)
    assert model.seen == [(i, {"classes": ("a", "b")}) for i in range(3)]


class Counting(BaseLoop):
    """Counts by itself, behind properties of its own, as MMEngine's base loop wants it."""

    def __init__(self, runner, dataloader, rounds):
        super().__init__(runner, dataloader)
        self._epoch = self._iter = 0
        self._max_epochs, self._max_iters = 1, rounds

    max_epochs = property(lambda self: self._max_epochs)
    max_iters = property(lambda self: self._max_iters)
    epoch = property(lambda self: self._epoch)
    iter = property(lambda self: self._iter)

    def run(self):
        self.runner.call_hook("before_train")
        for batch in self.dataloader:
            self.runner.model.train_step(batch, optim_wrapper=self.runner.optim_wrapper)
            self._iter += 1
        self._epoch += 1
        self.runner.call_hook("after_train")


class Shortened(EpochBasedTrainLoop):
    def __init__(self, runner, dataloader, max_epochs):
        super().__init__(runner, dataloader, max_epochs)
        self._max_epochs = 1


def test_loops_may_keep_their_own_counters_and_limits(tmp_path):
    runner = trained(tmp_path / "own", Weighted(), type=Counting, rounds=3)
    assert (runner.iter, runner.epoch) == (3, 1)
    runner = trained(tmp_path / "short", Weighted(), type=Shortened, max_epochs=5)
    assert (runner.iter, runner.epoch, runner.max_epochs) == (3, 1, 1)
