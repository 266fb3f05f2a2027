"""The keys of a run's config: named, typed and checked once, before anything is built."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from typing import Any

from loopwright.build.policies import faults, on_resume
from loopwright.config import Config, ConfigError
from loopwright.config.provenance import origin_of
from loopwright.core.nearest import did_you_mean, nearest_or_all
from loopwright.model.prints import checked_expected

Part = Any  # a config dict, or an object that the user built

RENAMED = {
    "resume_from": "resume=True with load_from=PATH",
    "lr_config": "param_scheduler",
    "optimizer_config": "optim_wrapper",
    "checkpoint_config": "default_hooks.checkpoint",
    "log_config": "default_hooks.logger and visualizer",
    "evaluation": "val_evaluator and train_cfg.val_interval",
    "total_epochs": "train_cfg.max_epochs",
    "runner": "train_cfg",
    "seed": "randomness.seed",
    "fp16": "optim_wrapper.type='AmpOptimWrapper'",
}


@dataclass(slots=True, kw_only=True)
class RunSpec:
    """What a run is, as the user said it; None means absent.

    Dicts are configs still to be built; objects the user built himself are taken as they are.
    """

    model: Part = None
    work_dir: str = "work_dirs"
    train_dataloader: Part = None
    val_dataloader: Part = None
    test_dataloader: Part = None
    train_cfg: Part = None
    val_cfg: Part = None
    test_cfg: Part = None
    auto_scale_lr: dict[str, Any] | None = None
    optim_wrapper: Part = None
    param_scheduler: Part = None
    val_evaluator: Part = None
    test_evaluator: Part = None
    default_hooks: dict[str, Any] | None = None
    custom_hooks: list[Any] | None = None
    data_preprocessor: Part = None
    load_from: str | None = None
    resume: bool = False
    launcher: str = "none"
    env_cfg: dict[str, Any] = field(default_factory=dict)
    log_processor: Part = None
    log_level: str = "INFO"
    visualizer: Part = None
    default_scope: str | None = None
    randomness: dict[str, Any] = field(default_factory=dict)
    experiment_name: str | None = None
    custom_imports: dict[str, Any] | None = None
    loss: Part = None
    compile: Part = None
    model_wrapper_cfg: dict[str, Any] | None = None
    sync_bn: str | None = None
    find_unused_parameters: bool = False
    activation_checkpointing: list[str] | None = None
    efficient_conv_bn_eval: list[str] | None = None
    expect_init: str | None = None
    faults: dict[str, Any] = field(default_factory=dict)
    on_resume: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_config(cls, cfg: dict[str, Any]) -> RunSpec:
        """The spec of a whole config; other top-level names are the config's own variables.

        Raises ConfigError for a name that looks like a misspelt key, and for wrong types.
        """
        check_keys(cfg)
        known = {f.name for f in fields(cls)}
        given = {key: cfg[key] for key in cfg if key in known}
        defaulted = {k: v for k, v in given.items() if not (v is None and k in _NEVER_NONE)}
        return cls(**defaulted).checked(cfg)

    def losses_alone(self, mode: str) -> bool:
        """Whether a validation or test has no evaluator because its losses are all it wants."""
        loop = getattr(self, f"{mode}_cfg")
        wanted = isinstance(loop, dict) and bool(loop.get("loss"))
        return wanted and getattr(self, f"{mode}_evaluator") is None

    def checked(self, cfg: Any = None) -> RunSpec:
        """This spec, after checking the rules that span keys."""
        for key, kind in TYPES.items():
            _check_type(cfg, key, getattr(self, key), kind)
        _check_group(self, "train", ("train_dataloader", "train_cfg", "optim_wrapper"))
        for what, mode in (("validation", "val"), ("test", "test")):
            keys = (f"{mode}_dataloader", f"{mode}_cfg", f"{mode}_evaluator")
            _check_group(self, what, keys[:2] if self.losses_alone(mode) else keys)
        if self.param_scheduler is not None and self.optim_wrapper is None:
            raise ConfigError("param_scheduler is set but optim_wrapper is not: nothing to move")
        faults(self.faults)
        on_resume(self.on_resume)
        checked_expected(self.expect_init, origin_in(cfg, "expect_init"))
        if self.model is None:
            raise ConfigError("model is missing: say what to train, e.g. model=dict(type='...')")
        return self


_NEVER_NONE = {"work_dir", "launcher", "env_cfg", "log_level", "randomness", "faults", "on_resume"}
TYPES: dict[str, tuple[type, ...]] = {
    "work_dir": (str,),
    "load_from": (str,),
    "resume": (bool, str),
    "default_hooks": (dict,),
    "custom_hooks": (list, tuple),
    "env_cfg": (dict,),
    "randomness": (dict,),
    "auto_scale_lr": (dict,),
    "log_level": (str, int),
    "launcher": (str,),
    "experiment_name": (str,),
    "default_scope": (str,),
    "faults": (dict,),
    "on_resume": (dict,),
}
KEYS = tuple(f.name for f in fields(RunSpec))
# Variables that configs keep at top level beside the keys; never taken for misspelt ones.
VARIABLES = {"vis_backends", "optimizer", "runner_type", "resume_from_checkpoint", "tta_model"}


def check_keys(cfg: dict[str, Any]) -> None:
    """Raise ConfigError for a top-level name that is a former key or almost a key."""
    for key, message in misspelt_keys(cfg):
        raise ConfigError(f"{_at(cfg, key)}{key!r}: {message}")


def misspelt_keys(cfg: Any) -> Iterator[tuple[str, str]]:
    """(name, what is wrong) of every top-level name that is a former key or almost a key.

    >>> list(misspelt_keys({"param_schedulers": [], "base_lr": 0.1}))
    [('param_schedulers', "unknown key; did you mean 'param_scheduler'?")]
    """
    for key in cfg:
        if key in KEYS or key in VARIABLES:
            continue
        if key in RENAMED and isinstance(cfg[key], dict | int | str):
            yield key, f"is no key here; write {RENAMED[key]}"
            continue
        near = get_close_matches(key, KEYS, n=1, cutoff=0.84)
        if near and near[0] not in cfg and _almost_key(near[0], cfg[key]):
            yield key, f"unknown key; did you mean {near[0]!r}?"


def _almost_key(near: str, value: Any) -> bool:
    """Whether a name close to the key ``near`` is that key misspelt, not a variable of its own."""
    return isinstance(value, dict | list | tuple) or near in _PLAIN_KEYS


_PLAIN_KEYS = ("load_from", "resume", "work_dir", "launcher", "log_level", "experiment_name")


def check_words(what: str, given: dict[str, Any], known: tuple[str, ...]) -> None:
    """Raise TypeError for an argument that a constructor does not take, with the nearest one."""
    for name in given:
        if name not in known:
            hint = did_you_mean(name, known)
            raise TypeError(f"{what} takes no argument {name!r}{hint}")


def check_section(name: str, section: dict[str, Any], allowed: tuple[str, ...]) -> None:
    """Raise ConfigError for a key of a section that nothing would act on."""
    for key in section:
        if key not in allowed:
            hint = nearest_or_all(key, allowed)
            raise ConfigError(f"{_at(section, key)}unknown key {name}.{key}{hint}")


def _check_type(cfg: Any, key: str, value: Any, kinds: tuple[type, ...]) -> None:
    if value is None or isinstance(value, kinds):
        return
    wanted = " or ".join(kind.__name__ for kind in kinds)
    raise ConfigError(f"{_at(cfg, key)}{key} must be a {wanted}, got {value!r}")


def _check_group(spec: RunSpec, what: str, keys: tuple[str, ...]) -> None:
    given = [key for key in keys if getattr(spec, key) is not None]
    if given and len(given) < len(keys):
        lacking = [key for key in keys if key not in given]
        raise ConfigError(
            f"{what} needs {', '.join(keys)} all set or all absent: "
            f"{', '.join(given)} is set but {', '.join(lacking)} is not"
        )


def _at(cfg: Any, key: Any) -> str:
    origin = origin_in(cfg, key)
    return f"{origin}: " if origin else ""


def origin_in(cfg: Any, key: Any) -> object:
    """Where a key of a config was written; None where it is not there or nobody knows."""
    if isinstance(cfg, Config):
        return cfg.origin(key) if key in cfg else None
    return origin_of(cfg, key)
