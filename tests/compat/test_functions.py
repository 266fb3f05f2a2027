"""MMEngine's small functions: files, types, versions, checkpoints."""

import argparse
import importlib

import pytest
import torch
from torch import nn

from loopwright import compat
from loopwright.checkpoint import Store
from loopwright.compat import (
    mm_backends,
    mm_checkpoint,
    mm_decorators,
    mm_device,
    mm_files,
    mm_manager,
    mm_utils,
)
from loopwright.compat.mm_config import DictAction


@pytest.mark.parametrize("suffix", ["json", "yaml"])
def test_what_was_dumped_loads(tmp_path, suffix):
    path = tmp_path / "deep" / f"data.{suffix}"
    mm_files.dump({"a": [1, 2.5], "t": torch.arange(2)}, path)
    assert mm_files.load(path) == {"a": [1, 2.5], "t": [0, 1]}
    with path.open() as file:
        assert mm_files.load(file) == {"a": [1, 2.5], "t": [0, 1]}


def test_pickles_are_refused(tmp_path):
    (tmp_path / "data.pkl").write_bytes(b"")
    with pytest.raises(ValueError, match="pickles run code"):
        mm_files.load(tmp_path / "data.pkl")


def test_lists_and_dicts_of_lines(tmp_path):
    mm_files.put_text("a 1\nb 2 3\n", tmp_path / "x.txt")
    assert mm_files.list_from_file(tmp_path / "x.txt", prefix="_", offset=1) == ["_b 2 3"]
    assert mm_files.dict_from_file(tmp_path / "x.txt") == {"a": "1", "b": ["2", "3"]}
    assert list(mm_files.list_dir_or_file(tmp_path, suffix=".txt")) == ["x.txt"]


def test_types_and_sequences():
    assert mm_utils.is_list_of([1, 2], int)
    assert not mm_utils.is_tuple_of([1], int)
    assert mm_utils.to_2tuple(3) == (3, 3)
    assert mm_utils.slice_list([1, 2, 3], [1, 2]) == [[1], [2, 3]]
    assert mm_utils.concat_list([[1], [2]]) == [1, 2]
    doubled = mm_utils.apply_to({"a": [1, (2,)]}, lambda x: isinstance(x, int), lambda x: 2 * x)
    assert doubled == {"a": [2, (4,)]}


def test_versions_compare():
    ordered = ["0.9", "1.0.0a1", "1.0.0rc2", "1.0.0", "1.0.0.post1", "1.10"]
    assert sorted(ordered, key=mm_utils.digit_version) == ordered


def test_images_come_back_from_normalised_tensors():
    pixels = mm_utils.tensor2imgs(torch.zeros(1, 3, 2, 2), mean=(1, 2, 3), std=(1, 1, 1))
    assert pixels[0].shape == (2, 2, 3)
    assert pixels[0][0, 0].tolist() == [3, 2, 1], "blue first"


def test_a_command_lines_options_become_a_dict():
    parser = argparse.ArgumentParser()
    parser.add_argument("--cfg-options", nargs="+", action=DictAction)
    args = parser.parse_args(["--cfg-options", "a.b=1", "c=[1,2]", "d=text"])
    assert args.cfg_options == {"a.b": 1, "c": [1, 2], "d": "text"}


@pytest.mark.parametrize("name", ["weights.pth", "folder"])
def test_a_saved_checkpoint_loads(tmp_path, name):
    model, other = nn.Linear(2, 1), nn.Linear(2, 1)
    path = str(tmp_path / name)
    mm_checkpoint.save_checkpoint({"state_dict": model.state_dict(), "meta": {"iter": 3}}, path)
    found = mm_checkpoint.load_checkpoint(other, path, strict=True)
    assert found["meta"]["iter"] == 3
    assert torch.equal(model.weight, other.weight)
    assert mm_checkpoint.find_latest_checkpoint(str(tmp_path)) == path


