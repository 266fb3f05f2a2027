"""Clipping, by hand and against torch's own."""

from collections import OrderedDict

import pytest
import torch
from torch import nn

from loopwright.optim import OptimWrapper, build_optim_wrapper
from loopwright.optim.clip import clip_adaptive, clip_each, clip_norm, make_clip


def with_gradients(*grads: list[float]) -> list[nn.Parameter]:
    params = [nn.Parameter(torch.ones(len(grad))) for grad in grads]
    for p, grad in zip(params, grads, strict=True):
        p.grad = torch.tensor(grad)
    return params


def grads(params: list[nn.Parameter]) -> list[list[float]]:
    return [p.grad.tolist() for p in params]


@pytest.mark.parametrize("norm_type", [1.0, 2.0, float("inf")])
@pytest.mark.parametrize("max_norm", [0.1, 100.0])
def test_clipping_by_norm_is_torchs_to_the_bit(norm_type: float, max_norm: float):
    torch.manual_seed(0)
    ours = [nn.Parameter(torch.zeros(5, 3)) for _ in range(3)]
    for p in ours:
        p.grad = torch.randn_like(p)
    theirs = [nn.Parameter(torch.zeros(5, 3)) for _ in range(3)]
    for p, q in zip(ours, theirs, strict=True):
        q.grad = p.grad.clone()
    norm = clip_norm(ours, max_norm, norm_type)
    assert norm == nn.utils.clip_grad_norm_(theirs, max_norm, norm_type)
    assert all(torch.equal(p.grad, q.grad) for p, q in zip(ours, theirs, strict=True))


def test_parameters_without_gradients_do_not_count():
    params = [*with_gradients([3.0, 4.0]), nn.Parameter(torch.ones(1))]
    assert clip_norm(params, 1.0).item() == 5.0
    assert clip_norm(params[1:], 1.0) is None


def test_tensors_of_several_dtypes_are_clipped_together():
    params = with_gradients([3.0], [4.0])
    params[1].data = params[1].data.double()
    params[1].grad = torch.tensor([4.0], dtype=torch.float64)
    assert clip_norm(params, 2.5).item() == pytest.approx(5.0)
    assert [p.grad.item() for p in params] == pytest.approx([1.5, 2.0], rel=1e-5)


def test_each_parameter_may_be_clipped_by_itself():
    params = with_gradients([3.0, 4.0], [0.3, 0.4])
    assert clip_each(params, 1.0).item() == pytest.approx(25.25**0.5)
    assert grads(params)[0] == pytest.approx([0.6, 0.8], rel=1e-5)
    assert grads(params)[1] == pytest.approx([0.3, 0.4])


def test_clipping_by_value_limits_every_element():
    params = with_gradients([-3.0, 0.2, 3.0])
    make_clip({"type": "value", "clip_value": 0.5})(params)
    assert grads(params)[0] == pytest.approx([-0.5, 0.2, 0.5])


