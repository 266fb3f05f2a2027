"""Which sample is k-th: pure functions of a seed and an epoch, the same for all workers."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

Indices = np.ndarray[tuple[int], np.dtype[np.int64]]


def order(
    seed: int,
    epoch: int,
    length: int,
    rank: int = 0,
    world: int = 1,
    *,
    shuffle: bool = True,
    round_up: bool = True,
) -> Indices:
    """The indices one rank sees in one epoch, int64 of shape ``(n,)``.

    A permutation from a generator seeded with ``seed + epoch``, lengthened by repetition until
    ``world`` divides it (``round_up``), of which every ``world``-th one from ``rank`` on is taken.

    >>> order(0, 0, 5, shuffle=False).tolist()
    [0, 1, 2, 3, 4]
    >>> [order(0, 0, 5, rank, 2, shuffle=False).tolist() for rank in range(2)]
    [[0, 2, 4], [1, 3, 0]]
    """
    indices = _permutation(seed + epoch, length) if shuffle else np.arange(length)
    short = -length % world
    if round_up and short and length:
        indices = np.concatenate([indices, np.resize(indices, short)])
    return indices[rank::world] if world > 1 else indices


def share(length: int, rank: int = 0, world: int = 1, *, round_up: bool = True) -> int:
    """How many indices ``order`` gives to a rank.

    >>> [share(5, rank, 2, round_up=False) for rank in range(2)]
    [3, 2]
    """
    return -(-length // world) if round_up else -(-(length - rank) // world)


def _permutation(seed: int, length: int) -> Indices:
    generator = torch.Generator()
    generator.manual_seed(seed)
    return torch.randperm(length, generator=generator).numpy()


class Passes:
    """Endless permutations of ``length`` indices from one generator, reachable at any place.

    The generator's state is kept at a few places, so going back a little or resuming far on costs
    a few permutations at most where a saved mark is at hand, and one permutation a pass where not
    (15 ms for a million indices); nothing is loaded for it.
    """

    MARK_EVERY = 1 << 20

    def __init__(self, seed: int, length: int, *, shuffle: bool = True) -> None:
        self.length = length
        self.shuffle = shuffle
        self._generator = torch.Generator()
        self._generator.manual_seed(seed)
        self._next = 0
        self._marks: list[tuple[int, torch.Tensor]] = [(0, self._generator.get_state())]
        self._held: tuple[int, Indices] | None = None

    def permutation(self, number: int) -> Indices:
        """The indices of pass ``number`` (from 0)."""
        if not self.shuffle:
            return np.arange(self.length)
        if self._held is not None and self._held[0] == number:
            return self._held[1]
        self._wind_to(number)
        found = self._draw().numpy()
        self._held = (number, found)
        return found

    def _wind_to(self, number: int) -> None:
        if number < self._next:
            self._go_to(max((m for m in self._marks if m[0] <= number), key=lambda m: m[0]))
        while self._next < number:
            self._draw()

    def _draw(self) -> torch.Tensor:
        found = torch.randperm(self.length, generator=self._generator)
        self._next += 1
        if (self._next - self._marks[-1][0]) * self.length >= self.MARK_EVERY:
            self._marks = [
                self._marks[0],
                *self._marks[-2:],
                (self._next, self._generator.get_state()),
            ]
        return found

    def _go_to(self, mark: tuple[int, torch.Tensor]) -> None:
        self._next, state = mark
        self._generator.set_state(state)

    def mark(self, number: int) -> tuple[int, torch.Tensor]:
        """The nearest kept state at or before pass ``number``, for ``restore``."""
        return max((m for m in self._marks if m[0] <= number), key=lambda m: m[0])

    def restore(self, mark: tuple[int, torch.Tensor]) -> None:
        """Go on from what ``mark`` gave, perhaps in another process."""
        number, state = int(mark[0]), mark[1].clone()
        if number > self._marks[-1][0]:
            self._marks.append((number, state))
        self._go_to((number, state))
        self._held = None

    def pieces(self, start: int, rank: int, world: int) -> Iterator[tuple[int, Indices]]:
        """``(pass, indices)`` of one rank without end, from the rank's ``start``-th index on."""
        place = rank + start * world
        while True:
            number, offset = divmod(place, self.length)
            piece = self.permutation(number)[offset::world]
            yield number, piece
            place += len(piece) * world
