import math
import warnings

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from loopwright.checkpoint import CheckpointError
from loopwright.model import (
    BaseModule,
    ModuleList,
    Sequential,
    bias_init_with_prob,
    initialise,
    kaiming_init,
)


def net():
    """Convolution, norm, linear, all of them -1."""
    made = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Linear(2, 3))
    for p in made.parameters():
        nn.init.constant_(p, -1)
    return made


def firsts(module):
    """The first number of each parameter: conv w, b, norm w, b, linear w, b."""
    return [round(p.flatten()[0].item(), 3) for p in module.parameters()]


# What each configuration does was recorded from MMEngine 0.10.7.
@pytest.mark.parametrize(
    ("cfg", "wanted"),
    [
        ({"val": 1, "layer": "Conv2d", "bias": 2}, [1, 2, -1, -1, -1, -1]),
        ({"val": 1, "layer": ["Conv2d", "Linear"], "bias": 2}, [1, 2, -1, -1, 1, 2]),
        ({"val": 7, "layer": "_BatchNorm"}, [-1, -1, 7, 0, -1, -1]),
        (
            {
                "val": 1,
                "layer": "Linear",
                "override": {"type": "Constant", "name": "0", "val": 3, "bias": 4},
            },
            [3, 4, -1, -1, 1, 0],
        ),
        (
            {"val": 1, "layer": "Linear", "bias": 9, "override": {"name": "0"}},
            [1, 9, -1, -1, 1, 9],
        ),
        ({"val": 1, "bias": 9, "override": [{"name": "0"}]}, [1, 9, -1, -1, -1, -1]),
        ({"val": 1, "layer": "Linear", "bias_prob": 0.01}, [-1, -1, -1, -1, 1, -4.595]),
    ],
)
def test_a_config_reaches_the_layers_it_names(cfg, wanted):
    made = net()
    initialise(made, {"type": "Constant", **cfg})
    assert firsts(made) == wanted


@pytest.mark.parametrize(
    ("kind", "settings", "wanted"),
    [
        ("Xavier", {}, 0.8236970901489258),
        ("Xavier", {"distribution": "uniform"}, -0.006931448820978403),
        ("Kaiming", {}, 1.2582180500030518),
        ("Caffe2Xavier", {}, -0.006483776494860649),
        ("TruncNormal", {"std": 0.02}, -0.00018766950233839452),
        ("Uniform", {}, 0.49625658988952637),
        ("Normal", {}, 1.5409960746765137),
    ],
)
def test_a_seed_draws_what_mmengine_draws(kind, settings, wanted):
    layer = nn.Linear(4, 3)
    torch.manual_seed(0)
    initialise(layer, {"type": kind, "layer": "Linear", **settings})
    assert layer.weight[0, 0].item() == pytest.approx(wanted, rel=1e-5)
    assert layer.bias.tolist() == [0, 0, 0]


def test_several_configs_act_in_order():
    made = net()
    initialise(
        made,
        [
            {"type": "Constant", "layer": ["Conv2d", "Linear"], "val": 1},
            {"type": "Constant", "layer": "Linear", "val": 2},
        ],
    )
    assert firsts(made)[0::4] == [1, 2]


def test_a_config_that_reaches_nothing_says_so():
    with pytest.warns(UserWarning, match=r"layer='Conv1d' matches nothing.*BatchNorm2d, Conv2d"):
        initialise(net(), {"type": "Constant", "layer": "Conv1d", "val": 7})
    with pytest.warns(UserWarning, match="it names no layer"):
        initialise(net(), {"type": "Constant", "val": 7})


def test_an_override_of_a_name_that_is_not_there_names_the_nearest():
    made = nn.ModuleDict({"backbone": nn.Linear(1, 1)})
    with pytest.raises(AttributeError, match="did you mean 'backbone'"):
        initialise(made, {"type": "Constant", "val": 1, "override": {"name": "backbon"}})


def test_an_override_needs_a_name_and_values_need_a_type():
    with pytest.raises(ValueError, match="needs the 'name'"):
        initialise(net(), {"type": "Constant", "val": 1, "override": {"type": "Constant"}})
    with pytest.raises(ValueError, match="has values but no 'type'"):
        initialise(net(), {"type": "Constant", "val": 1, "override": {"name": "0", "val": 3}})


def test_the_config_is_left_as_it_is():
    cfg = {"type": "Constant", "val": 1, "layer": "Linear", "override": {"name": "0"}}
    initialise(net(), cfg)
    assert cfg == {"type": "Constant", "val": 1, "layer": "Linear", "override": {"name": "0"}}


