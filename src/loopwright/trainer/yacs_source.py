"""Parts and settings of a DefaultTrainer from a config with detectron2's keys."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from loopwright import dist
from loopwright.build.environment import seed_everything
from loopwright.config import ConfigError
from loopwright.config.errors import nearest
from loopwright.config.provenance import origin_of
from loopwright.registry import MODELS
from loopwright.trainer.catalog import build_detection_test_loader, build_detection_train_loader
from loopwright.trainer.settings import Settings, positive
from loopwright.trainer.solver import build_lr_scheduler, build_optimizer


class YacsSource:
    """Parts of a config such as `get_cfg` gives."""

    def __init__(self, cfg: Any) -> None:
        self.cfg = cfg
        self.seed = cfg["SEED"] if cfg["SEED"] >= 0 else int(dist.sync_random_seed())
        seed_everything(self.seed)

    def settings(self) -> Settings:
        cfg, solver, test = self.cfg, self.cfg["SOLVER"], self.cfg["TEST"]
        precise = test["PRECISE_BN"]
        return Settings(
            output_dir=str(cfg["OUTPUT_DIR"]),
            max_iter=positive(solver, "MAX_ITER"),
            eval_period=int(test["EVAL_PERIOD"]),
            checkpoint_period=int(solver["CHECKPOINT_PERIOD"]),
            weights=cfg["MODEL"]["WEIGHTS"] or "",
            amp=bool(solver["AMP"]["ENABLED"]),
            precise_bn=int(precise["NUM_ITER"]) if precise["ENABLED"] else 0,
            seed=self.seed,
            expected_results=tuple(test["EXPECTED_RESULTS"]),
            ddp={"broadcast_buffers": False},
        )

    def model(self) -> nn.Module:
        return build_model(self.cfg)

    def optimizer(self, model: nn.Module) -> Any:
        return build_optimizer(self.cfg, model)

    def train_loader(self) -> Any:
        return build_detection_train_loader(self.cfg, seed=self.seed)

    def scheduled(self, optim_wrapper: Any) -> Any:
        return optim_wrapper.optimizer

    def scheduler(self, optimizer: Any) -> Any:
        return build_lr_scheduler(self.cfg, optimizer)

    def eval_names(self) -> list[str]:
        return list(self.cfg["DATASETS"]["TEST"])

    def test_loader(self, name: str) -> Any:
        return build_detection_test_loader(self.cfg, name)

    def evaluator(self, name: str) -> Any:
        raise NotImplementedError(f"no evaluator for {name!r}: override build_evaluator")

    def custom_hooks(self) -> Iterable[tuple[Any, int]]:
        return []


def build_model(cfg: Any) -> nn.Module:
    """The registered model that ``MODEL.META_ARCHITECTURE`` names, of ``cfg``, on its device.

    Raises ConfigError for a name that is not registered.
    """
    section = cfg["MODEL"]
    name = section["META_ARCHITECTURE"]
    kind = MODELS.get(name) if name else None
    if kind is None:
        known = nearest(name, MODELS.names()) if name else ""
        raise ConfigError(
            f"MODEL.META_ARCHITECTURE is {name!r}, no registered model{known}; register yours with "
            "@META_ARCH_REGISTRY.register() or @MODELS.register_module(), or override build_model "
            "(detectron2's model zoo is not here)",
            origin_of(section, "META_ARCHITECTURE"),
        )
    model: nn.Module = kind(cfg)
    return model.to(torch.device(section["DEVICE"]))
