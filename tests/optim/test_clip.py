"""Clipping, by hand and against torch's own."""

import pytest
import torch
from torch import nn

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
