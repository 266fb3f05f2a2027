"""From a sampler to tasks: the batches of an epoch as indices, from any batch on."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import torch

from loopwright.data.fetch import Task, passes_of
from loopwright.data.samplers import Piece

_ONCE_EACH = (
    torch.utils.data.SequentialSampler,
    torch.utils.data.SubsetRandomSampler,
    torch.utils.data.DistributedSampler,
)


def from_pieces(
    pieces: Iterator[Piece], epoch: int, batch_size: int, *, drop_last: bool
) -> Iterator[Task]:
    """Cut pieces ``(pass, indices)`` into batches; one may reach over two pieces.

    >>> import numpy as np
    >>> pieces = iter([(0, np.arange(3)), (1, np.arange(2))])
    >>> [tuple(task) for task in from_pieces(pieces, 0, 2, drop_last=False)]
    [(0, 0, [0, 1]), (0, [0, 1], [2, 0]), (0, 1, [1])]
    """
    passes: list[int] = []
    indices: list[int] = []
    for number, piece in pieces:
        taken = min(batch_size - len(indices), len(piece)) if indices else 0
        if indices:
            passes += [number] * taken
            indices += piece[:taken].tolist()
            if len(indices) < batch_size:
                continue
            yield Task(epoch, passes, indices)
            passes, indices = [], []
        whole = taken + (len(piece) - taken) // batch_size * batch_size
        for start in range(taken, whole, batch_size):
            yield Task(epoch, number, piece[start : start + batch_size].tolist())
        indices = piece[whole:].tolist()
        passes = [number] * len(indices)
    if indices and not drop_last:
        yield Task(epoch, passes if len(set(passes)) > 1 else passes[0], indices)


def in_a_stream(tasks: Iterator[Task], start: int, length: int) -> Iterator[Task]:
    """Tasks of a sampler without end, batch ``start`` on: every ``length`` of them are an epoch."""
    return (task._replace(epoch=number // length) for number, task in enumerate(tasks, start))


def from_batch_sampler(batches: Any, epoch: int, start: int, *, distinct: bool) -> Iterator[Task]:
    """Tasks of any batch sampler; those before ``start`` are drawn and dropped, loading nothing."""
    for number, indices in enumerate(islice(iter(batches), start, None), start):
        taken = list(indices)
        passes = epoch if distinct else passes_of(epoch, number << 20, len(taken))
        yield Task(epoch, passes, taken)


def gives_each_once(sampler: Any) -> bool:
    """Whether no index comes twice in an epoch, so that (epoch, index) names a draw."""
    declared = getattr(sampler, "distinct", None)
    if isinstance(declared, bool):
        return declared
    if isinstance(sampler, torch.utils.data.RandomSampler):
        return not sampler.replacement
    return isinstance(sampler, _ONCE_EACH)
