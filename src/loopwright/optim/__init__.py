"""Optimization: parameter groups, optim wrappers, schedules. Names that need torch load lazily."""

from __future__ import annotations

from loopwright.core.later import imported_later

_WHERE = {
    "accumulate": ("plan", "updates"),
    "amp": ("AmpOptimWrapper",),
    "apex": ("ApexOptimWrapper",),
    "auto_scale": ("scale_lr",),
    "build": ("build_optim_wrapper", "build_param_scheduler"),
    "checks": ("schedule_findings",),
    "clip": ("clip_adaptive", "clip_each", "clip_norm", "clip_to", "make_clip"),
    "constructor": ("DefaultOptimWrapperConstructor",),
    "curves": ("curve",),
    "default_params": ("get_default_optimizer_params", "reduce_param_groups"),
    "lamb": ("Lamb",),
    "lars": ("LARS",),
    "many": ("OptimWrapperDict",),
    "optimizers": ("build_optimizer",),
    "plan_groups": ("GroupPlan", "param_groups", "param_groups_of_each"),
    "resume": ("resume_schedulers",),
    "wrapper": ("BaseOptimWrapper", "OptimWrapper"),
    "plateau": (
        "ReduceOnPlateauLR",
        "ReduceOnPlateauMomentum",
        "ReduceOnPlateauParamScheduler",
    ),
    "torch_scheduler": ("TorchParamScheduler",),
    "param_scheduler": (
        "LRSchedulerMixin",
        "MomentumSchedulerMixin",
        "ParamScheduler",
        "WeightDecaySchedulerMixin",
    ),
    "scheduler": (
        "_ParamScheduler",
        "ConstantLR",
        "ConstantMomentum",
        "ConstantParamScheduler",
        "CosineAnnealingLR",
        "CosineAnnealingMomentum",
        "CosineAnnealingParamScheduler",
        "CosineAnnealingWeightDecay",
        "CosineRestartLR",
        "CosineRestartMomentum",
        "CosineRestartParamScheduler",
        "ExponentialLR",
        "ExponentialMomentum",
        "ExponentialParamScheduler",
        "LinearLR",
        "LinearLrInterval",
        "LinearMomentum",
        "LinearParamScheduler",
        "MultiStepLR",
        "MultiStepMomentum",
        "MultiStepParamScheduler",
        "OneCycleLR",
        "OneCycleParamScheduler",
        "PolyLR",
        "PolyLRRatio",
        "PolyMomentum",
        "PolyParamScheduler",
        "QuadraticWarmupLR",
        "QuadraticWarmupMomentum",
        "QuadraticWarmupParamScheduler",
        "StepLR",
        "StepMomentum",
        "StepParamScheduler",
    ),
    "layer_decay": (
        "CustomLayerDecayOptimizerConstructor_InternImage",
        "LayerDecayOptimWrapperConstructor",
        "LayerDecayOptimizerConstructor",
        "LayerDecayOptimizerConstructor_ViT",
        "LearningRateDecayOptimWrapperConstructor",
        "LearningRateDecayOptimizerConstructor",
    ),
    "library_constructors": (
        "ForceDefaultOptimWrapperConstructor",
        "SwinOptimWrapperConstructor",
        "TSMOptimWrapperConstructor",
        "YOLOv5OptimizerConstructor",
        "YOLOv7OptimWrapperConstructor",
    ),
    "multi": ("MultiOptimWrapperConstructor",),
    "zero": ("ZeroRedundancyOptimizer",),
}
_MODULES = {name: module for module, names in _WHERE.items() for name in names}

__all__ = sorted(_MODULES)

__getattr__, __dir__ = imported_later(__name__, _MODULES)
