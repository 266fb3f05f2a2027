"""Writes epoch.json and iter.json by running the toy on MMEngine 0.10.7 (pip install mmengine)."""

import json
import tempfile
from pathlib import Path
from types import SimpleNamespace

import toy
import torch
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner

if __name__ == "__main__":
    torch.set_num_threads(1)
    engine = SimpleNamespace(Hook=Hook, BaseModel=BaseModel, BaseMetric=BaseMetric, Runner=Runner)
    for kind in toy.HYPER:
        found = toy.run(kind, engine, tempfile.mkdtemp())
        Path(__file__).with_name(f"{kind}.json").write_text(json.dumps(found, indent=0) + "\n")
