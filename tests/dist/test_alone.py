import pytest
import torch

from loopwright import dist


def test_alone_every_question_has_an_answer():
    assert dist.get_dist_info() == (0, 1)
    assert dist.is_main_process()
    assert not dist.is_distributed()
    assert dist.get_backend() is None
    assert dist.get_comm_device() == torch.device("cpu")


def test_alone_nothing_is_changed():
    tensor = torch.tensor([1.0, 2.0])
    dist.all_reduce(tensor, "mean")
    dist.broadcast(tensor)
    assert tensor.tolist() == [1.0, 2.0]
    assert dist.all_gather(tensor)[0] is tensor
    assert dist.gather(tensor)[0] is tensor
    assert dist.broadcast_object("x") == "x"
    assert dist.collect_results(["a", "b", "c"], size=2) == ["a", "b"]


def test_a_seed_is_drawn_anew_each_time():
    assert len({dist.sync_random_seed() for _ in range(8)}) > 1


def test_a_misspelt_reduction_is_named_with_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'mean'"):
        dist.all_reduce(torch.zeros(1), "maen")


def test_the_mean_of_whole_numbers_is_refused():
    with pytest.raises(ValueError, match="convert it to float"):
        dist.all_reduce(torch.zeros(1, dtype=torch.int64), "mean")
