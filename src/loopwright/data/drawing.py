"""What samplers of others draw from: the global generators, or some that they keep themselves."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from itertools import chain, islice
from typing import Any, TypeVar

import numpy as np
import torch

from loopwright.data.randomness import H, seed_all

T = TypeVar("T")
States = list[Any]
_LISTENS_FIRST = ("torch", "loopwright")


class Generators:
    """The generators that samplers keep as attributes; their order of an epoch follows from them.

    ``wind`` brings them to where they stand when an epoch begins: by the nearest known states, and
    by drawing the epochs between (``draw``), which costs indices alone.
    """

    def __init__(self, *samplers: Any) -> None:
        self.all = list(_kept(samplers))
        self.first: tuple[int, States] = (0, self.states())
        self.known = self.first

    def states(self) -> States:
        """Where each of them stands, as plain data."""
        return [_state(one) for one in self.all]

    def wind(self, epoch: int, draw: Callable[[], object]) -> None:
        """Stand where ``epoch`` begins."""
        if not self.all:
            return
        known, states = self.known if self.known[0] <= epoch else self.first
        for one, state in zip(self.all, states, strict=True):
            _restore(one, state)
        for _ in range(known, epoch):
            draw()
        self.known = (epoch, self.states())

    def state_dict(self) -> dict[str, Any]:
        """Where they stood when the epoch began; nothing where there are none."""
        epoch, states = self.known
        return {"generator": states, "generator_epoch": epoch} if self.all else {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up what ``state_dict`` gave."""
        told = state.get("generator")
        states = [told] if isinstance(told, torch.Tensor) else told
        if states is not None and len(states) == len(self.all):
            self.known = (state["generator_epoch"], list(states))


def apart(tasks: Iterator[T], samplers: tuple[Any, ...], seed: int, epoch: int) -> Iterator[T]:
    """Tasks whose order follows from (seed, epoch), whatever is drawn between two of them.

    torch's own samplers draw from the global generators at their first index only; those of others
    find the generators at every batch as they left them.
    """
    order = H(seed, "order", epoch)
    if all(type(one).__module__.partition(".")[0] in _LISTENS_FIRST for one in samplers):
        seed_all(order)
        return chain(list(islice(tasks, 1)), tasks)
    return _by_turns(tasks, order)


def _by_turns(tasks: Iterator[T], seed: int) -> Iterator[T]:
    seed_all(seed)
    while True:
        try:
            task = next(tasks)
        except StopIteration:
            return
        left = random.getstate(), np.random.get_state(), torch.get_rng_state()
        yield task
        random.setstate(left[0])
        np.random.set_state(left[1])
        torch.set_rng_state(left[2])


def _kept(samplers: tuple[Any, ...]) -> Iterator[Any]:
    kinds = (torch.Generator, random.Random, np.random.RandomState, np.random.Generator)
    seen: set[int] = set()
    for sampler in samplers:
        for value in vars(sampler).values() if hasattr(sampler, "__dict__") else ():
            known = isinstance(value, kinds) and not isinstance(value, random.SystemRandom)
            if known and id(value) not in seen:
                seen.add(id(value))
                yield value


def _state(generator: Any) -> Any:
    if isinstance(generator, torch.Generator):
        return generator.get_state()
    if isinstance(generator, random.Random):
        return generator.getstate()
    if isinstance(generator, np.random.RandomState):
        return generator.get_state()
    return generator.bit_generator.state


def _restore(generator: Any, state: Any) -> None:
    if isinstance(generator, random.Random):
        generator.setstate(state)
    elif isinstance(generator, np.random.Generator):
        generator.bit_generator.state = state
    else:
        generator.set_state(state)
