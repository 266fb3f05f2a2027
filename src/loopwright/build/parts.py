"""Building the parts of a run from its spec, each by one function, each once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from loopwright.build.environment import Environment
from loopwright.build.spec import RunSpec, check_section
from loopwright.config import ConfigError
from loopwright.data import build_dataloader
from loopwright.evaluation import Evaluator
from loopwright.model import as_trainable, compile_model, wrap_model
from loopwright.model.norm import convert_sync_batchnorm
from loopwright.model.saving_memory import (
    turn_on_activation_checkpointing,
    turn_on_efficient_conv_bn_eval,
)
from loopwright.optim import build_optim_wrapper
from loopwright.optim.auto_scale import scale_lr
from loopwright.registry import EVALUATOR, LOOPS, MODELS

TRAIN_LOOPS = {True: "EpochBasedTrainLoop", False: "IterBasedTrainLoop"}


def build_model(spec: RunSpec, env: Environment) -> nn.Module:
    """The model with its preprocessor, trainable, on its device, and wrapped for many processes."""
    model = spec.model
    if isinstance(model, dict | list):
        defaults = {}
        if isinstance(model, dict) and spec.data_preprocessor is not None:
            defaults = {"data_preprocessor": spec.data_preprocessor}
        model = MODELS.build(model, **defaults)
    if not isinstance(model, nn.Module):
        raise ConfigError(f"model must be a torch.nn.Module or a config dict, got {model!r}")
    model = as_trainable(model, loss=spec.loss, data_preprocessor=spec.data_preprocessor)
    if spec.sync_bn is not None and env.world_size > 1:
        model = convert_sync_batchnorm(model, spec.sync_bn)
    model = model.to(env.device)
    if spec.activation_checkpointing is not None:
        turn_on_activation_checkpointing(model, spec.activation_checkpointing)
    if spec.efficient_conv_bn_eval is not None:
        turn_on_efficient_conv_bn_eval(model, spec.efficient_conv_bn_eval)
    wrapper = spec.model_wrapper_cfg
    if wrapper is None and env.world_size > 1:
        wrapper = {
            "type": "MMDistributedDataParallel",
            "find_unused_parameters": spec.find_unused_parameters,
        }
    return wrap_model(model, wrapper, env.device) if wrapper is not None else model


def build_loader(
    cfg: Any, env: Environment, *, training: bool, bad_samples_file: str | None = None
) -> Any:
    """A loader from a config, from a ``torch.utils.data.DataLoader`` or from any iterable.

    A config that names no sampler is shuffled for training and read in order otherwise.
    """
    return build_dataloader(
        cfg,
        seed=env.seed,
        rank=env.rank,
        world=env.world_size,
        diff_rank_seed=env.diff_rank_seed,
        shuffle=None if training else False,
        bad_samples_file=bad_samples_file,
    )


def build_optimization(
    spec: RunSpec,
    model: nn.Module,
    batch: int | None,
    env: Environment,
    say: Callable[[str], None],
) -> Any:
    """The optim wrapper, its learning rates scaled to the batch when ``auto_scale_lr`` says so.

    The batch is what one update sees: of all ranks and all accumulated iterations.
    """
    given = spec.optim_wrapper
    if isinstance(given, torch.optim.Optimizer):
        given = {"type": "OptimWrapper", "optimizer": given}
    wrapper = build_optim_wrapper(model, given)
    scale = spec.auto_scale_lr
    if scale:
        check_section("auto_scale_lr", scale, ("enable", "base_batch_size"))
    if scale and scale.get("enable"):
        if batch is None:
            raise ConfigError("auto_scale_lr needs a train_dataloader with a batch_size")
        accumulated = int(given.get("accumulative_counts", 1)) if isinstance(given, dict) else 1
        for line in scale_lr(wrapper, scale, batch * env.world_size * accumulated):
            say(f"auto_scale_lr: {line}")
    return wrapper


def build_evaluator(cfg: Any) -> Any:
    """An evaluator from metric configs, metric objects, or itself."""
    if isinstance(cfg, dict) and cfg.get("type") in (Evaluator, "Evaluator"):
        return EVALUATOR.build(cfg)
    if hasattr(cfg, "process") and hasattr(cfg, "evaluate") and not hasattr(cfg, "compute_metrics"):
        return cfg
    if isinstance(cfg, dict) and "metrics" in cfg and "type" in cfg:
        return EVALUATOR.build(cfg)
    return Evaluator(cfg)


def build_train_loop(cfg: Any, runner: Any, loader: Any) -> Any:
    """The training loop that ``train_cfg`` means: by ``type``, or by ``by_epoch``.

    Raises ConfigError for both or neither.
    """
    if not isinstance(cfg, dict):
        return cfg
    if "type" in cfg and "by_epoch" in cfg:
        raise ConfigError("train_cfg: give either type or by_epoch, got both")
    if "type" not in cfg and "by_epoch" not in cfg:
        raise ConfigError(
            "train_cfg needs type='EpochBasedTrainLoop' (or 'IterBasedTrainLoop') or by_epoch, "
            f"got {', '.join(cfg) or 'nothing'}"
        )
    kind = cfg["type"] if "type" in cfg else TRAIN_LOOPS[bool(cfg["by_epoch"])]
    rest = {k: v for k, v in cfg.items() if k not in ("type", "by_epoch")}
    return LOOPS.build({**rest, "type": kind, "runner": runner, "dataloader": loader})


def build_eval_loop(cfg: Any, runner: Any, loader: Any, evaluator: Any, kind: str) -> Any:
    """The loop that ``val_cfg`` or ``test_cfg`` means (``kind``: ValLoop or TestLoop)."""
    if not isinstance(cfg, dict):
        return cfg
    return LOOPS.build(
        {"type": kind, **cfg, "runner": runner, "dataloader": loader, "evaluator": evaluator}
    )


def compiled(model: nn.Module, cfg: Any, say: Callable[[str], None]) -> bool:
    """Compile the model in place when ``compile`` asks for it; whether it did."""
    options = cfg if isinstance(cfg, bool) or cfg is None else dict(cfg)
    if isinstance(options, dict) and options.pop("enabled", True) is False:
        return False
    if options is None or options is False:
        return False
    say(f"torch.compile with {options or 'default options'} (torch {torch.__version__})")
    compile_model(model, options)
    return True
