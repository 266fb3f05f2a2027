"""``loopwright verify-resume`` says equal for an exact run and names what a run forgets."""

from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from lives import fork

from loopwright.checkpoint import Store
from loopwright.cli.train import command as train
from loopwright.cli.verify_resume import command, differences, first_line

CONFIG = """
custom_imports = dict(imports=["verify_toys"])
model = dict(type="VerifyNet")
train_dataloader = dict(
    batch_size=4, num_workers=0, dataset=dict(type="VerifySamples"),
    sampler=dict(type="DefaultSampler", shuffle=True), collate_fn=dict(type="default_collate"),
)
train_cfg = dict(type="EpochBasedTrainLoop", max_epochs=2)
optim_wrapper = dict(type="OptimWrapper", optimizer=dict(type="AdamW", lr=0.01))
default_hooks = dict(checkpoint=dict(type="CheckpointHook", interval=2, by_epoch=False))
randomness = dict(seed=1)
"""

TOYS = """
from loopwright.hooks import Hook
from loopwright.registry import DATASETS, HOOKS, MODELS
from toy import Net, Samples

MODELS.register_module(name="VerifyNet", module=Net, force=True)
DATASETS.register_module(name="VerifySamples", module=Samples, force=True)


@HOOKS.register_module(force=True)
class ForgetfulHook(Hook):
    seen = 0

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.seen += 1
        data_batch["inputs"] = data_batch["inputs"] * (1 + 0.01 * self.seen)
"""


@pytest.fixture
def verify(tmp_path, monkeypatch):
    """Runs the command in a child; its exit code and what it said."""
    (tmp_path / "verify_toys.py").write_text(TOYS)
    (tmp_path / "config.py").write_text(CONFIG)
    monkeypatch.syspath_prepend(str(tmp_path))

    def run(*arguments: str) -> tuple[int, str]:
        said = tmp_path / "said.txt"

        def job() -> None:
            work_dir = ["--work-dir", str(tmp_path / "work")]
            result = CliRunner().invoke(
                command, [str(tmp_path / "config.py"), "--kills", "2", *work_dir, *arguments]
            )
            said.write_text(result.output)
            raise SystemExit(result.exit_code)

        status = fork(job, output=tmp_path / "child.txt")
        told = said.read_text() if said.exists() else (tmp_path / "child.txt").read_text()
        return status >> 8, told

    return run


def test_an_exact_run_is_equal(verify):
    code, said = verify()
    assert code == 0, said
    assert "2 kills, each resumed" in said
    assert "equal" in said


def test_a_hook_that_forgets_is_found_out(verify):
    code, said = verify("+custom_hooks=[{type:ForgetfulHook}]")
    assert code == 1, said
    assert "DIFFERENT: state.state_dict.net.0.weight" in said


def test_differences_name_the_place_and_the_values():
    one = {"w": torch.tensor([1.0, 2.0]), "n": float("nan"), "x": 1}
    two = {"w": torch.tensor([1.0, 3.0]), "n": float("nan"), "y": 1}
    assert list(differences(one, two, "s")) == [
        "s.w: 1 of 2 values, first at 1: 2.0 and 3.0",
        "s.x is only in the straight run",
        "s.y is only in the killed run",
    ]


def test_the_first_line_that_differs_is_said(tmp_path: Path):
    one, two = tmp_path / "a", tmp_path / "b"
    one.write_text("1\n2\n")
    two.write_text("1\n3\n")
    assert first_line(one, two) == "a line 2: 2 and 3"
    two.write_text("1\n")
    assert first_line(one, two) == "a: 2 and 1 lines"


@pytest.mark.parametrize(("number", "code"), [("SIGTERM", 75), ("SIGINT", 130)])
def test_the_train_command_ends_a_stopped_run_with_its_code(tmp_path, monkeypatch, number, code):
    hook = f"""
@HOOKS.register_module(force=True)
class StoppedHook(Hook):
    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == 3:
            import signal
            signal.raise_signal(signal.{number})
"""
    (tmp_path / "verify_toys.py").write_text(TOYS + hook)
    text = CONFIG + "custom_hooks = [dict(type='StoppedHook')]\n"
    (tmp_path / "config.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    folder = tmp_path / "work"

    def job() -> None:
        train([str(tmp_path / "config.py"), "--work-dir", str(folder)], standalone_mode=False)

    assert fork(job, output=tmp_path / "child.txt") >> 8 == code
    assert Store(folder).newest().name == "preempt_iter_4"
