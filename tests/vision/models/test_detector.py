import pytest
import torch

from loopwright.data import pseudo_collate
from loopwright.optim import build_optim_wrapper
from loopwright.registry import MODELS
from loopwright.vision.models.assign import dynamic_soft_labels
from loopwright.vision.models.detector import grid_points, quality_focal, truths_of

IMAGES = torch.zeros(2, 1, 32, 32)
IMAGES[0, :, 4:16, 4:16] = 1
IMAGES[1, :, 12:28, 10:26] = 0.5
BOXES = [torch.tensor([[4.0, 4, 16, 16]]), torch.tensor([[10.0, 12, 26, 28]])]
SAMPLES = {"boxes": BOXES, "labels": [torch.tensor([0]), torch.tensor([1])]}


def detector(**head):
    torch.manual_seed(0)
    return MODELS.build(
        {
            "type": "RTMDet",
            "backbone": {
                "type": "CSPNeXt",
                "in_channels": 1,
                "widths": (8, 8, 16),
                "out_stages": 2,
            },
            "neck": {"type": "CSPNeXtPAFPN", "in_channels": (8, 16), "out_channels": 8},
            "bbox_head": {
                "type": "RTMDetSepBNHead",
                "num_classes": 2,
                "in_channels": 8,
                "feat_channels": 8,
                "strides": (4, 8),
                **head,
            },
        }
    )


def wrapper_of(net):
    cfg = {
        "optimizer": {"type": "AdamW", "lr": 0.01, "weight_decay": 0.05},
        "paramwise_cfg": {"norm_decay_mult": 0, "bias_decay_mult": 0, "bypass_duplicate": True},
    }
    return build_optim_wrapper(net, cfg)


def test_it_learns_two_boxes_by_heart():
    net = detector()
    wrapper = wrapper_of(net)
    for _ in range(60):
        logs = net.train_step({"inputs": list(IMAGES), "data_samples": SAMPLES}, wrapper)
    assert set(logs) == {"loss", "loss_cls", "loss_bbox"}
    with torch.no_grad():
        found = net.eval().val_step({"inputs": IMAGES, "data_samples": SAMPLES})
    for number, one in enumerate(found):
        assert torch.allclose(one["boxes"][0], BOXES[number][0], atol=2.0)
        assert one["labels"][0] == number
        assert one["scores"][0] > 0.5
        assert torch.equal(one["gt"]["boxes"], BOXES[number])


def test_levels_share_convolutions_and_not_norms():
    head = detector().bbox_head
    assert head.cls_convs[0][0].conv is head.cls_convs[1][0].conv
    assert head.cls_convs[0][0].bn is not head.cls_convs[1][0].bn
    apart = detector(share_conv=False).bbox_head
    assert apart.cls_convs[0][0].conv is not apart.cls_convs[1][0].conv


def test_images_without_objects_give_a_finite_loss():
    empty = [{"boxes": torch.zeros(0, 4), "labels": torch.zeros(0)} for _ in range(2)]
    losses = detector()(IMAGES, empty, mode="loss")
    assert torch.isfinite(losses["loss_cls"])
    assert losses["loss_bbox"] == 0
    (losses["loss_cls"] + losses["loss_bbox"]).backward()


def test_ignored_boxes_neither_train_nor_count():
    plain = detector()(IMAGES, SAMPLES, mode="loss")
    more = {
        "boxes": [torch.cat([b, torch.tensor([[18.0, 18, 30, 30]])]) for b in BOXES[:1]]
        + [BOXES[1]],
        "labels": [torch.tensor([0, 1]), torch.tensor([1])],
        "ignore": [torch.tensor([False, True]), torch.tensor([False])],
    }
    ignoring = detector()(IMAGES, more, mode="loss")
    assert ignoring["loss_bbox"] == plain["loss_bbox"]
    assert ignoring["loss_cls"] < plain["loss_cls"]


def assign(truth, labels=None, ignore=None, **how):
    points = grid_points((4, 4), 8, torch.zeros(1))
    strides = torch.full((16,), 8.0)
    boxes = torch.cat([points - 4, points + 4], 1)
    labels = torch.zeros(len(truth), dtype=torch.long) if labels is None else labels
    return dynamic_soft_labels(
        points, strides, boxes, torch.zeros(16, 2), truth, labels, ignore, **how
    )


def test_an_object_takes_at_least_one_point_and_only_points_inside_it():
    assigned = assign(torch.tensor([[0.0, 0, 8, 8], [16.0, 16, 32, 32]]))
    assert assigned.objects[0] == 0
    assert assigned.overlaps[0] == 1.0
    theirs = torch.nonzero(assigned.objects == 1)[:, 0].tolist()
    assert theirs
    assert set(theirs) <= {10, 11, 14, 15}
    assert (assigned.overlaps[assigned.objects < 0] == 0).all()


def test_points_in_ignored_boxes_are_left_out():
    truth = torch.tensor([[0.0, 0, 8, 8], [16.0, 16, 32, 32]])
    assigned = assign(truth, ignore=torch.tensor([False, True]))
    assert assigned.objects[[10, 11, 14, 15]].tolist() == [-2] * 4
    assert assigned.objects[0] == 0


def test_no_objects_assign_nothing():
    assert (assign(torch.zeros(0, 4)).objects == -1).all()


def test_the_quality_loss_is_zero_where_the_score_is_the_target():
    logits = torch.tensor([[0.0]])
    assert quality_focal(logits, torch.tensor([[0.5]])).item() == 0
    # (1 - 0.5)^2 * -log(0.5)
    assert quality_focal(logits, torch.tensor([[1.0]])).item() == pytest.approx(0.25 * 0.693147)


def test_truths_come_in_any_form():
    as_dicts = [
        {"bboxes": box, "labels": label}
        for box, label in zip(SAMPLES["boxes"], SAMPLES["labels"], strict=True)
    ]
    collated = pseudo_collate([{"data_samples": one} for one in as_dicts])["data_samples"]
    instances = [{"gt_instances": one} for one in as_dicts]
    for samples in (SAMPLES, as_dicts, collated, instances):
        assert [t.labels.item() for t in truths_of(samples)] == [0, 1]
        assert not any(t.ignore.any() for t in truths_of(samples))
    with pytest.raises(KeyError, match="needs boxes"):
        truths_of([{"box": 1}])


def test_predictions_stay_inside_the_image():
    found = detector().eval()(IMAGES, mode="predict")
    for one in found:
        assert (one["boxes"] >= 0).all()
        assert (one["boxes"] <= 32).all()
        assert "gt" not in one


def test_a_deep_copy_keeps_sharing():
    import copy

    head = copy.deepcopy(detector()).bbox_head
    assert head.cls_convs[0][0].conv is head.cls_convs[1][0].conv


@pytest.mark.parametrize("label", [-1, 2])
def test_a_label_that_is_no_class_is_named_with_the_classes_there_are(label):
    truth = {"boxes": [BOXES[0], BOXES[1]], "labels": [torch.tensor([0]), torch.tensor([label])]}
    with pytest.raises(ValueError, match=rf"image 1 .* label {label}, .*num_classes=2"):
        detector()(IMAGES, truth, mode="loss")
