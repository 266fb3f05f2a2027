import copy

import pytest
import torch
from torch import nn

from loopwright.model import turn_on_activation_checkpointing, turn_on_efficient_conv_bn_eval

X = torch.rand(2, 1, 6, 6, generator=torch.Generator().manual_seed(0))


def net():
    torch.manual_seed(0)
    made = nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 2, 1, bias=False)
    )
    made.append(nn.BatchNorm2d(2))
    for module in made:
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-1, 1)
            module.running_var.uniform_(0.5, 2)
            nn.init.uniform_(module.weight)
            nn.init.uniform_(module.bias)
    return made


def learnt(model):
    out = model(X)
    out.square().sum().backward()
    return out.detach(), [p.grad for p in model.parameters()]


def same(one, two, atol):
    return torch.allclose(one[0], two[0], atol=atol) and all(
        torch.allclose(a, b, atol=atol, rtol=1e-4) for a, b in zip(one[1], two[1], strict=True)
    )


def test_computing_again_gives_the_same_gradients():
    plain, again = net(), turn_on_activation_checkpointing(net(), ["0", "2"])
    assert same(learnt(plain), learnt(again), atol=0)
    assert list(again.state_dict()) == list(plain.state_dict())


def test_less_is_kept_for_backward():
    def kept(model):
        seen = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t: seen.append(t) or t, lambda t: t):
            model(X)
        return len(seen)

    inner = nn.Sequential(net())
    assert kept(turn_on_activation_checkpointing(copy.deepcopy(inner), "0")) < kept(inner)


def test_folded_norms_give_the_same_outputs_and_gradients():
    plain, folded = net().eval(), turn_on_efficient_conv_bn_eval(net()).eval()
    assert same(learnt(plain), learnt(folded), atol=1e-5)


def test_norms_in_training_work_as_before():
    plain, folded = net().train(), turn_on_efficient_conv_bn_eval(net()).train()
    assert same(learnt(plain), learnt(folded), atol=0)
    assert torch.equal(plain[1].running_mean, folded[1].running_mean)


def test_a_part_that_is_not_there_names_the_nearest():
    model = nn.ModuleDict({"backbone": net()})
    with pytest.raises(ValueError, match="did you mean 'backbone'"):
        turn_on_activation_checkpointing(model, ["backbon"])
    with pytest.raises(ValueError, match="has no convolution before a norm"):
        turn_on_efficient_conv_bn_eval(nn.Sequential(nn.Linear(1, 1)))


def test_a_part_that_cannot_be_traced_says_so():
    class Branches(nn.Module):
        def forward(self, x):
            return x if x.sum() > 0 else -x

    with pytest.raises(ValueError, match="cannot be traced"):
        turn_on_efficient_conv_bn_eval(Branches())
