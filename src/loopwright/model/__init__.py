"""Models: what trains on a batch, how weights start, averages, wrappers, compiling, fingerprints.

Names that need torch load when first used; `loopwright.model.all` imports all that registers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopwright.core.later import imported_later

_HOMES = {
    "base": ("BaseModel", "run_forward"),
    "losses": ("NoLossError", "parse_losses"),
    "trainable": ("as_trainable",),
    "predictions": ("predictions",),
    "preprocessor": ("BaseDataPreprocessor", "ImgDataPreprocessor", "stack_batch"),
    "dense": ("DetDataPreprocessor", "SegDataPreProcessor", "SelfSupDataPreprocessor"),
    "module": ("BaseModule", "ModuleDict", "ModuleList", "Sequential"),
    "init": (
        "BaseInit",
        "Caffe2XavierInit",
        "ConstantInit",
        "KaimingInit",
        "NormalInit",
        "TruncNormalInit",
        "UniformInit",
        "XavierInit",
        "bias_init_with_prob",
        "caffe2_xavier_init",
        "constant_init",
        "initialise",
        "initialize",
        "kaiming_init",
        "normal_init",
        "trunc_normal_",
        "trunc_normal_init",
        "uniform_init",
        "xavier_init",
    ),
    "pretrained": ("PretrainedInit",),
    "wrap": (
        "MMDistributedDataParallel",
        "MMSeparateDistributedDataParallel",
        "init_weights",
        "is_model_wrapper",
        "is_sharded",
        "model_state",
        "unwrap",
        "wrap_model",
    ),
    "averaged": (
        "BaseAveragedModel",
        "ExponentialMovingAverage",
        "MomentumAnnealingEMA",
        "StochasticWeightAverage",
    ),
    "norm": (
        "convert_sync_batchnorm",
        "revert_sync_batchnorm",
        "seen_by_statistics",
        "update_bn_stats",
    ),
    "sharded": ("load_whole", "shard", "whole"),
    "tta": ("BaseTTAModel", "MeanTTAModel"),
    "graph": ("detect_anomalous_params", "parameters_without_part"),
    "compiling": ("CompileReport", "compile_model", "compile_report"),
    "fingerprints": ("check_ranks", "fingerprint"),
    "saving_memory": ("turn_on_activation_checkpointing", "turn_on_efficient_conv_bn_eval"),
    "prints": ("Fingerprint", "TensorPrint", "check_expected", "diff"),
}
_WHERE = {name: home for home, names in _HOMES.items() for name in names}

__all__ = sorted(_WHERE)

if TYPE_CHECKING:
    from loopwright.model.base import BaseModel as BaseModel
    from loopwright.model.compiling import compile_model as compile_model
    from loopwright.model.fingerprints import fingerprint as fingerprint
    from loopwright.model.prints import Fingerprint as Fingerprint
    from loopwright.model.trainable import as_trainable as as_trainable
    from loopwright.model.wrap import init_weights as init_weights
    from loopwright.model.wrap import unwrap as unwrap
    from loopwright.model.wrap import wrap_model as wrap_model

__getattr__, __dir__ = imported_later(__name__, _WHERE)
