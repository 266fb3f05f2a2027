"""Lazy configs: reading without running, relative imports, overrides, instantiation."""

import builtins

import pytest
import torch
from torch import nn

from loopwright.config import ConfigError
from loopwright.registry import RefusedNameError
from loopwright.trainer import LazyCall, LazyConfig, instantiate

COMMON = """
from detectron2.config import LazyCall as L
from torch import nn

train = dict(max_iter=90000, amp=dict(enabled=False))
model = L(nn.Linear)(in_features=4, out_features=2)
_hidden = dict(a=1)
"""
CONFIG = """
from torch import nn
from detectron2.config import LazyCall as L
from .common.base import model, train

train.max_iter = 100
model.out_features = 3
width = 8
other = L(nn.Sequential)(_recursive_=True)
head = L(nn.Conv2d)(in_channels=width, out_channels=[1, 2][1], kernel_size=3, **dict(bias=False))
both = dict(first=head, second=head)
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "common").mkdir()
    (tmp_path / "common" / "base.py").write_text(COMMON)
    (tmp_path / "config.py").write_text(CONFIG)
    return tmp_path


def test_a_file_is_read_with_its_relative_imports(folder):
    cfg = LazyConfig.load(str(folder / "config.py"))
    assert set(cfg) == {"train", "model", "other", "head", "both"}
    assert cfg.train.max_iter == 100
    assert cfg.model == {"_target_": "torch.nn.Linear", "in_features": 4, "out_features": 3}
    assert cfg.head.bias is False
    assert cfg.origins_of()["head"].line == 10


def test_an_imported_file_is_read_anew_each_time(folder):
    LazyConfig.load(str(folder / "config.py"))
    assert LazyConfig.load(str(folder / "common" / "base.py"), "model").out_features == 2


def test_keys_pick_what_is_given_and_unknown_ones_are_named(folder):
    path = str(folder / "config.py")
    model, train = LazyConfig.load(path, ("model", "train"))
    assert (model.out_features, train.max_iter) == (3, 100)
    with pytest.raises(ConfigError, match="'modl'; did you mean 'model'"):
        LazyConfig.load(path, "modl")


def test_nothing_in_a_file_is_executed(tmp_path):
    evil = tmp_path / "evil.py"
    evil.write_text(f"import os\nos.mkdir({str(tmp_path / 'made')!r})\n")
    with pytest.raises(ConfigError):
        LazyConfig.load(str(evil))
    assert not (tmp_path / "made").exists()


def test_a_file_that_is_trusted_may_run_code(tmp_path):
    file = tmp_path / "code.py"
    file.write_text("class Wide:\n    size = 4\nmodel = dict(width=Wide.size)\n")
    with pytest.raises(ConfigError, match="trust"):
        LazyConfig.load(str(file))
    assert LazyConfig.load(str(file), "model", trust=True).width == 4


def test_imports_are_as_they_were_after_a_file_that_fails(tmp_path):
    before = builtins.__import__
    (tmp_path / "bad.py").write_text("from .missing import x\n")
    for trust in (False, True):
        with pytest.raises(ConfigError, match=r"missing\.py, which is not there"):
            LazyConfig.load(str(tmp_path / "bad.py"), trust=trust)
    assert builtins.__import__ is before


def test_files_that_import_each_other_are_an_error(tmp_path):
    (tmp_path / "a.py").write_text("from .b import x\n")
    (tmp_path / "b.py").write_text("from .a import x\n")
    with pytest.raises(ConfigError, match="in a circle"):
        LazyConfig.load(str(tmp_path / "a.py"))


def test_a_file_is_found_beside_the_caller():
    assert LazyConfig.load_rel("lazy_example.py", "model").width == 5


def test_overrides_change_a_copy(folder):
    cfg = LazyConfig.load(str(folder / "config.py"))
    changed = LazyConfig.apply_overrides(
        cfg,
        ["train.max_iter=7", "model.out_features=5", "+train.tag=abc", "train.amp.enabled=true"],
    )
    assert (changed.train.max_iter, changed.train.tag, changed.train.amp.enabled) == (
        7,
        "abc",
        True,
    )
    assert changed.model.out_features == 5
    assert cfg.train.max_iter == 100


def test_values_with_an_equals_sign_and_bare_words_are_text(folder):
    cfg = LazyConfig.load(str(folder / "config.py"))
    changed = LazyConfig.apply_overrides(cfg, ["+a='x=y'", "+b=abc", "~both"])
    assert (changed.a, changed.b) == ("x=y", "abc")
    assert "both" not in changed


def test_a_misspelt_override_is_refused_with_the_nearest_name(folder):
    cfg = LazyConfig.load(str(folder / "config.py"))
    with pytest.raises(ConfigError, match="max_iter"):
        LazyConfig.apply_overrides(cfg, ["train.max_itr=3"])


def test_one_value_does_not_replace_a_dict(folder):
    cfg = LazyConfig.load(str(folder / "config.py"))
    with pytest.raises(ConfigError, match="one value cannot replace them"):
        LazyConfig.apply_overrides(cfg, ["train=5"])


@pytest.mark.parametrize("suffix", [".yaml", ".py"])
def test_what_was_saved_loads(folder, suffix):
    cfg = LazyConfig.load(str(folder / "config.py"))
    cfg.norm = {"layer": nn.BatchNorm2d}
    path = str(folder / f"saved{suffix}")
    LazyConfig.save(cfg, path)
    again = LazyConfig.load(path)
    assert again.norm.layer == "torch.nn.modules.batchnorm.BatchNorm2d"
    assert again.head == cfg.head


def test_targets_are_made_innermost_first():
    net = instantiate(
        LazyCall(nn.ModuleList)(
            modules=[LazyCall(nn.Linear)(in_features=1, out_features=2), nn.ReLU()]
        )
    )
    assert [type(m) for m in net] == [nn.Linear, nn.ReLU]


def test_targets_inside_a_plain_dict_are_made():
    made = instantiate(LazyCall(dict)(parts={"act": {"_target_": "torch.nn.ReLU"}, "n": 1}))
    assert isinstance(made["parts"]["act"], nn.ReLU)
    assert made["parts"]["n"] == 1


def test_a_node_used_twice_makes_one_object():
    node = LazyCall(nn.ReLU)()
    made = instantiate({"a": node, "b": node, "c": LazyCall(nn.ReLU)()})
    assert made["a"] is made["b"]
    assert made["a"] is not made["c"]


def test_a_node_used_twice_in_a_file_makes_one_object(folder):
    made = instantiate(LazyConfig.load(str(folder / "config.py"), "both"))
    assert made.first is made.second
    assert isinstance(made.first, nn.Conv2d)


def test_a_target_may_be_made_itself():
    doubled = {"_target_": LazyCall(make_multiplier)(factor=3), "value": 5}
    assert instantiate(doubled) == 15


def make_multiplier(factor):
    return lambda value: factor * value


def test_references_are_looked_up():
    cfg = {
        "classes": 7,
        "head": {"_target_": "torch.nn.Linear", "in_features": 1, "out_features": "${..classes}"},
        "other": {"size": "${head.in_features}"},
    }
    made = instantiate(cfg)
    assert made["head"].out_features == 7
    assert made["other"]["size"] == 1
    with pytest.raises(ConfigError, match="no 'missing'"):
        instantiate({"a": "${missing}"})


def test_arguments_that_do_not_fit_name_the_target():
    with pytest.raises(TypeError) as error:
        instantiate({"_target_": "torch.nn.Linear", "in_feature": 1})
    assert "instantiating Linear" in error.value.__notes__[0]


def test_names_outside_the_allowed_packages_are_refused():
    with pytest.raises(RefusedNameError):
        instantiate({"_target_": "os.system", "command": "true"})


def test_a_lazy_call_takes_something_to_call():
    with pytest.raises(TypeError, match="something to call"):
        LazyCall(5)


def test_values_that_are_no_nodes_come_back_as_they_are():
    tensor = torch.zeros(1)
    assert instantiate(tensor) is tensor
    assert instantiate((1, "a", None)) == (1, "a", None)


def test_a_config_as_python_text_reads_back_the_same(tmp_path):
    cfg = {"model": LazyCall(nn.Linear)(in_features=4, out_features=2), "train": {"max_iter": 9}}
    (tmp_path / "c.py").write_text(LazyConfig.to_py(cfg))
    again = LazyConfig.load(str(tmp_path / "c.py"))
    assert again["train"] == {"max_iter": 9}
    assert instantiate(again["model"]).weight.shape == (2, 4)


DATA = """
from omegaconf import DictConfig, OmegaConf
from torch import nn
from detectron2.config import LazyCall as L

