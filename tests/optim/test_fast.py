"""Backward and step on the short way do what torch does, and give way where something listens."""

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import ConstantLR

from loopwright.optim import OptimWrapper, fast


def net(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.LayerNorm(4), nn.Linear(4, 1))


def gradients(model: nn.Module) -> list[torch.Tensor]:
    return [p.grad for p in model.parameters()]


@pytest.mark.parametrize("times", [1, 2])
def test_gradients_are_torchs_to_the_bit(times: int):
    ours, theirs, x = net(), net(), torch.randn(5, 3)
    for _ in range(times):
        fast.backward(ours(x).square().mean(), {})
        theirs(x).square().mean().backward()
    assert all(map(torch.equal, gradients(ours), gradients(theirs)))


def test_a_sum_of_two_scalars_gives_each_a_gradient_of_its_own():
    a, b = nn.Parameter(torch.tensor(1.0)), nn.Parameter(torch.tensor(2.0))
    fast.backward(a + b, {})
    a.grad.mul_(5)
    assert (a.grad.item(), b.grad.item()) == (5.0, 1.0)


def test_options_of_backward_are_obeyed():
    w = nn.Parameter(torch.ones(2))
    loss = (w * w).sum()
    fast.backward(loss, {"retain_graph": True})
    fast.backward(loss, {"gradient": torch.tensor(2.0)})
    assert w.grad.tolist() == [6.0, 6.0]


def test_a_loss_of_several_values_is_refused_as_torch_refuses_it():
    with pytest.raises(RuntimeError, match="scalar outputs"):
        fast.backward(nn.Parameter(torch.ones(2)) * 2, {})


def test_a_loss_that_depends_on_nothing_is_refused_as_torch_refuses_it():
    with pytest.raises(RuntimeError, match="does not require grad"):
        fast.backward(torch.tensor(1.0), {})


def test_hooks_of_tensors_are_called():
    w, seen = nn.Parameter(torch.ones(2)), []
    w.register_hook(lambda grad: seen.append(grad.tolist()))
    fast.backward((3 * w).sum(), {})
    assert seen == [[3.0, 3.0]]


def stepped(prepare) -> tuple[list, list]:
    """What two optimizers made of the same gradients: on the short way, and torch's."""
    made = []
    for verb in (lambda optimizer: fast.step(optimizer, {}), lambda optimizer: optimizer.step()):
        model = net()
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
        seen = prepare(optimizer)
        for p in model.parameters():
            p.grad = torch.ones_like(p)
        verb(optimizer)
        made.append(([p.tolist() for p in model.parameters()], list(seen)))
    return made[0], made[1]


def test_a_step_is_torchs():
    ours, theirs = stepped(lambda optimizer: [])
    assert ours == theirs


def test_hooks_of_a_step_are_called():
    def listen(optimizer: torch.optim.Optimizer) -> list[str]:
        seen: list[str] = []
        optimizer.register_step_pre_hook(lambda *_: seen.append("before"))
        optimizer.register_step_post_hook(lambda *_: seen.append("after"))
        return seen

    ours, theirs = stepped(listen)
    assert ours == theirs
    assert ours[1] == ["before", "after"]


def test_a_profiler_finds_its_label():
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with torch.profiler.profile() as profile:
        fast.step(optimizer, {})
    assert any(e.key == "Optimizer.step#SGD.step" for e in profile.key_averages())


def test_a_step_that_was_replaced_is_the_one_that_is_made():
    optimizer = torch.optim.SGD(net().parameters(), lr=0.1)
    ConstantLR(optimizer)
    fast.step(optimizer, {})
    assert optimizer._opt_called


def test_a_closure_reaches_the_optimizer():
    w = nn.Parameter(torch.ones(1))
    wrapper = OptimWrapper(torch.optim.LBFGS([w], lr=0.5))

    def closure() -> torch.Tensor:
        wrapper.optimizer.zero_grad()
        loss = (w * w).sum()
        loss.backward()
        return loss

    wrapper.step(closure=closure)
    assert w.item() < 1.0
