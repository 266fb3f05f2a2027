"""Which of our parts answer detectron2's, fvcore's and yacs's module, class and function names."""

from __future__ import annotations

import logging
from typing import Any

from loopwright.compat.finder import Alias

_TRAINER = ("loopwright.trainer",)
_SOLVER = ("loopwright.optim.where", "loopwright.optim")
_SMALL = ("loopwright.compat.d2_small",)
_MODULES: dict[str, tuple[str, ...]] = {
    "detectron2": (),
    "detectron2.engine": _TRAINER,
    "detectron2.engine.hooks": _TRAINER,
    "detectron2.engine.train_loop": _TRAINER,
    "detectron2.engine.defaults": _TRAINER,
    "detectron2.engine.launch": _TRAINER,
    "detectron2.utils": (),
    "detectron2.utils.events": ("loopwright.log",),
    "detectron2.utils.comm": ("loopwright.compat.d2_ranks", "loopwright.dist"),
    "detectron2.utils.env": ("loopwright.compat.d2_ranks",),
    "detectron2.utils.file_io": ("loopwright.compat.d2_files",),
    "detectron2.utils.logger": ("loopwright.compat.d2_logging", *_SMALL),
    "detectron2.utils.registry": _SMALL,
    "detectron2.utils.collect_env": _SMALL,
    "detectron2.solver": _SOLVER,
    "detectron2.solver.build": _SOLVER,
    "detectron2.solver.lr_scheduler": _SOLVER,
    "detectron2.config": _TRAINER,
    "detectron2.config.config": _TRAINER,
    "detectron2.config.lazy": _TRAINER,
    "detectron2.config.instantiate": _TRAINER,
    "detectron2.evaluation": ("loopwright.evaluation",),
    "detectron2.evaluation.evaluator": ("loopwright.evaluation",),
    "detectron2.evaluation.testing": ("loopwright.evaluation",),
    "detectron2.checkpoint": _TRAINER,
    "detectron2.data": (),
    "detectron2.data.build": (),
    "detectron2.data.catalog": (),
    "detectron2.data.common": (),
    "detectron2.modeling": (),
    "detectron2.modeling.meta_arch": (),
    "detectron2.modeling.meta_arch.build": (),
    "fvcore": (),
    "fvcore.common": (),
    "fvcore.common.checkpoint": _TRAINER,
    "fvcore.common.config": (),
    "fvcore.common.file_io": ("loopwright.compat.d2_files",),
    "fvcore.common.history_buffer": (),
    "fvcore.common.param_scheduler": ("loopwright.optim.where",),
    "fvcore.common.registry": (),
    "fvcore.common.timer": (),
    "fvcore.nn": (),
    "fvcore.nn.precise_bn": (),
    "yacs": (),
    "yacs.config": (),
}
_SAVER = "loopwright.trainer:PeriodicSaver"
_SOLVING = {
    "build_optimizer": "loopwright.trainer:build_optimizer",
    "build_lr_scheduler": "loopwright.trainer:build_lr_scheduler",
    "maybe_add_gradient_clipping": "loopwright.trainer:maybe_add_gradient_clipping",
    "LRScheduler": "torch.optim.lr_scheduler:LRScheduler",
}
_DATA = {
    name: f"loopwright.trainer:{name}"
    for name in (
        "DatasetCatalog",
        "MapDataset",
        "MetadataCatalog",
        "build_detection_test_loader",
        "build_detection_train_loader",
        "get_detection_dataset_dicts",
    )
}
_MODELING = {
    "META_ARCH_REGISTRY": "loopwright.compat.d2_small:META_ARCH_REGISTRY",
    "build_model": "loopwright.trainer:build_model",
}
_NODE = {"CfgNode": "loopwright.trainer:CfgNode"}
_EXTRA: dict[str, dict[str, Any]] = {
    "detectron2": {"__version__": "0.6"},
    "detectron2.checkpoint": {
        "DetectionCheckpointer": "loopwright.trainer:Checkpointer",
        "PeriodicCheckpointer": _SAVER,
    },
    "detectron2.solver": _SOLVING,
    "detectron2.solver.build": _SOLVING,
    "detectron2.data": _DATA,
    "detectron2.data.build": _DATA,
    "detectron2.data.catalog": {**_DATA, "Metadata": "loopwright.trainer.catalog:Metadata"},
    "detectron2.data.common": _DATA,
    "detectron2.modeling": _MODELING,
    "detectron2.modeling.meta_arch": _MODELING,
    "detectron2.modeling.meta_arch.build": _MODELING,
    "fvcore": {"__version__": "0.1.5"},
    "fvcore.common.checkpoint": {"PeriodicCheckpointer": _SAVER},
    "fvcore.common.config": _NODE,
    "fvcore.common.history_buffer": {"HistoryBuffer": "loopwright.log:HistoryBuffer"},
    "fvcore.common.registry": {"Registry": "loopwright.compat.d2_small:Registry"},
    "fvcore.common.timer": {"Timer": "loopwright.compat.d2_small:Timer"},
    "fvcore.nn.precise_bn": {
        "get_bn_modules": "loopwright.model.norm:batch_norms",
        "update_bn_stats": "loopwright.model.norm:update_bn_stats",
    },
    "yacs.config": _NODE,
}
_PICTURES = "picture reading: give build_detection_train_loader(mapper=…) a function of yours"
_ELSEWHERE = {
    "model_zoo": "trained models and their configs",
    "layers": "layers of detectors",
    "structures": "boxes, masks and instances; near are loopwright.vision.boxes and .masks",
    "projects": "projects",
    "export": "export",
    "tracking": "tracking",
    "datasets": "readers of data sets; near is loopwright.vision.files.CocoDataset",
    "transforms": "picture transforms; near is loopwright.data.transforms",
    "detection_utils": _PICTURES,
    "samplers": "samplers; near are loopwright.data.DefaultSampler and .InfiniteSampler",
    "DatasetMapper": _PICTURES,
    "dataset_mapper": _PICTURES,
    "DatasetFromList": "a list is a data set as it is; near is loopwright.trainer.MapDataset",
    "build_batch_data_loader": "near is loopwright.data.build_dataloader",
    "COCOEvaluator": "evaluators of data sets; near is loopwright.vision.metrics.CocoMetric",
    "SemSegEvaluator": "evaluators of data sets; near is loopwright.evaluation.IoUMetric",
    "backbone": "backbones",
    "visualizer": "drawing; near is loopwright.log.Visualizer, which draws boxes and masks",
    "add_deeplab_config": "projects",
}
PACKAGES = ("detectron2", "fvcore")


def hand_lines_to(logger: str) -> None:
    """Let what scripts say to ``logging.getLogger("detectron2")`` go where a logger's lines go."""
    for name in PACKAGES:
        logging.getLogger(name).parent = logging.getLogger(logger)


class EngineAlias(Alias):
    """A module of detectron2, of which the engine alone is answered."""

    def missing(self, name: str) -> str:
        """The message for a name that is not answered; of other parts of the library, what."""
        if name in _ELSEWHERE:
            return (
                f"Loopwright answers detectron2's engine, not its library of detectors: "
                f"{self.name}.{name} is not there ({_ELSEWHERE[name]})"
            )
        return super().missing(name)


def aliases() -> dict[str, Alias]:
    """The modules answered for detectron2, and those of fvcore and yacs that its users import."""
    return {
        name: EngineAlias(name, sources, _EXTRA.get(name, {})) for name, sources in _MODULES.items()
    }
