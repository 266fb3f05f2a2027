"""Datasets that draw from all three generators, so that any difference in seeding shows."""

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import Dataset


class Drawing(Dataset):
    """Each sample is its index and a draw of python, numpy and torch."""

    def __init__(self, length=20, broken=(), once=None, action=None):
        self.length = length
        self.broken = frozenset(broken)
        self.once = once
        self.action = action

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        if index in self.broken:
            raise OSError(f"truncated image {index}")
        if self.once is not None and index == self.once[0] and not Path(self.once[1]).exists():
            Path(self.once[1]).touch()
            self.action()
        draws = [random.gauss(0, 1), np.random.rand(), torch.rand(()).item()]
        return torch.tensor([index, *draws], dtype=torch.float64)

    def path_of(self, index):
        return f"images/{index}.jpg"


@pytest.fixture(scope="session")
def drawing():
    return Drawing


@pytest.fixture(scope="session")
def sampled():
    """What a loader gives, as nested lists that compare exactly."""
    return lambda batches: [torch.stack(list(batch)).tolist() for batch in batches]
