"""detectron2's face: trainers and hooks over the same loop, storage, schedules and checkpoints."""

from loopwright.trainer.base import TrainerBase
from loopwright.trainer.catalog import (
    DatasetCatalog,
    MapDataset,
    MetadataCatalog,
    build_detection_test_loader,
    build_detection_train_loader,
    get_detection_dataset_dicts,
)
from loopwright.trainer.cfgnode import CfgNode
from loopwright.trainer.checkpointing import (
    BestCheckpointer,
    Checkpointer,
    PeriodicCheckpointer,
    PeriodicSaver,
)
from loopwright.trainer.data import endless
from loopwright.trainer.default import DefaultTrainer
from loopwright.trainer.defaults import configurable, get_cfg, global_cfg, set_global_cfg
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
from loopwright.trainer.predictor import DefaultPredictor
from loopwright.trainer.setup import (
    create_ddp_model,
    default_argument_parser,
    default_setup,
    default_writers,
    setup_logger,
)
from loopwright.trainer.simple import AMPTrainer, SimpleTrainer
from loopwright.trainer.solver import (
    build_lr_scheduler,
    build_optimizer,
    maybe_add_gradient_clipping,
)
from loopwright.trainer.timing import (
    AutogradProfiler,
    IterationTimer,
    TorchMemoryStats,
    TorchProfiler,
)
from loopwright.trainer.yacs_source import build_model

__all__ = [
    "CfgNode",
    "DatasetCatalog",
    "DefaultPredictor",
    "MapDataset",
    "MetadataCatalog",
    "build_detection_test_loader",
    "build_detection_train_loader",
    "build_lr_scheduler",
    "build_model",
    "build_optimizer",
    "configurable",
    "get_cfg",
    "get_detection_dataset_dicts",
    "global_cfg",
    "maybe_add_gradient_clipping",
    "set_global_cfg",
    "DEFAULT_TIMEOUT",
    "AMPTrainer",
    "AutogradProfiler",
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