def test_what_is_found_by_name_takes_it_in_its_constructor():
    class Counter(mm_manager.ManagerMixin, metaclass=mm_manager.ManagerMeta):
        def __init__(self, name, start=0):
            super().__init__(name)
            self.value = start

    counter = Counter.get_instance("one", start=3)
    assert Counter.get_instance("one") is counter is Counter.get_current_instance()
    assert (counter.instance_name, counter.value) == ("one", 3)
    with pytest.raises(ValueError, match="non-empty name"):
        Counter("")


def test_weights_below_a_prefix_are_read(tmp_path):
    state = {"backbone.weight": torch.ones(1, 2), "head.weight": torch.zeros(1)}
    mm_checkpoint.save_checkpoint({"state_dict": state}, str(tmp_path / "w.pth"))
    assert list(mm_checkpoint.read_below("backbone.", str(tmp_path / "w.pth"))) == ["weight"]
    with pytest.raises(KeyError, match="no weights below 'neck'"):
        mm_checkpoint.read_below("neck", str(tmp_path / "w.pth"))


def test_clients_and_backends_read_this_machines_files(tmp_path):
    path = tmp_path / "a" / "x.txt"
    mm_backends.get_file_backend(path).put_text("hello", path)
    client = mm_backends.FileClient(backend="disk")
    assert client.get_text(path) == "hello"
    assert client.get(path) == b"hello"
    with mm_backends.FileClient.infer_client(uri=path).get_local_path(path) as where:
        assert where == path
    with pytest.raises(ValueError, match="'petrel' is not there"):
        mm_backends.FileClient(backend="petrel")
    with pytest.raises(ValueError, match="no addresses"):
        mm_backends.get_file_backend("s3://bucket/x")


def test_old_names_of_arguments_are_taken_with_a_warning():
    @mm_decorators.deprecated_api_warning({"old": "new"}, cls_name="Net")
    def double(new=1):
        return 2 * new

    with pytest.warns(DeprecationWarning, match="Net.double: 'old' is now called 'new'"):
        assert double(old=4) == 8
    with pytest.raises(TypeError, match="are one argument"):
        double(old=4, new=3)


def test_a_function_says_which_package_it_needs():
    @mm_decorators.requires_package(["json", "no_such_package"])
    def work(): ...

    with pytest.raises(ImportError, match="work needs no_such_package"):
        work()
    assert mm_decorators.get_object_from_string("torch.nn.Linear") is nn.Linear
    assert mm_decorators.get_object_from_string("torch.nn.Linnear") is None


@pytest.mark.parametrize(
    ("module", "names"),
    [
        ("mmengine.hooks.hook", "DATA_BATCH Hook"),
        ("mmengine.runner.checkpoint", "_load_checkpoint _load_checkpoint_to_model"),
        ("mmengine.utils.dl_utils.parrots_wrapper", "_BatchNorm _InstanceNorm SyncBatchNorm"),
        ("mmengine.optim.scheduler.param_scheduler", "INF"),
        ("mmengine", "FileClient version_info"),
        ("mmengine.utils", "ManagerMixin ManagerMeta deprecated_api_warning"),
    ],
)
def test_names_that_hooks_and_backbones_import_are_answered(module, names):
    compat.install("mmengine", force=True)
    try:
        found = importlib.import_module(module)
        assert all(hasattr(found, name) for name in names.split())
    finally:
        compat.uninstall("mmengine")


def test_a_runs_checkpoint_has_its_meta_beside_the_weights(tmp_path):
    state = {"state_dict": nn.Linear(2, 1).state_dict()}
    Store(tmp_path).save("epoch_1", state, step=4, meta={"dataset_meta": {"classes": ["a"]}})
    found = mm_checkpoint.load_checkpoint(nn.Linear(2, 1), str(tmp_path / "epoch_1"))
    assert found["meta"]["dataset_meta"] == {"classes": ["a"]}


def test_autocast_needs_no_device():
    device = mm_device.get_device()
    layer, batch = nn.Linear(2, 2).to(device), torch.ones(1, 2, device=device)
    with mm_checkpoint.autocast(dtype=torch.bfloat16):
        assert layer(batch).dtype == torch.bfloat16
