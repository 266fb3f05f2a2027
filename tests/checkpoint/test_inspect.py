"""``loopwright inspect`` says what a checkpoint holds without loading it or importing torch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from loopwright.checkpoint import Store
from loopwright.checkpoint.describe import inspect
from loopwright.cli.inspect import command

GOLDEN = Path(__file__).parents[1] / "golden" / "checkpoint" / "mmengine_0_10_7_epoch_2.pth"


def state() -> dict:
    return {
        "state_dict": {"w": torch.zeros(3, 2), "b": torch.zeros(2, dtype=torch.bfloat16)},
        "optimizer": {"exp_avg": torch.zeros(3, 2), "lr": 0.1},
        "progress": {"iter": 7},
    }


def run(*args) -> tuple[int, str]:
    result = CliRunner().invoke(command, [str(arg) for arg in args])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.output


@pytest.fixture
def store(tmp_path):
    made = Store(tmp_path)
    made.save(
        "epoch_1", state(), step=7, meta={"epoch": 1, "experiment": "tiny", "cfg": "x\n" * 99}
    )
    made.save("epoch_2.pth", state(), step=14, meta={"epoch": 2})
    return made


def test_a_whole_folder_is_described(store, tmp_path):
    code, told = run(tmp_path / "epoch_1", "--tensors")
    assert code == 0
    assert "yes, every byte as it was written" in told
    assert "step      7   (saved as epoch_1)" in told
    assert "experiment tiny" in told
    assert "(198 characters)" in told
    assert "state_dict.b  bfloat16  [2]" in told
    assert "2 tensors              8 numbers      28 B" in told


def test_a_single_file_is_described_too(store, tmp_path):
    code, told = run(tmp_path / "epoch_2.pth")
    assert code == 0
    assert "loopwright single file" in told
    assert "keys      state_dict, optimizer, progress" in told


def test_damage_is_named_and_the_exit_code_is_1(store, tmp_path):
    shard = tmp_path / "epoch_1" / "optimizer.safetensors"
    shard.write_bytes(shard.read_bytes()[:-1] + b"\x01")
    code, told = run(tmp_path / "epoch_1")
    assert code == 1
    assert "whole     NO" in told
    assert "optimizer.safetensors has changed since it was written" in told
    assert run(tmp_path / "epoch_1", "--quick")[0] == 0, "quick does not read every byte"


def test_a_run_folder_is_a_table(store, tmp_path):
    (tmp_path / "epoch_1" / "state.json").write_bytes(b"")
    code, told = run(tmp_path)
    lines = told.splitlines()
    assert code == 1
    assert lines[1].split() == ["7", *lines[1].split()[1:3], "NO", "epoch_1"]
    assert lines[-1].endswith("yes    epoch_2.pth")


def test_one_that_a_resume_passes_by_is_marked(store, tmp_path):
    store.save("crash_iter_9", {"w": torch.zeros(1)}, step=9, meta={"good": False})
    assert "crash_iter_9   (not good: a resume passes it by)" in run(tmp_path)[1]


def test_json_is_one_document(store, tmp_path):
    code, told = run(tmp_path / "epoch_1", "--json")
    data = json.loads(told)
    assert (code, data["whole"], data["step"], data["meta"]["epoch"]) == (0, True, 7, 1)
    assert {"name": "state_dict.w", "dtype": "float32", "shape": [3, 2]} in data["tensors"]
    assert len(json.loads(run(tmp_path, "--json")[1])) == 2


def test_mmengines_checkpoint_is_described_without_its_classes():
    found = inspect(GOLDEN)
    names = {line.name: line for line in found.tensors}
    assert found.kind == "torch zip"
    assert names["state_dict.l.weight"].shape == (2, 3)
    assert names["message_hub.log_scalars.train/loss._log_history"].shape == (4,)


def test_safetensors_of_any_origin_are_described(store, tmp_path):
    found = inspect(tmp_path / "epoch_1" / "state_dict.safetensors")
    assert found.kind == "safetensors"
    assert {line.name for line in found.tensors} == {"w", "b"}


@pytest.mark.parametrize(
    ("raw", "phrase"), [(b"<html>", "an HTML page"), (b"", "an empty file"), (None, "not exist")]
)
def test_what_is_none_ends_with_2_and_one_line(raw, phrase, tmp_path):
    if raw is not None:
        (tmp_path / "x.pth").write_bytes(raw)
    code, told = run(tmp_path / "x.pth")
    assert code == 2
    assert phrase in told
    assert told.count("\n") == 1


def test_neither_torch_nor_numpy_is_imported(store, tmp_path):
    program = """
import sys
from loopwright.cli.inspect import command
for path in sys.argv[1:]:
    try:
        command([path])
    except SystemExit as end:
        assert end.code == 0, end.code
assert not {"torch", "numpy"} & set(sys.modules)
"""
    paths = [tmp_path / "epoch_1", tmp_path / "epoch_2.pth", tmp_path, GOLDEN]
    subprocess.run([sys.executable, "-c", program, *map(str, paths)], check=True, timeout=300)
