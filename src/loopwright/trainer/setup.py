"""What a training script begins with: arguments, folder, loggers, writers, a wrapped model."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pprint import pformat
from typing import Any

import torch
from torch import nn
from torch.distributed.algorithms.ddp_comm_hooks import default_hooks

from loopwright import dist
from loopwright.build.environment import seed_everything
from loopwright.config import ConfigError
from loopwright.files import atomic_write
from loopwright.log import CommonMetricPrinter, EventWriter, JSONWriter, TensorboardXWriter
from loopwright.model import wrap_model
from loopwright.registry import allow_packages
from loopwright.trainer.lazy import LazyConfig

logger = logging.getLogger("loopwright.trainer")


def default_argument_parser(epilog: str | None = None) -> argparse.ArgumentParser:
    """The arguments of a training script: config, resume, eval-only, processes, overrides.

    >>> args = default_argument_parser().parse_args(["--config-file", "a.py", "train.max_iter=9"])
    >>> args.config_file, args.opts, args.num_gpus
    ('a.py', ['train.max_iter=9'], 1)
    """
    parser = argparse.ArgumentParser(epilog=epilog)
    parser.add_argument("--config-file", default="", metavar="FILE", help="path to the config")
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    parser.add_argument("--eval-only", action="store_true", help="evaluate and stop")
    parser.add_argument("--num-gpus", type=int, default=1, help="processes on each machine")
    parser.add_argument("--num-machines", type=int, default=1)
    parser.add_argument("--machine-rank", type=int, default=0)
    parser.add_argument("--dist-url", default="auto", help="tcp://host:port, or auto")
    parser.add_argument(
        "--allow", action="append", default=[], metavar="PACKAGE", help="lazy configs may name it"
    )
    parser.add_argument("opts", nargs=argparse.REMAINDER, default=[], help="overrides: a.b=c")
    return parser


def setup_logger(
    output: str | None = None, distributed_rank: int = 0, *, name: str = "loopwright"
) -> logging.Logger:
    """The logger of the package, saying to the terminal (rank 0) and to a file.

    ``output`` is a folder (``log.txt`` in it) or a file; other ranks add ``.rank1``, ….
    """
    chosen = logging.getLogger(name)
    chosen.setLevel(logging.INFO)
    plain = logging.Formatter("[%(asctime)s %(name)s]: %(levelname)s %(message)s", "%m/%d %H:%M:%S")
    if distributed_rank == 0 and not any(type(h) is _Terminal for h in chosen.handlers):
        _add(chosen, _Terminal(), plain)
    if output is not None:
        path = output if output.endswith((".txt", ".log")) else os.path.join(output, "log.txt")
        path += f".rank{distributed_rank}" if distributed_rank else ""
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        same = [h for h in chosen.handlers if getattr(h, "baseFilename", "") == _full(path)]
        if not same:
            _add(chosen, logging.FileHandler(path, encoding="utf-8"), plain)
    return chosen


def _full(path: str) -> str:
    return os.path.abspath(path)


class _Terminal(logging.StreamHandler[Any]):
    """Writes to whatever sys.stdout is when something is said."""

    def __init__(self) -> None:
        super().__init__(sys.stdout)

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stdout
        super().emit(record)


def _add(target: logging.Logger, handler: logging.Handler, how: logging.Formatter) -> None:
    handler.setFormatter(how)
    target.addHandler(handler)


def default_setup(cfg: Any, args: Any) -> None:
    """Before anything is built: the output folder, loggers, the config in the folder, the seed.

    The config is of any kind that a DefaultTrainer takes. The seed is the same on every rank, so
    that all build the same model. What ``--allow`` named may be named by lazy configs from here on.
    """
    allow_packages(*getattr(args, "allow", ()))
    folder, seed, benchmark = _facts(cfg)
    os.makedirs(folder, exist_ok=True)
    rank = dist.get_rank()
    setup_logger(folder, rank)
    logger.info("rank %d of %d, torch %s", rank, dist.get_world_size(), torch.__version__)
    logger.info("command line arguments: %s", args)
    if rank == 0:
        _keep(cfg, folder)
    seed_everything(int(dist.sync_random_seed()) if seed is None else int(seed))
    if not getattr(args, "eval_only", False):
        torch.backends.cudnn.benchmark = bool(benchmark)


def _facts(cfg: Any) -> tuple[str, int | None, Any]:
    """Output folder, seed and whether cuDNN chooses by trying, by the keys of any dialect."""
    if "SOLVER" in cfg:
        seed = cfg.get("SEED", -1)
        folder = str(cfg.get("OUTPUT_DIR") or "./output")
        return folder, None if seed < 0 else seed, cfg.get("CUDNN_BENCHMARK")
    train = cfg.get("train") or {}
    folder = str(cfg.get("work_dir") or train.get("output_dir") or "./output")
    seed = train.get("seed", (cfg.get("randomness") or {}).get("seed"))
    return folder, seed, (cfg.get("env_cfg") or {}).get("cudnn_benchmark")


def _keep(cfg: Any, folder: str) -> None:
    """Write the config into the folder; one that holds objects goes there as text for a reader."""
    try:
        LazyConfig.save(cfg, os.path.join(folder, "config.yaml"))
    except ConfigError as error:
        atomic_write(os.path.join(folder, "config.txt"), pformat(cfg, width=100))
        reason = str(error)[:200]
        logger.warning("the config is no plain data and went to config.txt as text: %s", reason)


def default_writers(output_dir: str, max_iter: int | None = None) -> list[EventWriter]:
    """Console, ``metrics.json``, and TensorBoard where it is installed."""
    os.makedirs(output_dir, exist_ok=True)
    writers: list[EventWriter] = [
        CommonMetricPrinter(max_iter),
        JSONWriter(os.path.join(output_dir, "metrics.json")),
    ]
    try:
        writers.append(TensorboardXWriter(output_dir))
    except ImportError:
        logger.info("tensorboard is not installed: no event files")
    return writers


def create_ddp_model(model: nn.Module, *, fp16_compression: bool = False, **options: Any) -> Any:
    """The model for all ranks; alone, the model itself."""
    if dist.get_world_size() == 1:
        return model
    device = next(model.parameters()).device
    kind = "MMDistributedDataParallel" if hasattr(model, "train_step") else None
    if kind is not None:
        wrapped: Any = wrap_model(model, {"type": kind, **options}, device)
    else:
        places = [device.index or 0] if device.type == "cuda" else None
        wrapped = nn.parallel.DistributedDataParallel(model, device_ids=places, **options)
    if fp16_compression:
        wrapped.register_comm_hook(state=None, hook=default_hooks.fp16_compress_hook)
    return wrapped
