"""Which of our parts answer MMEngine's module, class and function names."""

from __future__ import annotations

from typing import Any

from loopwright.compat.finder import Alias

VERSION = "0.10.7"

_OPTIM = (
    "loopwright.optim",
    "@OPTIM_WRAPPERS",
    "@OPTIM_WRAPPER_CONSTRUCTORS",
    "@PARAM_SCHEDULERS",
    "@OPTIMIZERS",
)
_SOURCES: dict[str, tuple[str, ...]] = {
    "config": ("loopwright.config",),
    "dataset": ("loopwright.data", "@DATASETS", "@DATA_SAMPLERS", "@FUNCTIONS"),
    "device": ("loopwright.compat.mm_device",),
    "dist": ("loopwright.dist",),
    "evaluator": ("loopwright.evaluation", "@EVALUATOR"),
    "fileio": ("loopwright.compat.mm_files", "loopwright.compat.mm_backends"),
    "hooks": ("loopwright.hooks", "@HOOKS"),
    "logging": ("loopwright.log",),
    "model": ("loopwright.model", "@MODELS", "@MODEL_WRAPPERS", "@WEIGHT_INITIALIZERS"),
    "optim": _OPTIM,
    "registry": ("loopwright.registry",),
    "runner": ("loopwright.runner", "@LOOPS", "@RUNNERS", "@LOG_PROCESSORS", "loopwright.core"),
    "structures": ("loopwright.compat.structures",),
    "utils": (
        "loopwright.compat.mm_utils",
        "loopwright.compat.mm_manager",
        "loopwright.compat.mm_decorators",
    ),
    "visualization": ("loopwright.log", "@VISUALIZERS", "@VISBACKENDS"),
}

_EXTRA: dict[str, dict[str, Any]] = {
    "config": {
        "DictAction": "loopwright.compat.mm_config:DictAction",
        "read_base": "loopwright.compat.mm_config:read_base",
    },
    "dataset": {
        "COLLATE_FUNCTIONS": "loopwright.registry:FUNCTIONS",
        "force_full_init": "loopwright.data:force_full_init",
    },
    "hooks": {"DATA_BATCH": dict | tuple | list | None},
    "model": {
        "convert_sync_batchnorm": "loopwright.model.norm:convert_sync_batchnorm",
        "merge_dict": "loopwright.compat.mm_model:merge_dict",
        "revert_sync_batchnorm": "loopwright.model.norm:revert_sync_batchnorm",
        "Caffe2XavierInit": "loopwright.model.init:Caffe2XavierInit",
        "ConstantInit": "loopwright.model.init:ConstantInit",
        "KaimingInit": "loopwright.model.init:KaimingInit",
        "NormalInit": "loopwright.model.init:NormalInit",
        "PretrainedInit": "loopwright.model.pretrained:PretrainedInit",
        "TruncNormalInit": "loopwright.model.init:TruncNormalInit",
        "UniformInit": "loopwright.model.init:UniformInit",
        "XavierInit": "loopwright.model.init:XavierInit",
    },
    "optim": {
        "OPTIMIZERS": "loopwright.registry:OPTIMIZERS",
        "OPTIM_WRAPPERS": "loopwright.registry:OPTIM_WRAPPERS",
        "OPTIM_WRAPPER_CONSTRUCTORS": "loopwright.registry:OPTIM_WRAPPER_CONSTRUCTORS",
        "PARAM_SCHEDULERS": "loopwright.registry:PARAM_SCHEDULERS",
        "INF": 10**9,
        "_ParamScheduler": "loopwright.optim.param_scheduler:ParamScheduler",
    },
    "registry": {
        "build_model_from_cfg": "loopwright.registry.roots:build_model",
        "build_runner_from_cfg": "loopwright.registry:build_from_cfg",
        "count_registered_modules": "loopwright.compat.mm_model:count_registered_modules",
    },
    "runner": {
        "BaseLoop": "loopwright.runner.loops:BaseLoop",
        "autocast": "loopwright.compat.mm_checkpoint:autocast",
        "ConfigType": dict,
        "_load_checkpoint": "loopwright.compat.mm_checkpoint:read_checkpoint",
        "_load_checkpoint_to_model": "loopwright.compat.mm_checkpoint:put_into_model",
        "_load_checkpoint_with_prefix": "loopwright.compat.mm_checkpoint:read_below",
        "CheckpointLoader": "loopwright.compat.mm_checkpoint:CheckpointLoader",
        "find_latest_checkpoint": "loopwright.compat.mm_checkpoint:find_latest_checkpoint",
        "get_state_dict": "loopwright.model:model_state",
        "load_checkpoint": "loopwright.compat.mm_checkpoint:load_checkpoint",
        "load_state_dict": "loopwright.compat.mm_checkpoint:load_state_dict",
        "save_checkpoint": "loopwright.compat.mm_checkpoint:save_checkpoint",
        "set_random_seed": "loopwright.compat.mm_checkpoint:set_random_seed",
        "weights_to_cpu": "loopwright.compat.mm_checkpoint:weights_to_cpu",
    },
}

