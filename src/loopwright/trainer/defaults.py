"""The default config of detectron2's face: the keys that trainers, solver and loaders read."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import torch

from loopwright.config.limits import names
from loopwright.trainer.cfgnode import CfgNode

_ZOO = names(
    "BACKBONE FPN PROPOSAL_GENERATOR ANCHOR_GENERATOR RPN ROI_HEADS ROI_BOX_HEAD "
    "ROI_BOX_CASCADE_HEAD ROI_MASK_HEAD ROI_KEYPOINT_HEAD SEM_SEG_HEAD PANOPTIC_FPN RETINANET "
    "RESNETS DENSEPOSE_ON KEYPOINT_ON MASK_ON LOAD_PROPOSALS"
)

global_cfg = CfgNode()


def get_cfg() -> CfgNode:
    """A config with detectron2's keys and defaults, without those of its model zoo.

    ``MODEL.DEVICE`` is ``cuda`` where there is a GPU, else ``cpu``. A model of yours adds its keys
    first: ``cfg.MODEL.MY_NET = CfgNode({"WIDTH": 64})``.

    >>> cfg = get_cfg()
    >>> cfg.SOLVER.MAX_ITER, cfg.SOLVER.LR_SCHEDULER_NAME, cfg.OUTPUT_DIR
    (40000, 'WarmupMultiStepLR', './output')
    """
    cfg = CfgNode(
        {
            "VERSION": 2,
            "MODEL": _model(),
            "INPUT": _input(),
            "DATASETS": {"TRAIN": (), "TEST": ()},
            "DATALOADER": _loader(),
            "SOLVER": _solver(),
            "TEST": _test(),
            "OUTPUT_DIR": "./output",
            "SEED": -1,
            "CUDNN_BENCHMARK": False,
            "FLOAT32_PRECISION": "",
            "VIS_PERIOD": 0,
            "GLOBAL": {"HACK": 1.0},
        }
    )
    for name in _ZOO:
        cfg.register_foreign_keys(
            f"MODEL.{name}",
            f"MODEL.{name} is a key of detectron2's model zoo, which Loopwright does not have; "
            f"give a model of your own its keys first: cfg.MODEL.{name} = …",
        )
    return cfg


def _model() -> dict[str, Any]:
    return {
        "META_ARCHITECTURE": "",
        "DEVICE": "cuda" if torch.cuda.is_available() else "cpu",
        "WEIGHTS": "",
        "PIXEL_MEAN": [103.530, 116.280, 123.675],
        "PIXEL_STD": [1.0, 1.0, 1.0],
    }


def _input() -> dict[str, Any]:
    return {
        "MIN_SIZE_TRAIN": (800,),
        "MIN_SIZE_TRAIN_SAMPLING": "choice",
        "MAX_SIZE_TRAIN": 1333,
        "MIN_SIZE_TEST": 800,
        "MAX_SIZE_TEST": 1333,
        "RANDOM_FLIP": "horizontal",
        "CROP": {"ENABLED": False, "TYPE": "relative_range", "SIZE": [0.9, 0.9]},
        "FORMAT": "BGR",
        "MASK_FORMAT": "polygon",
    }


def _loader() -> dict[str, Any]:
    return {
        "NUM_WORKERS": 4,
        "ASPECT_RATIO_GROUPING": True,
        "SAMPLER_TRAIN": "TrainingSampler",
        "REPEAT_THRESHOLD": 0.0,
        "FILTER_EMPTY_ANNOTATIONS": True,
    }


def _solver() -> dict[str, Any]:
    return {
        "LR_SCHEDULER_NAME": "WarmupMultiStepLR",
        "MAX_ITER": 40000,
        "BASE_LR": 0.001,
        "BASE_LR_END": 0.0,
        "MOMENTUM": 0.9,
        "NESTEROV": False,
        "WEIGHT_DECAY": 0.0001,
        "WEIGHT_DECAY_NORM": 0.0,
        "GAMMA": 0.1,
        "STEPS": (30000,),
        "NUM_DECAYS": 3,
        "WARMUP_FACTOR": 1.0 / 1000,
        "WARMUP_ITERS": 1000,
        "WARMUP_METHOD": "linear",
        "RESCALE_INTERVAL": False,
        "CHECKPOINT_PERIOD": 5000,
        "IMS_PER_BATCH": 16,
        "REFERENCE_WORLD_SIZE": 0,
        "BIAS_LR_FACTOR": 1.0,
        "WEIGHT_DECAY_BIAS": None,
        "CLIP_GRADIENTS": {
            "ENABLED": False,
            "CLIP_TYPE": "value",
            "CLIP_VALUE": 1.0,
            "NORM_TYPE": 2.0,
        },
        "AMP": {"ENABLED": False},
    }


def _test() -> dict[str, Any]:
    return {
        "EXPECTED_RESULTS": [],
        "EVAL_PERIOD": 0,
        "DETECTIONS_PER_IMAGE": 100,
        "PRECISE_BN": {"ENABLED": False, "NUM_ITER": 200},
    }


def set_global_cfg(cfg: CfgNode) -> None:
    """Let ``global_cfg`` hold what a config holds."""
    global_cfg.defrost()
    global_cfg.clear()
    global_cfg.update(cfg)


def configurable(
    init_func: Callable[..., Any] | None = None,
    *,
    from_config: Callable[..., dict[str, Any]] | None = None,
) -> Any:
    """Let an ``__init__`` (or a function, with ``from_config=``) be called with a config as well.

    The class's ``from_config(cfg, …)`` turns the config into the arguments; what else is given
    wins over it.

    >>> class Head:
    ...     @configurable
    ...     def __init__(self, width, depth=1): self.size = width, depth
    ...     @classmethod
    ...     def from_config(cls, cfg): return {"width": cfg.WIDTH}
    >>> Head(CfgNode({"WIDTH": 8}), depth=2).size, Head(3).size
    ((8, 2), (3, 1))
    """
    if init_func is None:
        return functools.partial(configurable, from_config=from_config)
    if from_config is not None:
        return _configurable_function(init_func, from_config)

    @functools.wraps(init_func)
    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        translate = getattr(type(self), "from_config", None)
        if _has_config(args, kwargs):
            if not inspect.ismethod(translate):
                raise TypeError(f"{type(self).__name__} needs a classmethod from_config(cfg, …)")
            kwargs, args = _translated(translate, args, kwargs), ()
        init_func(self, *args, **kwargs)

    return init


def _configurable_function(func: Callable[..., Any], from_config: Callable[..., Any]) -> Any:
    @functools.wraps(func)
    def called(*args: Any, **kwargs: Any) -> Any:
        if _has_config(args, kwargs):
            return func(**_translated(from_config, args, kwargs))
        return func(*args, **kwargs)

    return called


def _has_config(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    return (bool(args) and isinstance(args[0], dict)) or isinstance(kwargs.get("cfg"), dict)


def _translated(translate: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments that ``from_config`` makes; those that it does not take go on as they are."""
    parameters = inspect.signature(translate).parameters.values()
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return dict(translate(*args, **kwargs))
    taken = {p.name for p in parameters}
    inner = {k: v for k, v in kwargs.items() if k in taken}
    outer = {k: v for k, v in kwargs.items() if k not in taken}
    return {**translate(*args, **inner), **outer}
