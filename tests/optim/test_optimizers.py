"""LARS and LAMB: by hand, against a plain loop, and without reading a device."""

import collections

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from loopwright.optim import LARS, Lamb, build_optim_wrapper


def with_gradient(weight: list[float], grad: list[float]) -> nn.Parameter:
    p = nn.Parameter(torch.tensor(weight))
    p.grad = torch.tensor(grad)
    return p


def test_lars_scales_the_lr_by_the_norms():
    p = with_gradient([3.0, 4.0], [0.0, 2.0])
    LARS([p], lr=1.0, eta=0.1, eps=0.0).step()
    assert p.tolist() == pytest.approx([3.0, 4.0 - 0.1 * 5 / 2 * 2])


def test_an_excluded_group_is_plain_sgd():
    p = with_gradient([3.0, 4.0], [0.0, 2.0])
    LARS([{"params": [p], "lars_exclude": True}], lr=0.5).step()
    assert p.tolist() == [3.0, 3.0]


def test_a_weight_of_zero_moves_by_the_whole_lr():
    p = with_gradient([0.0], [2.0])
    LARS([p], lr=0.5).step()
    assert p.tolist() == [-1.0]


def test_weight_decay_is_scaled_too():
    p = with_gradient([2.0], [1.0])
    LARS([p], lr=1.0, weight_decay=0.5, eta=0.1, eps=0.0).step()
    rate = 0.1 * 2 / (1 + 0.5 * 2)
    assert p.item() == pytest.approx(2 - rate * (1 + 0.5 * 2))


def test_a_step_of_lars_takes_few_operations_and_reads_nothing():
    class Count(TorchDispatchMode):
        seen: collections.Counter = collections.Counter()

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            self.seen[str(func)] += 1
            return func(*args, **(kwargs or {}))

    params = [with_gradient([1.0, float(i)], [0.1, 0.2]) for i in range(50)]
    optimizer = LARS(params, lr=0.1, momentum=0.9, weight_decay=1e-4)
    optimizer.step()
    with Count() as count:
        optimizer.step()
    assert count.seen.total() <= 50
    assert count.seen["aten._local_scalar_dense.default"] == 0


@pytest.mark.parametrize(
    "wrong",
    [{"lr": -1.0}, {"momentum": -0.1}, {"eta": -1.0}, {"nesterov": True}],
)
def test_lars_refuses_what_makes_no_sense(wrong):
    with pytest.raises(ValueError, match="LARS"):
        LARS([nn.Parameter(torch.ones(1))], **{"lr": 0.1, **wrong})


def lamb_loop(
    weights: list[torch.Tensor], grads: list[list[torch.Tensor]], lr: float, decay: float
) -> list[torch.Tensor]:
    """LAMB tensor by tensor, from the paper, with gradients brought to a common norm of 1."""
    weights = [w.clone() for w in weights]
    first = [torch.zeros_like(w) for w in weights]
    second = [torch.zeros_like(w) for w in weights]
    for t, step in enumerate(grads, start=1):
        shrink = max(torch.cat([g.flatten() for g in step]).norm().item(), 1.0)
        for i, grad in enumerate(step):
            grad = grad / shrink
            first[i] = 0.9 * first[i] + 0.1 * grad
            second[i] = 0.999 * second[i] + 0.001 * grad**2
            update = first[i] / (1 - 0.9**t) / ((second[i] / (1 - 0.999**t)).sqrt() + 1e-6)
            update = update + decay * weights[i]
            trust = (weights[i].norm() / update.norm()).item() if decay else 1.0
            weights[i] = weights[i] - lr * trust * update
    return weights


@pytest.mark.parametrize("decay", [0.0, 0.01])
def test_lamb_is_the_papers_loop(decay: float):
    torch.manual_seed(0)
    start = [torch.randn(3, 4), torch.randn(5)]
    grads = [[torch.randn(3, 4), torch.randn(5)] for _ in range(5)]
    params = [nn.Parameter(w.clone()) for w in start]
    optimizer = Lamb(params, lr=0.01, weight_decay=decay)
    for step in grads:
        for p, grad in zip(params, step, strict=True):
            p.grad = grad.clone()
        optimizer.step()
    for p, w in zip(params, lamb_loop(start, grads, 0.01, decay), strict=True):
        assert torch.allclose(p, w, rtol=1e-5, atol=1e-7)


def test_lamb_goes_on_from_its_state():
    def run(reload: bool) -> list[float]:
        p = nn.Parameter(torch.tensor([1.0, 2.0]))
        wrapper = build_optim_wrapper(nn.ParameterList([p]), {"optimizer": {"type": "LAMB"}})
        for i in range(4):
            if reload and i == 2:
                state = wrapper.state_dict()
                wrapper = build_optim_wrapper(
                    nn.ParameterList([p]), {"optimizer": {"type": "Lamb"}}
                )
                wrapper.load_state_dict(state)
            wrapper.update_params((p * torch.tensor([1.0, float(i)])).sum())
        return p.tolist()

    assert run(reload=False) == run(reload=True)


def test_lamb_may_clip_its_trust():
    p = with_gradient([100.0], [1e-3])
    Lamb([p], lr=1.0, trust_clip=True, always_adapt=True, weight_decay=0.0).step()
    assert p.item() == pytest.approx(99.0, rel=1e-3)
    with pytest.raises(ValueError, match="must not be negative"):
        Lamb([p], lr=-1.0)


@pytest.mark.parametrize("kind", [LARS, Lamb])
def test_a_closure_computes_the_loss_anew(kind):
    p = nn.Parameter(torch.ones(1))
    optimizer = kind([p], lr=0.1)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == 1.0
    assert p.item() < 1.0
