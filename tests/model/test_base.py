import pytest
import torch
from torch import nn

from loopwright.model import BaseModel, NoLossError, init_weights
from loopwright.optim import OptimWrapper


class Line(BaseModel):
    def __init__(self, **common):
        super().__init__(**common)
        self.fc = nn.Linear(1, 1, bias=False)
        nn.init.constant_(self.fc.weight, 2.0)

    def forward(self, inputs, data_samples=None, mode="tensor"):
        out = self.fc(inputs)
        if mode == "loss":
            return {"loss": (out - data_samples).square().mean()}
        return [{"pred": row} for row in out] if mode == "predict" else out


def batch():
    return {"inputs": torch.ones(2, 1), "data_samples": torch.zeros(2, 1)}


def sgd(model, lr=0.25):
    return OptimWrapper(torch.optim.SGD(model.parameters(), lr=lr))


def test_a_training_step_moves_the_weights_and_gives_the_losses():
    # loss = (2 - 0)^2 = 4, gradient 2 * 2 * 1 = 4, new weight 2 - 0.25 * 4 = 1
    model = Line()
    logs = model.train_step(batch(), sgd(model))
    assert logs["loss"].item() == 4.0
    assert not logs["loss"].requires_grad
    assert model.fc.weight.item() == 1.0


def test_batches_may_be_dicts_tuples_or_lists():
    for data in (batch(), tuple(batch().values()), list(batch().values())):
        model = Line()
        assert model.train_step(data, sgd(model))["loss"].item() == 4.0


def test_a_tensor_alone_reaches_the_forward():
    assert Line().val_step(torch.ones(3, 1))[2]["pred"].item() == 2.0


def test_validation_predicts_and_test_does_too():
    model = Line()
    assert model.val_step(batch())[0]["pred"].item() == 2.0
    assert model.test_step(batch())[1]["pred"].item() == 2.0


def test_the_loss_of_validation_is_measured_without_learning():
    model = Line()
    assert model.loss_step(batch())["loss"].item() == 4.0
    assert model.fc.weight.grad is None


def test_a_preprocessor_is_built_from_a_config():
    model = Line(data_preprocessor={"type": "ImgDataPreprocessor", "mean": [1.0], "std": [2.0]})
    assert model.data_preprocessor.mean.flatten().tolist() == [1.0]
    assert list(model.state_dict()) == ["fc.weight"]


def test_a_preprocessor_of_the_wrong_kind_is_an_error():
    with pytest.raises(TypeError, match=r"data_preprocessor must be.*got int"):
        Line(data_preprocessor=3)


def test_a_frozen_model_is_told_so():
    model = Line().requires_grad_(False)
    with pytest.raises(NoLossError, match="does not depend on any trainable parameter"):
        model.train_step(batch(), OptimWrapper(torch.optim.SGD(nn.Linear(1, 1).parameters(), 0.1)))


def test_a_preprocessor_that_gives_something_else_is_an_error():
    model = Line()
    model.data_preprocessor.forward = lambda data, training: 3
    with pytest.raises(TypeError, match="it gave a int"):
        model.val_step(batch())


def test_a_forward_must_be_defined():
    with pytest.raises(NotImplementedError, match="BaseModel must define forward"):
        BaseModel().val_step(batch())


def test_weights_start_the_same_for_one_seed_and_leave_the_generator_alone():
    cfg = {"type": "Normal", "layer": "Linear", "std": 0.5}
    one, two = Line(init_cfg=cfg), Line(init_cfg=cfg)
    torch.manual_seed(7)
    init_weights(one, seed=3)
    drawn = torch.rand(1)
    torch.manual_seed(7)
    assert torch.equal(drawn, torch.rand(1))
    init_weights(two, seed=3)
    assert torch.equal(one.fc.weight, two.fc.weight)
    assert one.fc.weight.item() != 2.0


def test_a_model_without_init_weights_stays_as_it_was_built():
    net = nn.Linear(2, 2)
    before = net.weight.clone()
    init_weights(net, seed=0)
    assert torch.equal(net.weight, before)


def test_a_model_of_a_library_that_comes_initialised_is_not_done_again():
    transformer = type("VisionTransformer", (nn.Module,), {"__module__": "timm.models.vit"})
    net = transformer()
    net.init_weights = lambda: pytest.fail("pretrained weights were thrown away")
    init_weights(net, seed=0)