# Modules inside MMEngine's packages: they answer what the package answers.
_INNER: dict[str, str] = {
    "config": "config lazy utils",
    "dataset": "base_dataset dataset_wrapper sampler utils",
    "device": "utils",
    "dist": "dist utils",
    "evaluator": "evaluator metric utils",
    "fileio": "backends file_client handlers io parse",
    "hooks": "checkpoint_hook early_stopping_hook ema_hook empty_cache_hook hook iter_timer_hook "
    "logger_hook naive_visualization_hook param_scheduler_hook profiler_hook runtime_info_hook "
    "sampler_seed_hook sync_buffer_hook test_time_aug_hook",
    "logging": "history_buffer logger message_hub",
    "model": "averaged_model base_model base_module base_model.base_model "
    "base_model.data_preprocessor test_time_aug utils weight_init wrappers wrappers.distributed "
    "wrappers.fully_sharded_distributed wrappers.seperate_distributed wrappers.utils",
    "optim": "optimizer scheduler optimizer.amp_optimizer_wrapper optimizer.base "
    "optimizer.builder optimizer.default_constructor optimizer.optimizer_wrapper "
    "optimizer.optimizer_wrapper_dict scheduler.lr_scheduler scheduler.momentum_scheduler "
    "scheduler.param_scheduler",
    "registry": "build_functions default_scope registry root utils",
    "runner": "activation_checkpointing amp base_loop checkpoint log_processor loops priority "
    "runner utils",
    "structures": "base_data_element instance_data label_data pixel_data",
    "utils": "dl_utils dl_utils.collect_env dl_utils.misc dl_utils.setup_env "
    "dl_utils.time_counter dl_utils.torch_ops dl_utils.visualize manager misc package_utils path "
    "progressbar timer version_utils",
    "visualization": "utils vis_backend visualizer",
}
_LAYERS = {
    "SyncBatchNorm": "batchnorm",
    "_BatchNorm": "batchnorm",
    "_ConvNd": "conv",
    "_InstanceNorm": "instancenorm",
}
_TOP = ("config", "fileio", "logging", "registry", "utils")


def aliases() -> dict[str, Alias]:
    """The modules answered for mmengine; the top one answers what five of its packages do."""
    found = {}
    top = tuple(source for package in _TOP for source in _SOURCES[package])
    extra = {name: value for package in _TOP for name, value in _EXTRA.get(package, {}).items()}
    version = {"__version__": VERSION, "version_info": tuple(map(int, VERSION.split(".")))}
    found["mmengine"] = Alias("mmengine", top, {**extra, **version})
    found["mmengine.version"] = Alias("mmengine.version", extra=version)
    for package, sources in _SOURCES.items():
        for inner in ("", *_INNER.get(package, "").split()):
            name = f"mmengine.{package}.{inner}".rstrip(".")
            found[name] = Alias(name, sources, _EXTRA.get(package, {}))
    layers = {name: f"torch.nn.modules.{where}:{name}" for name, where in _LAYERS.items()}
    name = "mmengine.utils.dl_utils.parrots_wrapper"
    found[name] = Alias(name, extra=layers)
    return found
