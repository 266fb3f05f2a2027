"""The root registries, under MMEngine's names, and where their built-in members live."""

from __future__ import annotations

from typing import Any

from loopwright.registry.allow import locate
from loopwright.registry.build import build_from_cfg
from loopwright.registry.registry import Registry
from loopwright.registry.scope import ROOT_SCOPE

_VISION = "loopwright.vision.all"


def _root(
    name: str, *locations: str, namespaces: tuple[str, ...] = (), build: Any = None
) -> Registry:
    return Registry(
        name, build_func=build, scope=ROOT_SCOPE, locations=locations, namespaces=namespaces
    )


def build_model(cfg: Any, registry: Registry, **defaults: Any) -> Any:
    """Build a model; a list of configs becomes a ``torch.nn.Sequential``."""
    if isinstance(cfg, list):
        parts = [build_from_cfg(part, registry, **defaults) for part in cfg]
        return locate("torch.nn.Sequential")(*parts)
    return build_from_cfg(cfg, registry, **defaults)


RUNNERS = _root("runner", "loopwright.runner")
RUNNER_CONSTRUCTORS = _root("runner constructor")
LOOPS = _root("loop", "loopwright.runner")
HOOKS = _root("hook", "loopwright.hooks", "loopwright.hooks.all")
STRATEGIES = _root("strategy")
DATASETS = _root("dataset", "loopwright.data", _VISION)
DATA_SAMPLERS = _root("data sampler", "loopwright.data")
TRANSFORMS = _root("transform", "loopwright.data", _VISION)
MODELS = _root(
    "model",
    "loopwright.model.all",
    "loopwright.vision.models",
    namespaces=("torch.nn",),
    build=build_model,
)
MODEL_WRAPPERS = _root("model wrapper", "loopwright.model.all")
WEIGHT_INITIALIZERS = _root("weight initializer", "loopwright.model.all")
OPTIMIZERS = _root("optimizer", "loopwright.optim.all", namespaces=("torch.optim",))
OPTIM_WRAPPERS = _root("optim wrapper", "loopwright.optim.all")
OPTIM_WRAPPER_CONSTRUCTORS = _root("optim wrapper constructor", "loopwright.optim.all")
PARAM_SCHEDULERS = _root("param scheduler", "loopwright.optim.all")
METRICS = _root("metric", "loopwright.evaluation", _VISION)
EVALUATOR = _root("evaluator", "loopwright.evaluation")
TASK_UTILS = _root("task util", "loopwright.model.all", _VISION)
VISUALIZERS = _root("visualizer", "loopwright.log", _VISION)
VISBACKENDS = _root("vis backend", "loopwright.log")
LOG_PROCESSORS = _root("log processor", "loopwright.log")
INFERENCERS = _root("inferencer")
FUNCTIONS = _root("function", "loopwright.data", "loopwright.checkpoint.loading")

ROOTS: dict[str, Registry] = {
    key: value for key, value in list(globals().items()) if isinstance(value, Registry)
}
