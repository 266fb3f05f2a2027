import pytest
import torch
from torch.nn import functional

from loopwright.optim import OptimWrapper
from loopwright.registry import MODELS
from loopwright.vision.models.segmentor import Feature2Pyramid, UPerHead

IMAGES = torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(0))
MASKS = (IMAGES[:, 0] > 0.5).long()


def segmentor(**more):
    torch.manual_seed(0)
    return MODELS.build(
        {
            "type": "EncoderDecoder",
            "backbone": {
                "type": "VisionTransformer",
                "img_size": 16,
                "patch_size": 4,
                "in_channels": 1,
                "embed_dims": 8,
                "num_layers": 2,
                "num_heads": 2,
                "out_type": "featmap",
                "out_indices": (0, 1),
            },
            "neck": {"type": "Feature2Pyramid", "embed_dim": 8, "rescales": (4, 1)},
            "decode_head": {
                "type": "UPerHead",
                "in_channels": (8, 8),
                "channels": 8,
                "num_classes": 2,
                "pool_scales": (1, 2),
            },
            "auxiliary_head": {
                "type": "FCNHead",
                "in_channels": 8,
                "channels": 8,
                "num_classes": 2,
                "loss_weight": 0.4,
            },
            **more,
        }
    )


def test_it_learns_where_bright_pixels_are():
    net = segmentor()
    wrapper = OptimWrapper(torch.optim.AdamW(net.parameters(), lr=0.01))
    first = net.train_step({"inputs": IMAGES, "data_samples": MASKS}, wrapper)
    for _ in range(30):
        last = net.train_step({"inputs": IMAGES, "data_samples": MASKS}, wrapper)
    assert set(first) == {
        "loss",
        "decode.loss_ce",
        "decode.acc_seg",
        "aux.loss_ce",
        "aux.acc_seg",
    }
    assert last["decode.loss_ce"] < first["decode.loss_ce"] * 0.8


def test_predictions_are_masks_of_the_images_size():
    net = segmentor(keep_logits=True).eval()
    found = net.val_step({"inputs": list(IMAGES), "data_samples": list(MASKS)})
    assert found[1]["pred_sem_seg"].shape == (16, 16)
    assert torch.equal(found[1]["gt_sem_seg"], MASKS[1])
    assert found[1]["seg_logits"].shape == (2, 16, 16)


@pytest.mark.parametrize(
    "samples",
    [
        {"gt_sem_seg": MASKS},
        [{"gt_sem_seg": mask} for mask in MASKS],
        [{"gt_sem_seg": mask[None]} for mask in MASKS],
    ],
    ids=["dict", "dicts", "with a channel"],
)
def test_masks_come_in_any_form(samples):
    wanted = segmentor().eval()(IMAGES, MASKS, mode="loss")["decode.loss_ce"]
    assert segmentor().eval()(IMAGES, samples, mode="loss")["decode.loss_ce"] == wanted


def test_ignored_pixels_cost_nothing():
    net = segmentor().eval()
    masks = MASKS.clone()
    masks[:, :8] = 255
    logits = net(IMAGES)
    logits = functional.interpolate(logits, size=(16, 16), mode="bilinear")
    cost = functional.cross_entropy(logits, masks, ignore_index=255, reduction="none")
    assert (cost[:, :8] == 0).all()
    found = net(IMAGES, masks, mode="loss")["decode.loss_ce"]
    assert torch.allclose(found, cost.mean())


def test_class_weights_are_no_part_of_the_state():
    head = UPerHead((4, 4), 4, 2, class_weight=[1.0, 3.0])
    assert "class_weight" not in head.state_dict()
    masks = torch.ones(1, 8, 8, dtype=torch.long)
    plain = UPerHead((4, 4), 4, 2)
    logits = torch.zeros(1, 2, 4, 4)
    cost, plain_cost = (h.losses(logits, masks)["loss_ce"].item() for h in (head, plain))
    assert cost == pytest.approx(3 * plain_cost)


def test_a_pyramid_of_maps_of_one_size():
    neck = Feature2Pyramid(4)
    sizes = [tuple(x.shape[-2:]) for x in neck([torch.zeros(1, 4, 4, 4)] * 4)]
    assert sizes == [(16, 16), (8, 8), (4, 4), (2, 2)]
    with pytest.raises(ValueError, match="4 rescales for 1 feature maps"):
        neck([torch.zeros(1, 4, 4, 4)])
    with pytest.raises(ValueError, match="a rescale must be"):
        Feature2Pyramid(4, (3,))


def test_a_batch_of_one_image_trains():
    net = segmentor()
    wrapper = OptimWrapper(torch.optim.SGD(net.parameters(), lr=0.01))
    net.train_step({"inputs": IMAGES[:1], "data_samples": MASKS[:1]}, wrapper)


def test_depths_come_from_the_backbone():
    assert segmentor().get_layer_depth("backbone.blocks.1.ln1.weight") == (2, 4)
    assert segmentor().get_layer_depth("decode_head.conv_seg.weight") == (3, 4)
