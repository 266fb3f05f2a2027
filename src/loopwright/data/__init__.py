"""Data: order, randomness, samplers, datasets, transforms, and the loader that joins them."""

from loopwright.data import folder, transforms
from loopwright.data.batches import AspectRatioBatchSampler
from loopwright.data.build import build_dataloader, worker_init_fn
from loopwright.data.collate import default_collate, pseudo_collate
from loopwright.data.compose import Compose
from loopwright.data.dataset import BaseDataset, force_full_init
from loopwright.data.faults import (
    BadSample,
    BadSamples,
    DataError,
    DatasetChangedError,
    SampleError,
    WorkerError,
)
from loopwright.data.fingerprint import fingerprint
from loopwright.data.foreign import adopt
from loopwright.data.loader import Loader
from loopwright.data.order import order
from loopwright.data.randomness import H, mix, seed_sample, seed_step
from loopwright.data.samplers import DefaultSampler, InfiniteSampler
from loopwright.data.stream import StreamLoader
from loopwright.data.workers import WorkerSettings
from loopwright.data.wrappers import (
    ClassBalancedDataset,
    ConcatDataset,
    MultiImageMixDataset,
    RepeatDataset,
)

__all__ = [
    "AspectRatioBatchSampler",
    "BaseDataset",
    "ClassBalancedDataset",
    "Compose",
    "ConcatDataset",
    "MultiImageMixDataset",
    "RepeatDataset",
    "folder",
    "force_full_init",
    "transforms",
    "worker_init_fn",
    "BadSample",
    "BadSamples",
    "DataError",
    "DatasetChangedError",
    "DefaultSampler",
    "H",
    "InfiniteSampler",
    "Loader",
    "SampleError",
    "StreamLoader",
    "WorkerError",
    "WorkerSettings",
    "adopt",
    "build_dataloader",
    "default_collate",
    "fingerprint",
    "mix",
    "order",
    "pseudo_collate",
    "seed_sample",
    "seed_step",
]
