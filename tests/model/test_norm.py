import pytest
import torch
from torch import nn

from loopwright.model import convert_sync_batchnorm, revert_sync_batchnorm, update_bn_stats


def test_statistics_are_those_of_all_samples_together():
    torch.manual_seed(0)
    net = nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 2, 1)).train()
    batches = [torch.randn(n, 3, 4, 4) * n + n for n in (2, 5, 3)]
    assert update_bn_stats(net, batches, num_iter=3) == 1
    rows = torch.cat(batches).permute(1, 0, 2, 3).reshape(3, -1)
    assert torch.allclose(net[0].running_mean, rows.mean(1), atol=1e-6)
    assert torch.allclose(net[0].running_var, rows.var(1), rtol=1e-5)


def test_weights_and_momentum_stay():
    net = nn.Sequential(nn.BatchNorm1d(2), nn.Linear(2, 2)).train()
    before = net[1].weight.clone()
    update_bn_stats(net, [torch.randn(4, 2)], num_iter=1)
    assert torch.equal(net[1].weight, before)
    assert net[0].momentum == 0.1


def test_frozen_norms_are_left_alone():
    net = nn.Sequential(nn.BatchNorm1d(2).eval(), nn.Linear(2, 2))
    assert update_bn_stats(net, [], num_iter=9) == 0


def test_too_few_batches_are_an_error():
    net = nn.BatchNorm1d(2).train()
    with pytest.raises(ValueError, match="wants 3 batches, the loader gave 1"):
        update_bn_stats(net, [torch.randn(4, 2)], num_iter=3)


def test_synchronised_norms_come_and_go_with_their_values():
    net = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2))
    nn.init.constant_(net[1].weight, 3.0)
    synced = convert_sync_batchnorm(net)
    assert isinstance(synced[1], nn.SyncBatchNorm)
    plain = revert_sync_batchnorm(synced)
    assert not isinstance(plain[1], nn.SyncBatchNorm)
    assert plain[1].weight.tolist() == [3.0, 3.0]
    assert plain(torch.zeros(2, 1, 3, 3)).shape == (2, 2, 3, 3)
    assert list(plain.state_dict()) == list(net.state_dict())


def test_an_unknown_kind_of_synchronised_norm_is_an_error():
    with pytest.raises(ValueError, match="sync_bn must be 'torch', got 'mmcv'"):
        convert_sync_batchnorm(nn.BatchNorm2d(1), "mmcv")
