import pytest
import torch

from loopwright.optim import OptimWrapper, build_optim_wrapper
from loopwright.registry import MODELS
from loopwright.vision.models.selfsup import nt_xent, patches_of

X = torch.rand(8, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def mae(**settings):
    torch.manual_seed(0)
    return MODELS.build(
        {
            "type": "MAE",
            "backbone": {
                "type": "VisionTransformer",
                "img_size": 8,
                "patch_size": 2,
                "in_channels": 1,
                "embed_dims": 16,
                "num_layers": 2,
                "num_heads": 2,
            },
            "decoder_dims": 8,
            "decoder_layers": 1,
            "decoder_heads": 2,
            **settings,
        }
    )


def simclr():
    torch.manual_seed(0)
    return MODELS.build(
        {
            "type": "SimCLR",
            "backbone": {
                "type": "ResNet",
                "depth": 10,
                "in_channels": 1,
                "base_channels": 4,
                "num_stages": 2,
                "stem": "small",
            },
            "in_channels": 8,
            "hidden_channels": 8,
            "out_channels": 4,
        }
    )


def trained(net, inputs, steps=25):
    wrapper = OptimWrapper(torch.optim.AdamW(net.parameters(), lr=0.01))
    data = {"inputs": inputs, "data_samples": None}
    return [net.train_step(data, wrapper)["loss"].item() for _ in range(steps)]


def test_three_quarters_of_the_patches_are_hidden():
    said, hidden = mae().reconstruct(X)
    assert said.shape == (8, 16, 4)
    assert hidden.sum(1).tolist() == [12] * 8
    assert len(torch.unique(hidden, dim=0)) > 1


def test_hidden_patches_say_nothing_about_themselves():
    net = mae().eval()
    torch.manual_seed(1)
    before, hidden = net.reconstruct(X)
    changed = X.clone()
    patch = torch.nonzero(hidden[0])[0].item()
    row, column = 2 * (patch // 4), 2 * (patch % 4)
    changed[0, 0, row : row + 2, column : column + 2] += 1
    torch.manual_seed(1)
    after, _ = net.reconstruct(changed)
    assert torch.equal(before, after)


def test_each_patch_knows_its_place():
    net = mae()
    images = X.clone().requires_grad_()
    torch.manual_seed(1)
    said, hidden = net.reconstruct(images)
    seen = torch.nonzero(~hidden[0])[:, 0].tolist()
    said[0].sum().backward()
    touched = torch.nonzero(patches_of(images.grad, 2)[0].abs().sum(1))[:, 0].tolist()
    assert touched == seen


def test_mae_learns():
    losses = trained(mae(), X, steps=40)
    assert sum(losses[-5:]) < sum(losses[:5]) * 0.95


def test_the_loss_is_that_of_normalised_hidden_patches():
    net = mae(norm_pix=False).eval()
    torch.manual_seed(2)
    loss = net(X, mode="loss")["loss"]
    torch.manual_seed(2)
    said, hidden = net.reconstruct(X)
    wanted = (said - patches_of(X, 2)).square().mean(-1)[hidden].mean()
    assert torch.allclose(loss, wanted)


@pytest.mark.filterwarnings("ignore:.*'pos_embed'. decides nothing")
def test_the_documents_mae_rules_find_norms_biases_and_tokens():
    net = mae()
    keys = ("ln", "bias", "pos_embed", "mask_token", "cls_token")
    custom = {key: {"decay_mult": 0.0} for key in keys}
    wrapper = build_optim_wrapper(
        net,
        {
            "optimizer": {"type": "AdamW", "lr": 1e-3, "betas": (0.9, 0.95), "weight_decay": 0.05},
            "paramwise_cfg": {"custom_keys": custom},
        },
    )
    decay = {
        name: group["weight_decay"]
        for group in wrapper.optimizer.param_groups
        for name in group["param_names"]
    }
    free = {name for name, value in decay.items() if value == 0}
    matrices = {n for n, p in net.named_parameters() if p.ndim in (2, 4) and p.requires_grad}
    assert set(decay) - free == matrices


def test_features_need_no_hiding():
    net = mae().eval()
    assert torch.equal(net.extract_feat(X), net.extract_feat(X))
    assert net.val_step({"inputs": X})[3]["feat"].shape == (16,)


@pytest.mark.parametrize(("kind", "width"), [("avg", 16), ("cls_token", 16), ("tokens", 256)])
def test_features_are_of_the_kind_asked_for(kind, width):
    assert mae(feat_type=kind).extract_feat(X).shape == (8, width)


def test_mae_wants_a_transformer_and_a_ratio():
    with pytest.raises(TypeError, match="needs a VisionTransformer backbone, got ResNet"):
        mae(backbone={"type": "ResNet", "base_channels": 4})
    with pytest.raises(ValueError, match="mask_ratio"):
        mae(mask_ratio=1.0)


def test_views_of_one_image_attract_by_hand():
    one = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    # Each view: its partner at 1/t, two others at 0: -log(e^1 / (e^1 + 2)).
    wanted = -torch.log(torch.exp(torch.tensor(1.0)) / (torch.exp(torch.tensor(1.0)) + 2))
    assert torch.allclose(nt_xent(one, one, 1.0), wanted)
    assert nt_xent(one, one.flip(0), 1.0) > nt_xent(one, one, 1.0)


def test_simclr_learns():
    losses = trained(simclr(), [X, X + 0.05 * X.flip(-1)], steps=25)
    assert losses[-1] < losses[0] / 2


def test_simclr_wants_two_views_to_train():
    with pytest.raises(ValueError, match="trains on two views an image, got 1"):
        simclr()(X, mode="loss")
    assert simclr().val_step({"inputs": [X, X]})[0]["feat"].shape == (8,)


def test_patches_are_cut_row_by_row_channels_last():
    images = torch.stack([torch.arange(16.0).reshape(4, 4), torch.zeros(4, 4)])[None]
    assert patches_of(images, 2)[0, 1].tolist() == [2, 0, 3, 0, 6, 0, 7, 0]


def test_images_of_another_size_are_told_before_the_decoder_stumbles():
    with pytest.raises(ValueError, match=r"images of 8 x 8 .*got 8 x 12"):
        mae()(torch.rand(2, 1, 8, 12), mode="loss")
