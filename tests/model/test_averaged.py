import copy

import pytest
import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile

from loopwright.model import (
    BaseAveragedModel,
    ExponentialMovingAverage,
    MomentumAnnealingEMA,
    StochasticWeightAverage,
)
from loopwright.registry import MODELS


def follow(kind, updates=7, **settings):
    """Weights 1, 2, 3, … and running means 10, 20, 30, …: what the average holds after each."""
    net = nn.Sequential(nn.Linear(1, 1, bias=False), nn.BatchNorm1d(1))
    nn.init.zeros_(net[0].weight)
    averaged = kind(net, **settings)
    weights, means = [], []
    for i in range(1, updates + 1):
        nn.init.constant_(net[0].weight, i)
        net[1].running_mean.fill_(10.0 * i)
        net[1].num_batches_tracked.fill_(i)
        averaged.update_parameters(net)
        weights.append(round(averaged.module[0].weight.item(), 5))
        means.append(round(averaged.module[1].running_mean.item(), 5))
    return weights, means, averaged


# Recorded from MMEngine 0.10.7.
@pytest.mark.parametrize(
    ("kind", "settings", "wanted"),
    [
        (
            ExponentialMovingAverage,
            {"momentum": 0.1},
            [1, 1.1, 1.29, 1.561, 1.9049, 2.31441, 2.78297],
        ),
        (
            ExponentialMovingAverage,
            {"momentum": 0.1, "interval": 3},
            [1, 1, 1, 1.3, 1.3, 1.3, 1.87],
        ),
        (StochasticWeightAverage, {}, [1, 1.5, 2, 2.5, 3, 3.5, 4]),
        (StochasticWeightAverage, {"interval": 2}, [1, 1, 2, 2, 3, 3, 4]),
        (
            MomentumAnnealingEMA,
            {"momentum": 0.1, "gamma": 2},
            [1, 1.66667, 2.33333, 3, 3.66667, 4.33333, 5],
        ),
        (MomentumAnnealingEMA, {"momentum": 0.1, "gamma": 2, "interval": 2}, [1, 1, 2, 2, 3, 3, 4]),
    ],
)
def test_averages_are_those_of_mmengine(kind, settings, wanted):
    assert follow(kind, **settings)[0] == wanted


def test_buffers_are_copied_or_averaged():
    _, copied, _ = follow(ExponentialMovingAverage, momentum=0.1, interval=2)
    assert copied == [10, 20, 30, 40, 50, 60, 70]
    _, averaged, model = follow(
        ExponentialMovingAverage, momentum=0.1, interval=2, update_buffers=True
    )
    assert averaged == [10, 10, 12, 12, 15.8, 15.8, 21.22]
    assert model.module[1].num_batches_tracked.item() == 7


def test_the_state_has_mmengines_names_and_goes_on_where_it_was():
    _, _, first = follow(StochasticWeightAverage, updates=3)
    assert [*first.state_dict()][:2] == ["steps", "module.0.weight"]
    net = copy.deepcopy(first.module)
    second = StochasticWeightAverage(net)
    second.load_state_dict(first.state_dict())
    assert second.steps == 3
    nn.init.constant_(net[0].weight, 6.0)
    second.update_parameters(net)
    assert second.module[0].weight.item() == 3.0  # (1 + 2 + 3 + 6) / 4


def test_the_counter_is_no_tensor_and_no_value_is_read():
    net = nn.Linear(2, 2)
    averaged = MomentumAnnealingEMA(net)
    averaged.update_parameters(net)
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        for _ in range(3):
            averaged.update_parameters(net)
    assert type(averaged.steps) is int
    assert "aten::_local_scalar_dense" not in {event.key for event in seen.key_averages()}


def test_inside_the_block_the_model_holds_the_average():
    net = nn.Linear(1, 1, bias=False)
    averaged = StochasticWeightAverage(net)
    for value in (1.0, 3.0):
        nn.init.constant_(net.weight, value)
        averaged.update_parameters(net)
    storage = net.weight.data_ptr()
    inside = []

    def fail():
        with averaged.swapped(net):
            inside.append((net.weight.item(), averaged.module.weight.item()))
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert inside == [(2.0, 3.0)]
    assert (net.weight.item(), averaged.module.weight.item()) == (3.0, 2.0)
    assert net.weight.data_ptr() == storage


def test_an_average_of_ones_own_moves_tensor_by_tensor():
    class Sum(BaseAveragedModel):
        def avg_func(self, averaged_param, source_param, steps):
            averaged_param.add_(source_param)

    net = nn.Linear(1, 1, bias=False)
    nn.init.constant_(net.weight, 2.0)
    total = Sum(net)
    for _ in range(3):
        total.update_parameters(net)
    assert total.module.weight.item() == 6.0


def test_the_copy_is_not_trained_and_predicts():
    net = nn.Linear(2, 1)
    averaged = ExponentialMovingAverage(net, momentum=0.5)
    assert not any(p.requires_grad for p in averaged.parameters())
    assert torch.equal(averaged(torch.ones(1, 2)), net(torch.ones(1, 2)))


def test_averages_are_built_by_name():
    built = MODELS.build(
        {"type": "ExponentialMovingAverage", "momentum": 0.1}, model=nn.Linear(1, 1)
    )
    assert built.momentum == 0.1


@pytest.mark.parametrize("momentum", [0.0, 1.0, 1.5, -0.1])
def test_a_momentum_outside_its_range_is_an_error(momentum):
    with pytest.raises(ValueError, match="between 0 and 1"):
        ExponentialMovingAverage(nn.Linear(1, 1), momentum=momentum)


def test_a_decay_given_as_momentum_is_noticed():
    with pytest.warns(UserWarning, match=r"a decay of 0.999 is written 0.001"):
        ExponentialMovingAverage(nn.Linear(1, 1), momentum=0.999)


def test_wrong_intervals_and_gammas_are_errors():
    with pytest.raises(ValueError, match="interval"):
        StochasticWeightAverage(nn.Linear(1, 1), interval=0)
    with pytest.raises(ValueError, match="gamma"):
        MomentumAnnealingEMA(nn.Linear(1, 1), gamma=0)


def test_another_model_than_the_copied_one_is_an_error():
    averaged = StochasticWeightAverage(nn.Linear(1, 1))
    with pytest.raises(ValueError, match="not the one that was copied"):
        averaged.update_parameters(nn.Linear(1, 1, bias=False))
