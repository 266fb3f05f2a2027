import json
import subprocess
import sys

import pytest
import torch
from click.testing import CliRunner
from torch import nn

from loopwright.cli.fingerprint import command
from loopwright.config import ConfigError
from loopwright.model import (
    Fingerprint,
    as_trainable,
    check_expected,
    compile_model,
    diff,
    fingerprint,
)
from loopwright.model.prints import TensorPrint


def net(seed=0, *, front=False):
    torch.manual_seed(seed)
    layers = [nn.Linear(2, 2)] if front else []
    return nn.Sequential(*layers, nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 1))


def test_one_seed_gives_one_fingerprint():
    assert fingerprint(net(0)).total == fingerprint(net(0)).total
    assert fingerprint(net(0)).total != fingerprint(net(1)).total


def test_parameters_and_persistent_buffers_are_in_it():
    found = fingerprint(net())
    assert list(found.tensors) == list(net().state_dict())
    kinds = {name: tensor.parameter for name, tensor in found.tensors.items()}
    assert kinds["0.weight"]
    assert not kinds["1.running_mean"]
    assert found.parameters == 2 * 3 + 3 + 3 + 3 + 3 + 1


def test_wrappers_and_compiling_change_no_name():
    plain = fingerprint(net())
    assert fingerprint(nn.DataParallel(net())).total == plain.total
    assert fingerprint(torch.compile(net())).total == plain.total
    assert fingerprint(compile_model(net(), {"backend": "eager"})).total == plain.total
    assert fingerprint(as_trainable(net(), loss="MSELoss")).total == plain.total


def test_a_module_compiled_inside_keeps_its_name():
    inner = nn.Sequential(torch.compile(nn.Linear(1, 1)))
    assert list(fingerprint(inner).tensors) == ["0.weight", "0.bias"]


def test_tied_tensors_count_once():
    model = nn.ModuleDict({"embed": nn.Embedding(3, 2), "head": nn.Linear(2, 3, bias=False)})
    model["head"].weight = model["embed"].weight
    assert list(fingerprint(model).tensors) == ["embed.weight"]


def test_one_bit_is_seen():
    one, two = net(), net()
    two[0].weight.data[0, 0] = torch.nextafter(two[0].weight[0, 0], torch.tensor(9.0))
    assert diff(fingerprint(one), fingerprint(two)) == (
        "first difference 0.weight: other values (1 of 9 tensors differ)"
    )


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.int8, torch.bool])
def test_every_type_has_a_hash(dtype):
    model = nn.Module()
    model.register_buffer("x", torch.ones(2, 2).to(dtype))
    model.register_buffer("empty", torch.empty(0, dtype=dtype))
    assert fingerprint(model).tensors["x"].dtype == str(dtype).removeprefix("torch.")


def test_layout_in_memory_does_not_matter():
    one, two = nn.Module(), nn.Module()
    one.register_buffer("x", torch.arange(6.0).reshape(2, 3))
    two.register_buffer("x", torch.arange(6.0).reshape(2, 3).t().contiguous().t())
    assert fingerprint(one).total == fingerprint(two).total


@pytest.mark.parametrize("model", [nn.Linear(1, 1, device="meta"), nn.LazyLinear(2)])
def test_parameters_without_values_are_refused_by_name(model):
    with pytest.raises(ValueError, match="weight has no values yet"):
        fingerprint(model)


def tensor(digest, shape=(1,), dtype="float32"):
    return TensorPrint(digest, shape, dtype, True)


def test_a_difference_is_told_in_words():
    a = Fingerprint({"x": tensor("1"), "y": tensor("2"), "z": tensor("3")})
    assert diff(a, a) == ""
    reshaped = Fingerprint({**a.tensors, "z": tensor("4", (2,))})
    assert "first 2 tensors equal, first difference z: shape [1] is now [2]" in diff(a, reshaped)
    cast = Fingerprint({**a.tensors, "y": tensor("4", dtype="bfloat16")})
    assert "y: dtype float32 is now bfloat16" in diff(a, cast)
    shorter = Fingerprint({"x": tensor("1"), "y": tensor("2")})
    assert diff(a, shorter) == (
        "1 tensors only in the first, first z\nall 2 tensors in both are equal"
    )


def test_names_that_merely_moved_are_told_so():
    a = Fingerprint({"0.weight": tensor("1"), "2.weight": tensor("2")})
    b = Fingerprint({"0.weight": tensor("1"), "3.weight": tensor("2")})
    assert diff(a, b) == "the same 2 tensors under other names, first 2.weight is now 3.weight"


def test_a_layer_in_front_changes_all_that_follow():
    said = diff(fingerprint(net()), fingerprint(net(front=True)))
    assert "tensors only in the second" in said
    assert "first difference 0.weight: shape [3, 2] is now [2, 2]" in said


def test_it_is_saved_and_read_back(tmp_path):
    found = fingerprint(net())
    found.save(tmp_path / "fingerprint.json")
    read = Fingerprint.load(tmp_path / "fingerprint.json")
    assert read == found
    assert list(read.tensors) == list(found.tensors)


def test_a_file_that_was_changed_is_refused(tmp_path):
    path = tmp_path / "fingerprint.json"
    fingerprint(net()).save(path)
    data = json.loads(path.read_text())
    data["tensors"]["0.weight"]["sha256"] = "0" * 64
    path.write_text(json.dumps(data))
    with pytest.raises(ValueError, match="was changed"):
        Fingerprint.load(path)
    path.write_text('{"a": 1}')
    with pytest.raises(ValueError, match="is not a fingerprint"):
        Fingerprint.load(path)


def test_an_expected_start_is_an_assertion():
    found = fingerprint(net())
    check_expected(found, None)
    check_expected(found, found.total[:8].upper())
    with pytest.raises(ValueError, match="expect_init is 0123456789"):
        check_expected(found, "0123456789")
    with pytest.raises(ValueError, match="6 to 64 hex digits"):
        check_expected(found, "xyz")
    with pytest.raises(ConfigError, match="without quotes"):
        check_expected(found, 123456)


def run(*arguments):
    return CliRunner().invoke(command, [str(a) for a in arguments])


@pytest.fixture
def runs(tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        (tmp_path / name).mkdir()
        fingerprint(net(seed)).save(tmp_path / name / "fingerprint.json")
    return tmp_path


def test_the_command_says_equal_or_what_differs(runs):
    same = run("diff", runs / "a", runs / "b")
    assert same.exit_code == 0
    assert same.output.startswith("equal: init params")
    other = run("diff", runs / "a", runs / "c" / "fingerprint.json")
    assert other.exit_code == 1
    assert "first difference 0.weight: other values" in other.output


def test_the_command_prints_json(runs):
    found = json.loads(run("diff", runs / "a", runs / "c", "--json").output)
    assert found["equal"] is False
    assert "0.weight" in found["difference"]


def test_a_run_without_a_fingerprint_is_told_so(runs, tmp_path):
    (tmp_path / "empty").mkdir()
    found = run("diff", runs / "a", tmp_path / "empty")
    assert found.exit_code == 2
    assert "holds no fingerprint.json" in found.output


def test_the_command_lists_every_tensor(runs):
    assert len(run("show", runs / "a").output.splitlines()) == 10


def test_comparing_runs_imports_no_torch():
    code = "import sys, loopwright.cli.fingerprint; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
