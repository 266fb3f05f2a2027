import pytest
import torch
from torch import nn

from loopwright.model import BaseTTAModel, MeanTTAModel, as_trainable
from loopwright.model.tta import views_of


def classifier():
    net = as_trainable(nn.Linear(2, 2, bias=False), loss="CrossEntropyLoss")
    nn.init.eye_(net.weight)
    return net


def test_the_views_of_a_sample_are_merged():
    tta = MeanTTAModel(classifier())
    views = [torch.tensor([[0.0, 1.0], [2.0, 0.0]]), torch.tensor([[3.0, 0.0], [2.0, 0.0]])]
    labels = torch.tensor([0, 0])
    found = tta.test_step({"inputs": views, "data_samples": [labels, labels]})
    assert [int(one["pred_label"]) for one in found] == [0, 0]
    scores = torch.stack([view[0].softmax(0) for view in views]).mean(0)
    assert torch.allclose(found[0]["pred_score"], scores)


def test_merging_is_said_by_a_subclass():
    class First(BaseTTAModel):
        def merge_preds(self, data_samples_list):
            return [views[0] for views in data_samples_list]

    views = [torch.tensor([[0.0, 1.0]]), torch.tensor([[1.0, 0.0]])]
    found = First(classifier()).test_step((views, [torch.tensor([0]), torch.tensor([0])]))
    assert [int(one["pred_label"]) for one in found] == [1]
    with pytest.raises(NotImplementedError, match="merge_preds"):
        BaseTTAModel(classifier()).merge_preds([])


def test_views_are_taken_apart_field_by_field():
    batch = {"inputs": ["a1", "a2"], "data_samples": None}
    assert views_of(batch) == [
        {"inputs": "a1", "data_samples": None},
        {"inputs": "a2", "data_samples": None},
    ]
    with pytest.raises(ValueError, match="different numbers of views"):
        views_of((["a1", "a2"], ["b1"]))
