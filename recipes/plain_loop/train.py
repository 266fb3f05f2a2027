"""A training loop of one's own: schedule, storage, writers, checkpoints, evaluator, à la carte.

    python recipes/plain_loop/train.py --output work_dirs/plain_loop [--resume]

No Runner, no Trainer: every line of what happens to a batch is here, to be changed.
"""

import argparse

import torch
from torch import nn

from loopwright.data import build_dataloader, seed_step
from loopwright.evaluation import DatasetEvaluator, inference_on_dataset
from loopwright.log import CommonMetricPrinter, EventStorage, JSONWriter
from loopwright.optim import OptimWrapper
from loopwright.optim.where import CosineParamScheduler, LRMultiplier, WarmupParamScheduler
from loopwright.trainer import Checkpointer, PeriodicSaver, endless, setup_logger

SEED = 0


def network() -> nn.Module:
    torch.manual_seed(SEED)
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, padding=1, stride=2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(32 * 16, 10),
    )


def loader(split: str, *, batch_size: int, shuffle: bool):
    return build_dataloader(
        {
            "dataset": {"type": "DigitsClassification", "split": split},
            "batch_size": batch_size,
            "sampler": {"type": "DefaultSampler", "shuffle": shuffle},
            "collate_fn": {"type": "default_collate"},
        },
        seed=SEED,
    )


class Accuracy(DatasetEvaluator):
    """The share of right answers."""

    def reset(self) -> None:
        self.right = self.seen = 0

    def process(self, inputs, outputs) -> None:
        self.right += int((outputs.argmax(1) == inputs["data_samples"]).sum())
        self.seen += len(outputs)

    def evaluate(self) -> dict[str, float]:
        return {"accuracy": self.right / self.seen}


class Predict(nn.Module):
    """The network as the evaluation calls it: with a whole batch."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, batch):
        return self.net(batch["inputs"])


def main(output: str, max_iter: int, resume: bool) -> float:
    setup_logger(output)
    model, criterion = network(), nn.CrossEntropyLoss()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.05)
    wrapper = OptimWrapper(optimizer, clip_grad={"max_norm": 5.0})
    curve = WarmupParamScheduler(CosineParamScheduler(1.0, 0.0), 0.05, 0.1)
    schedule = LRMultiplier(optimizer, curve, max_iter)
    storage = EventStorage()
    log = JSONWriter(f"{output}/metrics.json")
    writers = [CommonMetricPrinter(max_iter), log]
    saver = Checkpointer(
        model, output, optimizer=wrapper, schedule=schedule, storage=storage, log=log
    )
    start = saver.resume_or_load("", resume=resume).get("iteration", -1) + 1
    periodic = PeriodicSaver(saver, 100, max_iter, max_to_keep=2)
    batches = endless(loader("train", batch_size=64, shuffle=True), start)
    validation = loader("val", batch_size=256, shuffle=False)

    with storage:
        model.train()
        for storage.iter in range(start, max_iter):
            batch = next(batches)
            seed_step(SEED, storage.iter)
            loss = criterion(model(batch["inputs"]), batch["data_samples"])
            wrapper.update_params(loss)
            storage.put_dict({"total_loss": loss, **wrapper.metrics()})
            storage.put_scalar("lr", schedule.get_last_lr()[0], smoothing_hint=False)
            schedule.step()
            done = storage.iter + 1
            if done % 100 == 0 or done == max_iter:
                found = inference_on_dataset(Predict(model), validation, Accuracy())
                storage.put_scalar("accuracy", found["accuracy"], smoothing_hint=False)
            if done % 20 == 0 or done == max_iter:
                for writer in writers:
                    writer.write()
            periodic.step(storage.iter)
    print(f"validation accuracy {found['accuracy']:.4f}")
    return found["accuracy"]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", default="work_dirs/plain_loop")
    parser.add_argument("--max-iter", type=int, default=400)
    parser.add_argument("--resume", action="store_true")
    options = parser.parse_args()
    main(options.output, options.max_iter, options.resume)
