"""From a task (epoch, passes, indices) to a batch: seed, get, replace, collate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch.utils.data import TensorDataset

from loopwright.data.collate import default_collate
from loopwright.data.faults import BadSample, path_of, sample_error
from loopwright.data.randomness import H, mix, seed_sample

Collate = Callable[[list[Any]], Any]
ATTEMPTS = 20


class Task(NamedTuple):
    """What a worker is asked for: ``passes`` says which time each sample is seen.

    One number for the whole batch, or one a sample where a batch reaches over two passes.
    """

    epoch: int
    passes: int | list[int]
    indices: list[int]


class Fetched(NamedTuple):
    """A batch and the samples in it that had to be replaced."""

    batch: Any
    bad: tuple[BadSample, ...]


def is_deterministic(dataset: Any) -> bool:
    """Whether samples draw nothing at random, so that reseeding for each can be left out.

    True for tensors and lists of them, or where ``dataset.deterministic`` says so; a wrapper asks
    what it wraps.
    """
    declared = getattr(dataset, "deterministic", None)
    if isinstance(declared, bool):
        return declared
    if isinstance(dataset, TensorDataset | torch.Tensor | range):
        return True
    if isinstance(dataset, torch.utils.data.Subset):
        return is_deterministic(dataset.dataset)
    return isinstance(dataset, list | tuple) and all(map(_is_plain, dataset[:1]))


def _is_plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(_is_plain, value.values()))
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return isinstance(value, torch.Tensor | int | float | str | bytes | None)


class Fetcher:
    """Gives the batch of a task; the same in this process and in any worker."""

    def __init__(self, dataset: Any, collate: Collate, *, seed: int, skip_bad: bool) -> None:
        self.dataset = dataset
        self.collate = collate
        self.seed = seed
        self.skip_bad = skip_bad
        self.reseed = not is_deterministic(dataset)
        self.epoch: int | None = None
        self.whole = _whole_batch(dataset, collate) if not self.reseed else None

    def __call__(self, task: Task) -> Fetched:
        """Load and collate. Raises SampleError for a broken sample unless those are skipped."""
        epoch, passes, indices = task
        if epoch != self.epoch:
            self._enter(epoch)
        if self.whole is not None:
            return Fetched(self.whole(indices), ())
        if self.skip_bad:
            return self._with_replacements(task)
        return Fetched(self.collate(self._samples(passes, indices)), ())

    def _enter(self, epoch: int) -> None:
        self.epoch = epoch
        set_epoch = getattr(self.dataset, "set_epoch", None)
        if set_epoch is not None:
            set_epoch(epoch)

    def _samples(self, passes: int | list[int], indices: list[int]) -> list[Any]:
        dataset, samples, index = self.dataset, [], -1
        seen = [passes] * len(indices) if isinstance(passes, int) else passes
        try:
            if not self.reseed:
                for index in indices:
                    samples.append(dataset[index])
                return samples
            for number, index in zip(seen, indices):
                seed_sample(self.seed, number, index)
                samples.append(dataset[index])
            return samples
        except Exception as error:
            raise sample_error(dataset, index, seen[len(samples)], error) from error

    def _with_replacements(self, task: Task) -> Fetched:
        passes = task.passes
        seen = [passes] * len(task.indices) if isinstance(passes, int) else passes
        bad: list[BadSample] = []
        samples = [self._sample(number, index, bad) for number, index in zip(seen, task.indices)]
        return Fetched(self.collate(samples), tuple(bad))

    def _sample(self, number: int, index: int, bad: list[BadSample]) -> Any:
        chosen, causes = index, []
        for attempt in range(ATTEMPTS):
            seed_sample(self.seed, number, chosen)
            try:
                sample = self.dataset[chosen]
            except Exception as error:
                causes.append((chosen, error))
                chosen = H(self.seed, "replace", number, index, attempt) % len(self.dataset)
                continue
            bad += [
                BadSample(number, at, path_of(self.dataset, at), f"{type(e).__name__}: {e}", chosen)
                for at, e in causes
            ]
            return sample
        raise sample_error(self.dataset, index, number, causes[0][1]) from causes[0][1]


def _whole_batch(dataset: Any, collate: Collate) -> Callable[[list[int]], Any] | None:
    """A way to a batch without going through single samples, where it gives the same."""
    stacks = collate is default_collate or collate is torch.utils.data.default_collate
    if type(dataset) is TensorDataset and stacks:
        tensors = dataset.tensors
        return lambda indices: [tensor[indices] for tensor in tensors]
    return None


def passes_of(epoch: int, first: int, count: int) -> list[int]:
    """Which-time numbers for samplers that may give an index twice in an epoch: by place.

    >>> len(set(passes_of(0, 0, 4)) | set(passes_of(1, 0, 4)))
    8
    """
    return [mix(epoch, place) >> 1 for place in range(first, first + count)]
