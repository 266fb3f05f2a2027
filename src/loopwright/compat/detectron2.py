"""Which of our parts answer detectron2's and fvcore's module, class and function names."""

from __future__ import annotations

from typing import Any

from loopwright.compat.finder import Alias

_TRAINER = ("loopwright.trainer",)
_SOLVER = ("loopwright.optim.where", "loopwright.optim")
_MODULES: dict[str, tuple[str, ...]] = {
    "detectron2": (),
    "detectron2.engine": _TRAINER,
    "detectron2.engine.hooks": _TRAINER,
    "detectron2.engine.train_loop": _TRAINER,
    "detectron2.engine.defaults": _TRAINER,
    "detectron2.engine.launch": _TRAINER,
    "detectron2.utils": (),
    "detectron2.utils.events": ("loopwright.log",),
    "detectron2.utils.comm": ("loopwright.compat.d2_utils", "loopwright.dist"),
    "detectron2.utils.env": ("loopwright.compat.d2_utils",),
    "detectron2.utils.logger": _TRAINER,
    "detectron2.solver": _SOLVER,
    "detectron2.solver.build": _SOLVER,
    "detectron2.solver.lr_scheduler": _SOLVER,
    "detectron2.config": _TRAINER,
    "detectron2.config.lazy": _TRAINER,
    "detectron2.config.instantiate": _TRAINER,
    "detectron2.evaluation": ("loopwright.evaluation",),
    "detectron2.evaluation.evaluator": ("loopwright.evaluation",),
    "detectron2.evaluation.testing": ("loopwright.evaluation",),
    "detectron2.checkpoint": _TRAINER,
    "fvcore": (),
    "fvcore.common": (),
    "fvcore.common.checkpoint": _TRAINER,
    "fvcore.common.param_scheduler": ("loopwright.optim.where",),
}
_SAVER = "loopwright.trainer:PeriodicSaver"
_EXTRA: dict[str, dict[str, Any]] = {
    "detectron2": {"__version__": "0.6"},
    "detectron2.checkpoint": {
        "DetectionCheckpointer": "loopwright.trainer:Checkpointer",
        "PeriodicCheckpointer": _SAVER,
    },
    "fvcore": {"__version__": "0.1.5"},
    "fvcore.common.checkpoint": {"PeriodicCheckpointer": _SAVER},
}
PACKAGES = ("detectron2", "fvcore")


def aliases() -> dict[str, Alias]:
    """The modules answered for detectron2, and the two of fvcore that its users import."""
    return {name: Alias(name, sources, _EXTRA.get(name, {})) for name, sources in _MODULES.items()}
