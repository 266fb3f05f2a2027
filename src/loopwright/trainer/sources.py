"""Parts and settings of a DefaultTrainer from a config: MMEngine's keys, or a lazy config's."""

from __future__ import annotations

from collections.abc import Iterable, Sized
from typing import Any, Protocol

from torch import nn

from loopwright import dist
from loopwright.build.environment import Environment, seed_everything, set_up
from loopwright.build.hooks import build_hook
from loopwright.build.parts import build_evaluator, build_loader, build_model
from loopwright.build.spec import RunSpec, check_section
from loopwright.config import ConfigError
from loopwright.core.nearest import nearest_or_all
from loopwright.optim import build_optim_wrapper, build_param_scheduler
from loopwright.trainer.lazy import instantiate
from loopwright.trainer.predicting import AsDatasetEvaluator
from loopwright.trainer.settings import Settings, positive
from loopwright.trainer.yacs_source import YacsSource

_KEPT = 8
_SOURCES: dict[int, tuple[Any, Source]] = {}


class Source(Protocol):
    """Parts and settings by the keys of one dialect; ``train_loader`` comes before ``settings``,
    which may count epochs out into iterations.
    """

    def settings(self) -> Settings:
        """What is read of the config beside the parts."""

    def model(self) -> nn.Module:
        """The model, on its device."""

    def optimizer(self, model: nn.Module) -> Any:
        """A torch optimizer or an OptimWrapper."""

    def train_loader(self) -> Any:
        """An iterable of batches."""

    def scheduled(self, optim_wrapper: Any) -> Any:
        """What a schedule moves: the wrapper, or the optimizer inside."""

    def scheduler(self, optimizer: Any) -> Any:
        """A schedule ``f(where)``, one or several schedulers, or None."""

    def eval_names(self) -> list[str]:
        """The names of the data sets that are evaluated; empty for none."""

    def test_loader(self, name: str) -> Any:
        """The loader of one of them."""

    def evaluator(self, name: str) -> Any:
        """Its evaluator; NotImplementedError where the dialect has none."""

    def custom_hooks(self) -> Iterable[tuple[Any, int]]:
        """Hooks of the config with their priorities."""


def source_of(cfg: Any) -> Source:
    """The parts of a config; the same object for the same config, so that its loader is known.

    Raises ConfigError for a config that is of no kind.
    """
    known = _SOURCES.get(id(cfg))
    if known is not None and known[0] is cfg:
        return known[1]
    made = _read(cfg)
    _SOURCES[id(cfg)] = (cfg, made)
    while len(_SOURCES) > _KEPT:
        del _SOURCES[next(iter(_SOURCES))]
    return made


def _read(cfg: Any) -> Source:
    if "SOLVER" in cfg and "MODEL" in cfg:
        return YacsSource(cfg)
    if "train" in cfg and "dataloader" in cfg:
        return LazySource(cfg)
    if "train_dataloader" in cfg:
        return MMSource(cfg)
    raise ConfigError(
        "a DefaultTrainer reads MMEngine's keys (model, train_dataloader, train_cfg, "
        "optim_wrapper, …), a lazy config (model, dataloader, optimizer, lr_multiplier, train) or "
        "detectron2's (MODEL, SOLVER, DATASETS, …: start from get_cfg()); "
        f"got {', '.join(map(str, cfg)) or 'nothing'}"
    )


class MMSource:
    """Parts by MMEngine's keys; epochs are counted out into iterations."""

    def __init__(self, cfg: Any) -> None:
        self.cfg = cfg
        self.spec = RunSpec.from_config(cfg)
        self.env: Environment = set_up(self.spec)
        self.epoch_length: int | None = None
        self.sizes: dict[str, int] = {}
        seed_everything(self.env.seed, deterministic=self.env.deterministic)

    def settings(self) -> Settings:
        spec = self.spec
        loop, hooks = spec.train_cfg or {}, spec.default_hooks or {}
        checkpoint, logger = hooks.get("checkpoint") or {}, hooks.get("logger") or {}
        by_epoch = "max_epochs" in loop
        length = self._length() if by_epoch or checkpoint.get("by_epoch", True) else 1
        return Settings(
            output_dir=spec.work_dir,
            max_iter=positive(loop, "max_epochs" if by_epoch else "max_iters")
            * (length if by_epoch else 1),
            eval_period=loop.get("val_interval", 1 if by_epoch else 1000)
            * (length if by_epoch else 1),
            log_period=positive(logger, "interval", 20),
            checkpoint_period=max(checkpoint.get("interval", 1), 0)
            * (length if checkpoint.get("by_epoch", True) else 1),
            max_to_keep=_limit(checkpoint.get("max_keep_ckpts", -1)),
            weights=spec.load_from or "",
            seed=self.env.seed,
            ddp={"find_unused_parameters": True} if spec.find_unused_parameters else {},
        )

    def _length(self) -> int:
        if self.epoch_length is None:
            raise ConfigError("an epoch has no length yet: the training loader was not built")
        return self.epoch_length

    def model(self) -> nn.Module:
        single = Environment(**{**_fields(self.env), "world_size": 1})
        return build_model(self.spec, single)

    def optimizer(self, model: nn.Module) -> Any:
        return build_optim_wrapper(model, self.spec.optim_wrapper)

    def train_loader(self) -> Any:
        loader = build_loader(self.spec.train_dataloader, self.env, training=True)
        self.epoch_length = len(loader) if hasattr(loader, "__len__") else None
        return loader

    def scheduled(self, optim_wrapper: Any) -> Any:
        """What a schedule moves: the wrapper, whose base settings move with its groups."""
        return optim_wrapper

    def scheduler(self, optimizer: Any) -> Any:
        settings = self.settings()
        return build_param_scheduler(
            self.spec.param_scheduler,
            optimizer,
            epoch_length=self.epoch_length,
            max_epochs=(self.spec.train_cfg or {}).get("max_epochs"),
            max_iters=settings.max_iter,
        )

    def eval_names(self) -> list[str]:
        """ "val" where there is one, else "test"; empty without both."""
        named = ("val", self.spec.val_dataloader), ("test", self.spec.test_dataloader)
        return [name for name, loader in named if loader is not None][:1]

    def test_loader(self, name: str) -> Any:
        loader = build_loader(_part(self.spec, f"{name}_dataloader"), self.env, training=False)
        dataset = getattr(loader, "dataset", None)
        if isinstance(dataset, Sized):
            self.sizes[name] = len(dataset)
        return loader

    def evaluator(self, name: str) -> Any:
        built = build_evaluator(_part(self.spec, f"{name}_evaluator"))
        return AsDatasetEvaluator(built, lambda: self.sizes.get(name))

    def custom_hooks(self) -> list[tuple[Any, int]]:
        """Hooks of the config's ``custom_hooks`` with their priorities."""
        return [build_hook(cfg) for cfg in self.spec.custom_hooks or ()]


