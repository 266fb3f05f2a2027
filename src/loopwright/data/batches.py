"""Batch samplers: batches of images of one orientation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch.utils.data import BatchSampler, Sampler

from loopwright.registry import DATA_SAMPLERS

DATA_SAMPLERS.register_module(module=BatchSampler)


@DATA_SAMPLERS.register_module()
class AspectRatioBatchSampler(Sampler[list[int]]):
    """Batches of images that are all wider than tall, or all not, so that less is padded.

    The dataset's ``get_data_info`` gives ``width`` and ``height``. What is left of both kinds at
    the end of an epoch makes mixed batches, unless ``drop_last``.
    """

    def __init__(self, sampler: Any, batch_size: int, drop_last: bool = False) -> None:
        self.sampler = sampler
        self.batch_size = batch_size
        self.drop_last = drop_last

    def __iter__(self) -> Iterator[list[int]]:
        waiting: tuple[list[int], list[int]] = ([], [])
        for index in self.sampler:
            info = self.sampler.dataset.get_data_info(index)
            alike = waiting[info["width"] >= info["height"]]
            alike.append(index)
            if len(alike) == self.batch_size:
                yield alike[:]
                alike.clear()
        left = waiting[0] + waiting[1]
        for start in range(0, len(left), self.batch_size):
            batch = left[start : start + self.batch_size]
            if len(batch) == self.batch_size or not self.drop_last:
                yield batch

    def __len__(self) -> int:
        count = len(self.sampler)
        return count // self.batch_size if self.drop_last else -(-count // self.batch_size)
