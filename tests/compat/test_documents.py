"""The examples of detectron2's training document run as written."""

import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from loopwright import compat
from loopwright.trainer import SimpleTrainer

HELLO = """
from detectron2.engine import HookBase

class HelloHook(HookBase):
  def after_step(self):
    if self.trainer.iter % 100 == 0:
      print(f"Hello at iteration {self.trainer.iter}!")
"""
METRIC = """
from torch import nn
from detectron2.utils.events import get_event_storage

class Model(nn.Module):
  def __init__(self):
    super().__init__()
    self.fc = nn.Linear(2, 1)

  def forward(self, inputs):
    # 모델 안에서
    if self.training:
      value = inputs.mean()
      storage = get_event_storage()
      storage.put_scalar("some_accuracy", value)
    return {"loss": self.fc(inputs).square().mean()}
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A user's file with a document's example in it, imported."""
    compat.install("detectron2")
    monkeypatch.syspath_prepend(str(tmp_path))

    def load(name: str, text: str):
        Path(tmp_path, f"{name}.py").write_text(text, encoding="utf-8")
        return __import__(name)

    yield load
    compat.uninstall("detectron2")
    for name in ("example_hello", "example_metric"):
        sys.modules.pop(name, None)


def test_the_hello_hook_says_hello_every_hundred_iterations(module, capsys):
    hello = module("example_hello", HELLO)
    model = module("example_metric", METRIC).Model()
    trainer = SimpleTrainer(model, [torch.ones(3, 2)], torch.optim.SGD(model.parameters(), lr=0.01))
    trainer.register_hooks([hello.HelloHook()])
    trainer.train(0, 250)
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Hello")]
    assert said == [f"Hello at iteration {i}!" for i in (0, 100, 200)]


def test_a_models_metric_reaches_the_storage(module):
    model: nn.Module = module("example_metric", METRIC).Model()
    trainer = SimpleTrainer(
        model, [torch.ones(3, 2), torch.zeros(3, 2)], torch.optim.SGD(model.parameters(), lr=0.01)
    )
    trainer.train(0, 3)
    assert trainer.storage.history("some_accuracy").values() == [(1.0, 0), (0.0, 1), (1.0, 2)]
