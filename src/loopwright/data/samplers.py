"""Samplers: which samples a rank sees, in which order, startable anywhere."""

from __future__ import annotations

from collections.abc import Iterator, Sized
from typing import Any

from torch.utils.data import Sampler

from loopwright.data.order import Indices, Passes, order, share
from loopwright.registry import DATA_SAMPLERS

Piece = tuple[int, Indices]


def _here(rank: int | None, world: int | None) -> tuple[int, int]:
    if rank is not None and world is not None:
        return rank, world
    from loopwright.dist import get_rank, get_world_size

    return get_rank(), get_world_size()


@DATA_SAMPLERS.register_module()
class DefaultSampler(Sampler[int]):
    """Each epoch a permutation seeded with ``seed + epoch`` (or 0, 1, 2, …), shared over the ranks.

    ``round_up`` repeats samples from the front until every rank has equally many.

    >>> sampler = DefaultSampler(range(5), seed=0, rank=0, world=1)
    >>> first = list(sampler); sampler.set_epoch(1); first != list(sampler)
    True
    """

    distinct = True

    def __init__(
        self,
        dataset: Sized,
        shuffle: bool = True,
        seed: int | None = None,
        round_up: bool = True,
        *,
        rank: int | None = None,
        world: int | None = None,
    ) -> None:
        self.rank, self.world_size = _here(rank, world)
        self.dataset = dataset
        self.shuffle = shuffle
        self.seed = 0 if seed is None else seed
        self.round_up = round_up
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the permutation of an epoch (from 0)."""
        self.epoch = epoch

    def pieces(self, start: int = 0) -> Iterator[Piece]:
        """``(epoch, indices)`` of this rank from its ``start``-th index on."""
        indices = order(
            self.seed,
            self.epoch,
            len(self.dataset),
            self.rank,
            self.world_size,
            shuffle=self.shuffle,
            round_up=self.round_up,
        )
        yield self.epoch, indices[start:]

    def __iter__(self) -> Iterator[int]:
        for _, indices in self.pieces():
            yield from indices.tolist()

    def __len__(self) -> int:
        return share(len(self.dataset), self.rank, self.world_size, round_up=self.round_up)


@DATA_SAMPLERS.register_module()
class InfiniteSampler(Sampler[int]):
    """Permutation after permutation without end, from one generator, strided over the ranks.

    ``len`` is the dataset's length: what iteration-based training counts as one epoch.
    """

    distinct = True
    endless = True

    def __init__(
        self,
        dataset: Sized,
        shuffle: bool = True,
        seed: int | None = None,
        *,
        rank: int | None = None,
        world: int | None = None,
    ) -> None:
        self.rank, self.world_size = _here(rank, world)
        self.dataset = dataset
        self.shuffle = shuffle
        self.seed = 0 if seed is None else seed
        self.passes = Passes(self.seed, len(dataset), shuffle=shuffle)

    def set_epoch(self, epoch: int) -> None:
        """Nothing: the stream has no epochs."""

    def pieces(self, start: int = 0) -> Iterator[Piece]:
        """``(pass, indices)`` of this rank without end, from its ``start``-th index on."""
        return self.passes.pieces(start, self.rank, self.world_size)

    def __iter__(self) -> Iterator[int]:
        for _, indices in self.pieces():
            yield from indices.tolist()

    def __len__(self) -> int:
        return len(self.dataset)

    def state_dict(self, start: int) -> dict[str, Any]:
        """What makes ``load_state_dict`` reach the rank's ``start``-th index without replay."""
        number, state = self.passes.mark(start * self.world_size // len(self.dataset))
        return {"pass": number, "generator": state}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up the generator's state of a run with the same seed and dataset length."""
        self.passes.restore((state["pass"], state["generator"]))
