import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

from loopwright.model import BaseModel, NoLossError, as_trainable
from loopwright.optim import OptimWrapper

X = torch.linspace(-1, 1, 12).reshape(4, 3)
Y = torch.tensor([0, 1, 0, 1])


def linear(loss="CrossEntropyLoss"):
    torch.manual_seed(0)
    return as_trainable(nn.Linear(3, 2), loss=loss)


def wrapper(model):
    return OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1))


class OwnLoss(nn.Module):
    """As the models of transformers: gives losses when it is given labels."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 2)

    def forward(self, pixels, labels=None):
        logits = self.fc(pixels)
        if labels is None:
            return {"logits": logits}
        return {"loss": functional.cross_entropy(logits, labels), "logits": logits}


def test_names_in_the_state_dict_stay():
    assert list(linear().state_dict()) == ["weight", "bias"]
    weighted = as_trainable(nn.Linear(3, 2), loss=nn.CrossEntropyLoss(weight=torch.ones(2)))
    assert list(weighted.state_dict()) == ["weight", "bias"]


@pytest.mark.parametrize(
    "batch",
    [
        (X, Y),
        [X, Y],
        [list(X), list(Y)],
        {"inputs": X, "data_samples": Y},
        {"inputs": list(X), "data_samples": Y.tolist()},
        {"inputs": X, "labels": Y},
        {"input": X, "target": Y},
    ],
    ids=["tuple", "list", "lists", "dict", "dict of lists", "labels", "forward's own names"],
)
def test_every_form_of_a_batch_gives_the_same_step(batch):
    model, wanted = linear(), functional.cross_entropy(linear()(X), Y)
    logs = model.train_step(batch, wrapper(model))
    assert torch.equal(logs["loss"], wanted.detach())


@pytest.mark.parametrize(
    "loss",
    [
        "CrossEntropyLoss",
        {"type": "CrossEntropyLoss"},
        nn.CrossEntropyLoss(),
        functional.cross_entropy,
    ],
    ids=["name", "config", "module", "function"],
)
def test_a_loss_is_given_in_any_form(loss):
    model = linear(loss)
    wanted = functional.cross_entropy(model(X), Y).item()
    assert model.train_step((X, Y), wrapper(model))["loss"].item() == wanted


def test_a_loss_may_give_several_terms():
    model = linear(lambda logits, y: {"loss_a": logits.sum(), "loss_b": logits.square().sum()})
    assert set(model.train_step((X, Y), wrapper(model))) == {"loss", "loss_a", "loss_b"}


def test_logits_are_found_under_logits_or_out():
    class Segmenter(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(1, 2, 1)

        def forward(self, x):
            return {"out": self.conv(x), "aux": x}

    model = as_trainable(Segmenter(), loss="CrossEntropyLoss")
    batch = (torch.zeros(2, 1, 4, 4), torch.zeros(2, 4, 4, dtype=torch.long))
    assert model.train_step(batch, wrapper(model))["loss"].item() > 0
    first = model.val_step(batch)[0]
    assert first["pred_sem_seg"].shape == first["gt_sem_seg"].shape == (4, 4)


def test_a_model_that_computes_its_own_loss_needs_none():
    model = as_trainable(OwnLoss())
    for batch in ({"pixels": X, "labels": Y}, (X, Y)):
        assert set(model.train_step(batch, wrapper(model))) == {"loss"}


def test_in_validation_targets_are_kept_back_and_shown_beside_the_prediction():
    model = as_trainable(OwnLoss())
    for batch in ({"pixels": X, "labels": Y}, (X, Y)):
        found = model.val_step(batch)
        assert [sorted(one) for one in found] == [["gt_label", "pred_label", "pred_score"]] * 4
        assert [int(one["gt_label"]) for one in found] == Y.tolist()


def test_a_tuple_with_the_loss_first_is_read():
    class Pair(OwnLoss):
        def forward(self, pixels, labels=None):
            given = super().forward(pixels, labels)
            return given["loss"], given["logits"]

    model = as_trainable(Pair())
    assert model.train_step((X, Y), wrapper(model))["loss"].item() > 0


def test_logits_without_a_loss_are_told_what_to_do():
    model = as_trainable(nn.Linear(3, 2))
    with pytest.raises(NoLossError, match=r"shape \(4, 2\).*loss='CrossEntropyLoss'"):
        model.train_step(X, wrapper(model))


def test_a_loss_without_targets_says_which_batches_it_wants():
    model = linear()
    with pytest.raises(NoLossError, match="needs targets: give batches as"):
        model.train_step(X, wrapper(model))


def test_a_loss_for_a_model_with_its_own_train_step_is_refused():
    with pytest.raises(ValueError, match="computes its own losses"):
        as_trainable(BaseModel(), loss="CrossEntropyLoss")


def test_a_model_that_trains_itself_comes_back_as_it_is():
    model = BaseModel()
    assert as_trainable(model) is model
    assert "train_step" not in vars(model)


def test_an_unknown_loss_names_the_nearest():
    with pytest.raises(KeyError, match="CrossEntropyLoss"):
        as_trainable(nn.Linear(1, 1), loss="CrossEntropyLos")


def test_something_else_than_a_module_is_refused():
    with pytest.raises(TypeError, match="got a dict"):
        as_trainable({"type": "Net"})


def test_a_copy_trains_itself_and_not_the_original():
    model = linear()
    twin = copy.deepcopy(model)
    before = model.weight.clone()
    twin.train_step((X, Y), wrapper(twin))
    assert torch.equal(model.weight, before)
    assert not torch.equal(twin.weight, before)


def test_predictions_without_targets_are_rows():
    assert [one["pred"].shape for one in linear().val_step(X)] == [(2,)] * 4


def test_the_loss_of_validation_is_measured():
    model = linear()
    assert model.loss_step((X, Y))["loss"].item() == functional.cross_entropy(model(X), Y).item()


def test_a_batch_is_preprocessed_when_asked_for():
    model = as_trainable(
        nn.Conv2d(3, 2, 1),
        loss="CrossEntropyLoss",
        data_preprocessor={"type": "ImgDataPreprocessor", "pad_size_divisor": 4},
    )
    images = [torch.zeros(3, 2, 3), torch.zeros(3, 4, 4)]
    found = model.val_step({"inputs": images, "data_samples": torch.zeros(2, 4, 4).long()})
    assert found[0]["pred_sem_seg"].shape == (4, 4)


def test_the_loss_follows_the_model_to_another_device():
    model = as_trainable(nn.Linear(3, 2), loss=nn.CrossEntropyLoss(weight=torch.ones(2)))
    model.loss_step((X, Y))
    model.to("meta")
    assert model.loss_step((X, Y))["loss"].is_meta
