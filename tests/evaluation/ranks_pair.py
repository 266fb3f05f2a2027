"""What a metric gives in two processes; every answer is printed as one JSON line."""

import json

import torch

from loopwright import dist
from loopwright.evaluation import BaseMetric


class Order(BaseMetric):
    """Gives back what it was given."""

    def process(self, data_batch, data_samples):
        self.results += data_samples

    def compute_metrics(self, results):
        if results[0] < 0:
            raise ZeroDivisionError("by hand")
        return {"seen": [float(r) for r in results]}


def main():
    dist.init_dist("pytorch", backend="gloo")
    rank, metric, found = dist.get_rank(), Order(), []
    metric.process(None, [0, 2, 4] if rank == 0 else [1, 3, 0])  # five samples, dealt and padded
    found.append(metric.evaluate(5)["seen"])
    metric.process(None, [-1])
    try:
        metric.evaluate(2)
    except Exception as error:
        found.append(f"{type(error).__name__}: {error}")
    if rank == 0:
        metric.process(None, [torch.tensor(7)])  # the other process has no sample at all
    found.append(metric.evaluate(1)["seen"])
    try:
        metric.evaluate(1)
    except Exception as error:
        found.append(type(error).__name__)
    print(json.dumps(found))
    dist.cleanup()


if __name__ == "__main__":
    main()
