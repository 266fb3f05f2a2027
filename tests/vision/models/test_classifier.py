import pytest
import torch

from loopwright.optim import OptimWrapper
from loopwright.registry import MODELS
from loopwright.vision.models.common import as_batch, column

X = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
Y = torch.tensor([0, 1, 2, 1])


def classifier():
    torch.manual_seed(0)
    return MODELS.build(
        {
            "type": "ImageClassifier",
            "backbone": {
                "type": "ResNet",
                "depth": 10,
                "in_channels": 1,
                "base_channels": 4,
                "num_stages": 2,
                "stem": "small",
            },
            "head": {"type": "LinearClsHead", "num_classes": 3, "in_channels": 8},
        }
    )


@pytest.mark.parametrize(
    "samples",
    [Y, Y.tolist(), [{"gt_label": y} for y in Y], {"gt_label": Y}, [{"label": int(y)} for y in Y]],
    ids=["tensor", "numbers", "dicts", "dict", "other name"],
)
def test_labels_come_in_any_form(samples):
    net = classifier()
    losses = net(X, samples, mode="loss")
    assert losses["loss"].item() == classifier()(X, Y, mode="loss")["loss"].item()
    assert 0 <= losses["accuracy_top-1"] <= 100


def test_a_training_step_learns():
    net = classifier()
    wrapper = OptimWrapper(torch.optim.AdamW(net.parameters(), lr=0.01))
    first = net.train_step({"inputs": list(X), "data_samples": Y}, wrapper)["loss"].item()
    for _ in range(20):
        last = net.train_step({"inputs": X, "data_samples": Y}, wrapper)["loss"].item()
    assert last < first / 2


def test_predictions_hold_the_truth_where_it_is_known():
    net = classifier().eval()
    found = net.val_step({"inputs": X, "data_samples": Y})
    assert [sorted(one) for one in found] == [["gt_label", "pred_label", "pred_score"]] * 4
    assert found[2]["pred_score"].sum().item() == pytest.approx(1)
    assert sorted(net.val_step({"inputs": X})[0]) == ["pred_label", "pred_score"]


def test_features_are_one_row_an_image():
    assert classifier().extract_feat(X).shape == (4, 8)


def test_images_of_different_size_say_the_way_out():
    with pytest.raises(ValueError, match=r"different size.*ImgDataPreprocessor"):
        as_batch([torch.zeros(1, 2, 2), torch.zeros(1, 3, 2)])


def test_a_sample_without_a_label_is_told_what_it_has():
    with pytest.raises(KeyError, match=r"one of gt_label, label, it has \['gt_labl'\]; did you"):
        column([{"gt_labl": 1}], ("gt_label", "label"))


def test_training_without_labels_is_an_error():
    with pytest.raises(ValueError, match="training needs labels"):
        classifier()(X, None, mode="loss")
