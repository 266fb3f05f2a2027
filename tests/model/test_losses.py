import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from loopwright.model import NoLossError, parse_losses


def numbers(logs):
    return {name: float(value) for name, value in logs.items()}


def test_a_tensor_counts_with_its_mean_and_a_list_with_the_sum_of_means():
    total, logs = parse_losses(
        {
            "loss_a": torch.tensor([1.0, 3.0]),
            "loss_b": [torch.tensor(1.0), torch.tensor([2.0, 4.0])],
            "acc": torch.tensor(0.5),
        }
    )
    assert total.item() == 6.0
    assert numbers(logs) == {"loss": 6.0, "loss_a": 2.0, "loss_b": 4.0, "acc": 0.5}
    assert next(iter(logs)) == "loss"


def test_an_entry_called_loss_does_not_hide_the_sum():
    total, logs = parse_losses({"loss": torch.tensor(1.0), "loss_aux": torch.tensor(2.0)})
    assert total.item() == 3.0
    assert numbers(logs) == {"loss": 3.0, "loss_aux": 2.0}


def test_a_name_that_merely_contains_loss_counts():
    assert parse_losses({"mylossy": torch.tensor(2.0), "acc": torch.tensor(1.0)})[0].item() == 2.0


def test_a_tensor_alone_is_the_loss():
    total, logs = parse_losses(torch.tensor([1.0, 3.0]))
    assert (total.item(), numbers(logs)) == (2.0, {"loss": 2.0})


def test_numbers_beside_losses_are_logged_as_they_are():
    assert parse_losses({"loss": torch.tensor(1.0), "boxes": 3})[1]["boxes"] == 3


def test_what_is_logged_holds_no_graph():
    weight = torch.ones(2, requires_grad=True)
    total, logs = parse_losses({"loss_a": weight * 2, "acc": weight.sum()})
    assert total.requires_grad
    assert not any(value.requires_grad for value in logs.values())


def test_whole_numbers_are_averaged_as_floats():
    assert parse_losses({"loss": torch.tensor(1.0), "hits": torch.tensor([1, 2])})[1]["hits"] == 1.5


@pytest.mark.parametrize(
    ("given_back", "said"),
    [
        ({"acc": torch.tensor(0.5)}, r"got dict\(acc=tensor of shape \(\)\)"),
        ({}, "got an empty dict"),
        ({"loss_a": 1.0}, "loss_a must be a tensor or a list of tensors, got 1.0"),
        ({"loss_a": []}, "loss_a must be a tensor or a list of tensors, got an empty list"),
        (None, "gave None"),
        (("a",), "gave tuple of 1 of 'a'"),
    ],
)
def test_a_forward_without_a_loss_is_told_what_it_gave(given_back, said):
    with pytest.raises(NoLossError, match=said):
        parse_losses(given_back)


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=6))
def test_the_sum_is_added_up_from_left_to_right(values):
    terms = [torch.tensor(v) for v in values]
    wanted = terms[0]
    for term in terms[1:]:
        wanted = wanted + term
    total, _ = parse_losses({f"loss_{i}": term for i, term in enumerate(terms)})
    assert torch.equal(total, wanted)
