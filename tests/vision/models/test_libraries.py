import pytest
import torch

from loopwright.optim import OptimWrapper
from loopwright.registry import MODELS
from loopwright.vision.models.libraries import library

X = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
LABELS = torch.tensor([0, 1])
MASKS = (X[:, 0] > 0.5).long()


def step(cfg, targets):
    net = MODELS.build(cfg)
    wrapper = OptimWrapper(torch.optim.SGD(net.parameters(), lr=1e-3))
    data = {"inputs": X, "data_samples": targets}
    logs = net.train_step(data, wrapper)
    with torch.no_grad():
        return logs, net.eval().val_step(data)


def usable(name):
    try:
        library(name, name)
    except ImportError:
        return False
    return True


needs_timm = pytest.mark.skipif(not usable("timm"), reason="timm does not import here")


def test_a_library_that_is_missing_says_how_to_get_it():
    with pytest.raises(ImportError, match=r"this model needs nowhere, .* pip install nowhere"):
        library("nowhere_to_be_found", "nowhere")


@needs_timm
def test_a_timm_model_classifies():
    cfg = {"type": "TimmClassifier", "model_name": "resnet18", "num_classes": 2}
    logs, found = step(cfg, LABELS)
    assert logs["loss"] > 0
    assert sorted(found[0]) == ["gt_label", "pred_label", "pred_score"]


@needs_timm
def test_a_timm_model_is_a_backbone():
    cfg = {
        "type": "EncoderDecoder",
        "backbone": {"type": "TIMMBackbone", "model_name": "resnet18", "features_only": True},
        "decode_head": {"type": "FCNHead", "in_channels": 512, "channels": 8, "num_classes": 2},
    }
    _, found = step(cfg, MASKS)
    assert found[0]["pred_sem_seg"].shape == (64, 64)


@needs_timm
def test_a_misspelt_timm_model_names_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'resnet18'"):
        MODELS.build({"type": "TimmClassifier", "model_name": "resnet_18", "num_classes": 2})


@pytest.mark.skipif(not usable("torchvision"), reason="torchvision does not import here")
def test_a_torchvision_model_segments():
    cfg = {"type": "TorchvisionSegmentor", "name": "lraspp_mobilenet_v3_large", "num_classes": 2}
    logs, found = step(cfg, MASKS)
    assert set(logs) == {"loss", "loss_ce"}
    assert found[1]["gt_sem_seg"].shape == (64, 64)


@pytest.mark.skipif(
    not usable("segmentation_models_pytorch"),
    reason="segmentation-models-pytorch does not import here",
)
def test_a_model_of_segmentation_models_segments():
    cfg = {"type": "SMPSegmentor", "arch": "Unet", "encoder_name": "resnet18", "num_classes": 2}
    _, found = step(cfg, MASKS)
    assert found[0]["pred_sem_seg"].shape == (64, 64)


@pytest.mark.skipif(not usable("transformers"), reason="transformers does not import here")
def test_a_transformers_model_classifies_without_a_download():
    config = {
        "model_type": "vit",
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 16,
        "image_size": 64,
        "num_labels": 2,
    }
    logs, found = step({"type": "TransformersModel", "config": config}, LABELS)
    assert logs["loss"] > 0
    assert found[0]["pred_score"].shape == (2,)


def test_a_transformers_model_is_named_or_configured():
    with pytest.raises(ValueError, match="either name or config"):
        MODELS.build({"type": "TransformersModel"})
