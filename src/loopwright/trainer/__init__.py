"""detectron2's face: trainers and hooks over the same loop, storage, schedules and checkpoints."""

from loopwright.trainer.base import TrainerBase
from loopwright.trainer.checkpointing import (
    BestCheckpointer,
    Checkpointer,
    PeriodicCheckpointer,
    PeriodicSaver,
)
from loopwright.trainer.data import endless
from loopwright.trainer.default import DefaultTrainer
from loopwright.trainer.hook import HookBase
from loopwright.trainer.hooks import (
    CallbackHook,
    EvalHook,
    LRScheduler,
    PeriodicWriter,
    PreciseBN,
)
from loopwright.trainer.launching import DEFAULT_TIMEOUT, launch
from loopwright.trainer.lazy import LazyCall, LazyConfig, instantiate
from loopwright.trainer.setup import (
    create_ddp_model,
    default_argument_parser,
    default_setup,
    default_writers,
    setup_logger,
)
from loopwright.trainer.simple import AMPTrainer, SimpleTrainer
from loopwright.trainer.timing import IterationTimer, TorchMemoryStats, TorchProfiler

__all__ = [
    "DEFAULT_TIMEOUT",
    "AMPTrainer",
    "BestCheckpointer",
    "CallbackHook",
    "Checkpointer",
    "DefaultTrainer",
    "EvalHook",
    "HookBase",
    "IterationTimer",
    "LRScheduler",
    "LazyCall",
    "LazyConfig",
    "PeriodicCheckpointer",
    "PeriodicSaver",
    "PeriodicWriter",
    "PreciseBN",
    "SimpleTrainer",
    "TorchMemoryStats",
    "TorchProfiler",
    "TrainerBase",
    "create_ddp_model",
    "default_argument_parser",
    "default_setup",
    "default_writers",
    "endless",
    "instantiate",
    "launch",
    "setup_logger",
]