def test_an_unknown_initialiser_or_distribution_is_an_error():
    with pytest.raises(KeyError, match="Xavier"):
        initialise(net(), {"type": "Xavir", "layer": "Linear"})
    with pytest.raises(ValueError, match="'normal' or 'uniform'"):
        initialise(net(), {"type": "Kaiming", "layer": "Linear", "distribution": "norm"})


def test_a_single_layer_is_initialised_by_a_function():
    layer = nn.Linear(4, 3)
    kaiming_init(layer, bias=2)
    assert layer.bias.tolist() == [2, 2, 2]


def test_a_bias_answers_the_probability():
    assert 1 / (1 + math.exp(-bias_init_with_prob(0.2))) == pytest.approx(0.2)


class Inner(BaseModule):
    def __init__(self, init_cfg=None):
        super().__init__(init_cfg)
        self.fc = nn.Linear(1, 1)


class Outer(BaseModule):
    def __init__(self, init_cfg=None, inner_cfg=None):
        super().__init__(init_cfg)
        self.fc = nn.Linear(1, 1)
        self.inner = Inner(inner_cfg)


def constant(val):
    return {"type": "Constant", "layer": "Linear", "val": val}


def test_children_come_after_their_parent():
    made = Outer(constant(3), constant(5))
    made.init_weights()
    assert (made.fc.weight.item(), made.inner.fc.weight.item()) == (3, 5)
    assert made.is_init


def test_weights_are_initialised_only_once():
    made = Outer(constant(3))
    made.init_weights()
    nn.init.constant_(made.fc.weight, 8)
    made.init_weights()
    assert made.fc.weight.item() == 8
    made.is_init = False
    made.init_weights()
    assert made.fc.weight.item() == 3


def test_lists_and_sequences_initialise_themselves():
    for made in (
        Sequential(nn.Linear(1, 1), init_cfg=constant(4)),
        ModuleList([nn.Linear(1, 1)], init_cfg=constant(4)),
    ):
        made.init_weights()
        assert made[0].weight.item() == 4
        assert len(made) == 1


def test_pretrained_weights_come_last(tmp_path):
    path = str(tmp_path / "inner.safetensors")
    save_file({"net.fc.weight": torch.full((1, 1), 9.0), "net.fc.bias": torch.zeros(1)}, path)
    made = Inner(
        [{"type": "Pretrained", "checkpoint": path, "prefix": "net"}, constant(3)],
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made.init_weights()
    assert made.fc.weight.item() == 9


def test_weights_that_are_missing_or_left_over_are_counted(tmp_path):
    path = str(tmp_path / "part.safetensors")
    save_file({"fc.weight": torch.ones(1, 1), "head.weight": torch.ones(2)}, path)
    made = Inner({"type": "Pretrained", "checkpoint": path})
    with pytest.warns(UserWarning, match=r"1 weights of the model.*fc.bias.*1 of it.*head.weight"):
        made.init_weights()


def test_a_file_of_which_nothing_fits_is_an_error(tmp_path):
    path = str(tmp_path / "other.safetensors")
    save_file({"head.weight": torch.ones(2)}, path)
    with pytest.raises(ValueError, match=r"nothing in .* fits Inner"):
        Inner({"type": "Pretrained", "checkpoint": path}).init_weights()


def test_a_checkpoint_of_torch_is_read_outside_a_run_too(tmp_path):
    path = str(tmp_path / "net.pth")
    weights = {"fc.weight": torch.full((1, 1), 6.0), "fc.bias": torch.ones(1)}
    torch.save({"meta": {"epoch": 3}, "state_dict": weights}, path)
    made = Inner({"type": "Pretrained", "checkpoint": path})
    made.init_weights()
    assert made.fc.weight.item() == 6


def test_a_file_that_would_execute_code_is_refused(tmp_path):
    path = tmp_path / "net.pth"
    path.write_bytes(b"cos\nsystem\n(S'touch x'\ntR.")
    with pytest.raises(CheckpointError, match=r"os\.system|net\.pth"):
        Inner({"type": "Pretrained", "checkpoint": str(path)}).init_weights()


def test_a_file_that_is_not_there_says_so(tmp_path):
    with pytest.raises(CheckpointError, match=r"net\.pth does not exist"):
        Inner({"type": "Pretrained", "checkpoint": str(tmp_path / "net.pth")}).init_weights()