def test_adaptive_clipping_limits_a_unit_to_a_share_of_its_weights():
    weight = nn.Parameter(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
    weight.grad = torch.tensor([[30.0, 40.0], [1.0, 0.0]])
    clip_adaptive([weight], clip_factor=0.1, eps=1e-3)
    assert weight.grad[0].tolist() == pytest.approx([0.3, 0.4])
    assert weight.grad[1].tolist() == pytest.approx([1e-4, 0.0])


def test_adaptive_clipping_lets_small_gradients_be():
    params = [*with_gradients([1e-5, 1e-5]), nn.Parameter(torch.ones(1))]
    make_clip({"type": "adaptive"})(params)
    assert grads(params[:1])[0] == pytest.approx([1e-5, 1e-5])


def test_a_norm_that_is_not_finite_may_be_an_error():
    clip = make_clip({"max_norm": 1.0, "error_if_nonfinite": True})
    with pytest.raises(RuntimeError, match="gradient norm is inf"):
        clip(with_gradients([float("inf")]))


@pytest.mark.parametrize(
    ("cfg", "error", "message"),
    [
        ({}, ValueError, "None clips nothing"),
        ({"type": "foo", "max_norm": 1}, ValueError, "must be one of norm, value"),
        ({"max_nrm": 1}, TypeError, "clip_grad of type 'norm'"),
        ({"max_norm": 1, "per": "layer"}, ValueError, "'global' or 'param'"),
    ],
)
def test_what_clips_nothing_is_refused(cfg, error, message):
    with pytest.raises(error, match=message):
        make_clip(cfg)


@pytest.mark.parametrize(
    ("cfg", "error", "message"),
    [
        ({"max_norm": "1"}, TypeError, r"clip_grad\.max_norm must be a number, got '1'"),
        ({"max_norm": -1.0}, ValueError, r"clip_grad\.max_norm must be more than 0"),
        ({"max_norm": 0}, ValueError, r"clip_grad\.max_norm must be more than 0"),
        ({"norm_type": 2}, TypeError, "needs max_norm"),
        ({"max_norm": 1, "norm_type": "two"}, TypeError, r"clip_grad\.norm_type must be a number"),
        ({"max_norm": 1, "foreach": "no"}, TypeError, r"clip_grad\.foreach must be True or False"),
        ({"max_nrom": 1}, TypeError, "did you mean 'max_norm'"),
        ({"type": "value", "clip_value": 1, "norm_type": 2}, TypeError, "no option 'norm_type'"),
        ({"type": "agc", "clip_factor": 0}, ValueError, r"clip_grad\.clip_factor must be more"),
        ({"type": "agc", "exclude": "head"}, ValueError, "goes by names"),
    ],
)
def test_an_option_that_cannot_be_meant_is_refused(cfg, error, message):
    with pytest.raises(error, match=message):
        make_clip(cfg)


@pytest.mark.parametrize(
    "cfg",
    [
        {"max_norm": 1.0},
        {"max_norm": 1.0, "per": "param"},
        {"max_norm": 1.0, "norm_type": "inf"},
        {"type": "value", "clip_value": 0.5},
    ],
)
def test_without_foreach_each_tensor_has_operations_of_its_own(cfg):
    together, apart = with_gradients([3.0, 4.0], [0.3]), with_gradients([3.0, 4.0], [0.3])
    before = make_clip(cfg)(together)
    with torch.profiler.profile() as profile:
        assert make_clip({**cfg, "foreach": False})(apart) == before
    assert grads(apart) == grads(together)
    counts = {event.key: event.count for event in profile.key_averages()}
    assert counts["aten::_foreach_norm"] >= 2


def test_a_norm_that_is_not_finite_may_be_an_error_for_each_parameter_too():
    clip = make_clip({"max_norm": 1.0, "per": "param", "error_if_nonfinite": True})
    with pytest.raises(RuntimeError, match="gradient norm is inf"):
        clip(with_gradients([float("inf")], [1.0]))


def adaptive(exclude) -> tuple[nn.Module, OptimWrapper]:
    model = nn.Sequential(OrderedDict(stem=nn.Linear(2, 2), head=nn.Linear(2, 1)))
    sgd = {"type": "SGD", "lr": 1.0}
    clip = {"type": "adaptive", "clip_factor": 0.01, "exclude": exclude}
    return model, build_optim_wrapper(model, {"optimizer": sgd, "clip_grad": clip})


def test_adaptive_clipping_leaves_the_excluded_layers_alone():
    """Brock et al. leave the last layer out; the measured norm is of all gradients."""
    model, wrapper = adaptive("head.")
    for p in model.parameters():
        p.grad = torch.full_like(p, 3.0)
    wrapper._clip_grad()
    assert model.head.weight.grad.tolist() == [[3.0, 3.0]]
    assert model.stem.weight.grad.abs().max() < 0.1
    assert wrapper.metrics()["grad_norm"].item() == pytest.approx(9.0)


def test_an_exclude_that_matches_nothing_names_the_nearest():
    with pytest.raises(ValueError, match=r"'haed' is in no parameter's name; .*head"):
        adaptive(["haed"])