dataloader = OmegaConf.create()
dataloader.test = L(nn.Linear)(in_features=3, out_features=1)
dataloader.evaluator = L(nn.Linear)(in_features="${..test.in_features}", out_features="${size.n}")
size = DictConfig({"n": 5})
listed = OmegaConf.create({"steps": [1, 2]})
"""


def test_what_omegaconf_makes_of_a_dict_is_that_dict(tmp_path):
    (tmp_path / "data.py").write_text(DATA)
    cfg = LazyConfig.load(str(tmp_path / "data.py"))
    assert cfg.dataloader.test == {
        "_target_": "torch.nn.Linear", "in_features": 3, "out_features": 1
    }  # fmt: skip
    assert (cfg.size.n, cfg.listed.steps) == (5, [1, 2])


def test_a_part_of_a_config_refers_to_what_stands_around_it(tmp_path):
    """As data sets' configs do: the evaluator names the test set beside it, overrides included."""
    (tmp_path / "data.py").write_text(DATA)
    cfg = LazyConfig.load(str(tmp_path / "data.py"))
    made = instantiate(cfg.dataloader.evaluator)
    assert (made.in_features, made.out_features) == (3, 5)
    cfg = LazyConfig.apply_overrides(cfg, ["dataloader.test.in_features=4", "size.n=6"])
    made = instantiate(cfg.dataloader.evaluator)
    assert (made.in_features, made.out_features) == (4, 6)
    (part,) = LazyConfig.load(str(tmp_path / "data.py"), ("dataloader",))
    part.evaluator.out_features = 2
    assert instantiate(part.evaluator).in_features == 3


def test_a_reference_out_of_a_node_of_no_known_config_is_an_error():
    cfg = {"n": 1, "part": {"_target_": "torch.nn.Linear", "in_features": "${..n}"}}
    with pytest.raises(ConfigError, match="leads out of what is instantiated"):
        instantiate(cfg["part"])


def test_what_the_reader_leaves_alone_says_how_a_lazy_config_is_trusted(tmp_path):
    (tmp_path / "run.py").write_text("import os\nfolder = dict(names=os.listdir('.'))\n")
    with pytest.raises(ConfigError, match=r"LazyConfig.load\(…, trust=True\) runs it") as caught:
        LazyConfig.load(str(tmp_path / "run.py"))
    assert "run.py:2" in str(caught.value)


def test_a_package_of_ones_own_is_named_with_the_way_to_allow_it():
    with pytest.raises(RefusedNameError) as caught:
        instantiate({"_target_": "my_project.nets.Net"})
    assert caught.value.__notes__ == [
        "a package of yours: LazyConfig.load(file, allow=['my_project'])"
    ]