def _fields(env: Environment) -> dict[str, Any]:
    return {name: getattr(env, name) for name in Environment.__dataclass_fields__}


def _limit(kept: int) -> int | None:
    return kept if kept > 0 else None


def _part(spec: RunSpec, key: str) -> Any:
    part = getattr(spec, key, None)
    if part is None:
        raise ConfigError(f"the config has no {key}")
    return part


TRAIN_KEYS = (
    "output_dir",
    "init_checkpoint",
    "max_iter",
    "amp",
    "ddp",
    "checkpointer",
    "eval_period",
    "log_period",
    "device",
    "seed",
    "gather_metric_period",
    "zero_grad_before_forward",
    "expected_results",
    "reference_world_size",
)


class LazySource:
    """Parts of a lazy config: ``model, dataloader, optimizer, lr_multiplier, train``."""

    def __init__(self, cfg: Any) -> None:
        self.cfg, self.train = cfg, cfg["train"]
        check_section("train", self.train, TRAIN_KEYS)
        seed = self.train.get("seed")
        self.seed = int(dist.sync_random_seed()) if seed is None else int(seed)
        seed_everything(self.seed)

    def settings(self) -> Settings:
        train = self.train
        saver = train.get("checkpointer") or {}
        return Settings(
            output_dir=str(train.get("output_dir", "./output")),
            max_iter=positive(train, "max_iter"),
            eval_period=int(train.get("eval_period", 0)),
            log_period=positive(train, "log_period", 20),
            checkpoint_period=int(saver.get("period", 5000)),
            max_to_keep=saver.get("max_to_keep"),
            weights=train.get("init_checkpoint") or "",
            amp=bool((train.get("amp") or {}).get("enabled", False)),
            seed=self.seed,
            gather_metric_period=positive(train, "gather_metric_period", 20),
            zero_grad_before_forward=bool(train.get("zero_grad_before_forward", False)),
            expected_results=tuple(train.get("expected_results", ())),
            ddp=dict(train.get("ddp") or {}),
        )

    def model(self) -> nn.Module:
        model: nn.Module = instantiate(self.cfg["model"])
        return model.to(self.train.get("device", "cpu"))

    def optimizer(self, model: nn.Module) -> Any:
        given = self.cfg["optimizer"]
        params = given.get("params")
        if isinstance(params, dict) and "_target_" in params:
            given = {**given, "params": {**params, "model": model}}
        elif params is None:
            given = {**given, "params": model.parameters()}
        return instantiate(given)

    def train_loader(self) -> Any:
        return instantiate(self._loaders("train"))

    def scheduled(self, optim_wrapper: Any) -> Any:
        return optim_wrapper.optimizer

    def scheduler(self, optimizer: Any) -> Any:
        return instantiate(self.cfg.get("lr_multiplier"))

    def eval_names(self) -> list[str]:
        loaders = self.cfg["dataloader"]
        return ["test"] if loaders.get("test") is not None and loaders.get("evaluator") else []

    def test_loader(self, name: str) -> Any:
        return instantiate(self._loaders(name))

    def evaluator(self, name: str) -> Any:
        return instantiate(self._loaders("evaluator"))

    def custom_hooks(self) -> Iterable[tuple[Any, int]]:
        return []

    def _loaders(self, name: str) -> Any:
        loaders = self.cfg["dataloader"]
        if name not in loaders:
            raise ConfigError(f"dataloader has no {name!r}{nearest_or_all(name, loaders)}")
        return loaders[name]
