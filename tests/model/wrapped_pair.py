"""Two processes train wrapped models; what came out is printed as one JSON line."""

import json
import warnings

import torch
from torch import nn

from loopwright import dist
from loopwright.model import (
    BaseModel,
    as_trainable,
    check_ranks,
    fingerprint,
    init_weights,
    unwrap,
    update_bn_stats,
    wrap_model,
)
from loopwright.model.sharded import load_whole, whole
from loopwright.optim import OptimWrapper

CPU = torch.device("cpu")
X = torch.linspace(-1, 1, 24).reshape(8, 3)
Y = torch.tensor([0, 1, 0, 1, 1, 0, 1, 1])


def layers():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 4), nn.Linear(4, 2))


class Classifier(BaseModel):
    def __init__(self):
        super().__init__(init_cfg={"type": "Normal", "layer": "Linear", "std": 0.5})
        self.net = layers()

    def forward(self, inputs, data_samples=None, mode="tensor"):
        out = self.net(inputs)
        if mode == "loss":
            return {"loss": nn.functional.cross_entropy(out, data_samples)}
        return out


class TwoSteps(BaseModel):
    """A model with a training step of its own."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Linear(3, 2)

    def train_step(self, data, optim_wrapper):
        loss = nn.functional.cross_entropy(self.net(data[0]), data[1])
        optim_wrapper.update_params(loss)
        return {"loss": loss.detach()}


def share(rank):
    return X[rank::2], Y[rank::2]


def train(model, data, steps=4, every=1):
    wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.5), every)
    for _ in range(steps):
        model.train_step(data, wrapper)
    return flat(model)


def flat(model):
    with torch.no_grad():
        return torch.cat([whole(p).reshape(-1) for p in unwrap(model).parameters()]).tolist()


def alone(every=1):
    return train(as_trainable(layers(), loss="CrossEntropyLoss"), (X, Y), every=every)


def ddp(rank, model, every=1):
    wrapped = wrap_model(model, {"type": "MMDistributedDataParallel"}, CPU)
    return train(wrapped, share(rank), every=every)


def sharded(rank, every=1):
    model = as_trainable(layers(), loss="CrossEntropyLoss")
    before = fingerprint(model).total
    names = list(model.state_dict())
    model = wrap_model(model, {"type": "MMFullyShardedDataParallel"}, CPU)
    same = fingerprint(model).total == before and list(model.state_dict()) == names
    local = sum(p.to_local().numel() for p in model.parameters())
    weights = train(model, share(rank), every=every)
    load_whole(model, layers().state_dict())
    return {
        "weights": weights,
        "start": same,
        "local": local,
        "loaded": fingerprint(model).total == before,
        "predicts": len(model.val_step(share(rank))),
    }


def main():
    warnings.simplefilter("ignore")
    dist.init_dist("pytorch")
    rank = dist.get_rank()
    found = {"alone": alone(), "alone accumulating": alone(every=2)}
    found["plain"] = ddp(rank, as_trainable(layers(), loss="CrossEntropyLoss"))
    found["accumulating"] = ddp(rank, as_trainable(layers(), loss="CrossEntropyLoss"), every=2)
    found["sharded"] = sharded(rank)
    found["sharded accumulating"] = sharded(rank, every=2)["weights"]

    torch.manual_seed(rank)
    model = Classifier()
    wrapped = wrap_model(model, {"type": "MMDistributedDataParallel"}, CPU)
    torch.manual_seed(rank)
    init_weights(wrapped, seed=5)
    found["start"] = fingerprint(wrapped).total
    train(wrapped, share(rank))
    found["end"] = fingerprint(wrapped).total
    found["unwrapped"] = unwrap(wrapped) is model

    own = wrap_model(TwoSteps(), {"type": "MMSeparateDistributedDataParallel"}, CPU)
    train(own, share(rank))
    found["own"] = fingerprint(own).total
    try:
        wrap_model(TwoSteps(), {"type": "MMDistributedDataParallel"}, CPU)
    except TypeError as error:
        found["refused"] = str(error)

    check_ranks(fingerprint(layers()))
    torch.manual_seed(rank)
    try:
        check_ranks(fingerprint(nn.Sequential(nn.Flatten(), nn.Linear(1, 1))))
    except RuntimeError as error:
        found["apart"] = str(error)

    norm = nn.BatchNorm1d(3).train()
    update_bn_stats(norm, [share(rank)[0]], num_iter=1)
    found["norm"] = torch.allclose(norm.running_mean, X.mean(0)) and torch.allclose(
        norm.running_var, X.var(0)
    )
    dist.cleanup()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
