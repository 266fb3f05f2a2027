"""Runner: MMEngine's face over the core. It holds the parts of a run and says when to act."""

from __future__ import annotations

import os
from typing import Any

import torch
from torch import nn

from loopwright.build.environment import seed_everything, set_up
from loopwright.build.hooks import build_hook, hook_configs
from loopwright.build.imports import import_custom
from loopwright.build.order import prepare
from loopwright.build.parts import build_model
from loopwright.build.spec import KEYS, RunSpec, check_words
from loopwright.config import Config
from loopwright.core import HookTable, Progress, Requests, get_priority
from loopwright.hooks.bind import binder, own_bind
from loopwright.registry import RUNNERS, init_default_scope
from loopwright.registry.whereabouts import building
from loopwright.runner import recording, resuming, saving
from loopwright.runner.built import BuiltParts
from loopwright.runner.lifecycle import alive, check_folder
from loopwright.runner.monitors import refuse_unknown_monitors
from loopwright.runner.names import MMEngineNames
from loopwright.runner.rollback import run_training


@RUNNERS.register_module()
class Runner(BuiltParts, MMEngineNames):
    """Trains, validates and tests what a config says.

    The constructor takes MMEngine's keys (see ``RunSpec``), each a config dict or an object of
    yours. The model is built at once, every other part when it is first used.

    >>> runner = Runner.from_cfg(Config.fromfile("config.py"))  # doctest: +SKIP
    >>> runner.train()  # doctest: +SKIP

    Raises ConfigError, UnknownNameError or BuildError for mistakes in the config.
    """

    def __init__(
        self, model: Any, work_dir: str = "work_dirs", cfg: Any = None, **keys: Any
    ) -> None:
        check_words("Runner", keys, KEYS)
        self.cfg = cfg if isinstance(cfg, Config) else Config(_plain(cfg, model, work_dir, keys))
        extra = {k: self.cfg[k] for k in _FROM_CFG_ONLY if k in self.cfg and k not in keys}
        self.spec = RunSpec(model=model, work_dir=str(work_dir), **keys, **extra).checked(self.cfg)
        if self.spec.default_scope is not None:
            init_default_scope(self.spec.default_scope)
        self.env = set_up(self.spec)
        self.progress = Progress()
        self.requests = Requests()
        # What this process alone was asked for; ranks agree on it between two iterations.
        self.heard = Requests() if self.distributed else self.requests
        self.loaded = self.resuming = False
        self.failed_saves = 0
        self.loaded_names: frozenset[str] = frozenset()  # weights that are not initialised again
        self.left_out: set[int] = set()  # iterations whose batch is not learnt from
        self.told: frozenset[str] = frozenset()  # findings that were said with their place before
        self.data_start: tuple[int, int, int] | None = None  # at an iteration: epoch, batch
        self.stores: dict[Any, Any] = {}  # of checkpoints written outside the run folder
        self.work_dir = os.path.abspath(self.spec.work_dir)
        check_folder(self)
        self.hook_table = HookTable(binder(self))
        self.logger = recording.build_logger(self)
        self.storage, self.message_hub = recording.build_storage(self)
        seed_everything(self.seed, deterministic=self.env.deterministic)
        with building(self.cfg):
            self.model: nn.Module = build_model(self.spec, self.env)
            self.visualizer = recording.build_visualizer(self)
            self.log_processor = recording.build_log_processor(self)
            self.writers = recording.build_writers(self)
            for where, hook in hook_configs(self.spec.default_hooks, self.spec.custom_hooks):
                self.register_hook(hook, where=where)
        self.cfg_text = recording.config_text(self.cfg)
        recording.dump_config(self)

    @classmethod
    def from_cfg(cls, cfg: Any) -> Runner:
        """A runner from a whole config; unknown names in it are the config's own variables.

        Imports what ``custom_imports`` names: training a config is trusting it so far.
        """
        if isinstance(cfg, str | os.PathLike):
            cfg = Config.fromfile(os.fspath(cfg))
        import_custom(cfg, getattr(cfg, "filename", None))
        spec = RunSpec.from_config(cfg)
        keys = {key: getattr(spec, key) for key in KEYS}
        return cls(**keys, cfg=cfg)

    # -- what users read -------------------------------------------------------------------

    @property
    def iter(self) -> int:
        """Index of the iteration being run; after it, the number of finished ones."""
        return self.progress.iter

    @property
    def epoch(self) -> int:
        return self.progress.epoch

    @property
    def max_iters(self) -> int | None:
        return self.progress.max_iters

    @property
    def max_epochs(self) -> int | None:
        return self.progress.max_epochs

    @property
    def hooks(self) -> list[Any]:
        """The hooks in the order they run."""
        return self.hook_table.hooks

    @property
    def seed(self) -> int:
        return self.env.seed

    @property
    def rank(self) -> int:
        return self.env.rank

    @property
    def world_size(self) -> int:
        return self.env.world_size

    @property
    def device(self) -> torch.device:
        return self.env.device

    @property
    def timestamp(self) -> str:
        return self.env.timestamp

    @property
    def distributed(self) -> bool:
        return self.env.world_size > 1

    @property
    def experiment_name(self) -> str:
        name = self.spec.experiment_name or os.path.basename(self.work_dir)
        return f"{name}_{self.timestamp}"

    @property
    def log_dir(self) -> str:
        return os.path.join(self.work_dir, self.timestamp)

    @property
    def has_training(self) -> bool:
        return self.spec.train_cfg is not None

    # -- hooks -----------------------------------------------------------------------------

    def register_hook(self, hook: Any, priority: Any = None, where: str = "custom_hooks") -> None:
        """Add a hook (config or object); ``priority`` wins over the one it has."""
        built, number = build_hook(hook, where)
        number = number if priority is None else get_priority(priority)
        self.hook_table.add(built, number, own_bind(built, self))

    def call_hook(self, fn_name: str, **facts: Any) -> None:
        """Call a hook point, one of the standard ones or any other that hooks have a method for."""
        self.hook_table.say(fn_name, **facts)

    # -- running ---------------------------------------------------------------------------

    def train(self) -> nn.Module:
        """Train from where the run is to its end, and return the model."""
        with alive(self), self.storage:
            refuse_unknown_monitors(self)
            with building(self.cfg):
                prepare(self)
            if hasattr(self.train_loop, "core"):  # a loop of the user's own may have none
                self.train_loop.core.on_save = self.save_where_it_is
            run_training(self)
        return self.model

    def val(self) -> dict[str, float]:
        """Validate with the loaded weights; the metrics, by name."""
        if self.val_loop is None:
            raise RuntimeError("this run has no val_cfg: it was not configured")
        return self._evaluate(self.val_loop)

    def test(self) -> dict[str, float]:
        """Test with the loaded weights; the metrics, by name."""
        return self._evaluate(self.test_loop)

    def _evaluate(self, loop: Any) -> dict[str, float]:
        with alive(self), self.storage:
            self.call_hook("before_run")
            self.load_or_resume()
            metrics: dict[str, float] = loop.run()
        return metrics

    # -- checkpoints -----------------------------------------------------------------------

    def load_or_resume(self) -> None:
        """Resume or load weights, as ``resume`` and ``load_from`` say; once."""
        resuming.load_or_resume(self)

    def resume(self, filename: str | None = None, resume_optimizer: bool = True) -> None:
        """Continue from a checkpoint: weights, optimizer, schedules, counters, hooks, logs."""
        resuming.resume(self, filename, optimizer=resume_optimizer)

    def load_checkpoint(self, filename: str, strict: bool = False, **how: Any) -> dict[str, Any]:
        """Load weights alone from our own or a foreign checkpoint."""
        return resuming.load_checkpoint(self, filename, strict=strict, **how)

    def load_model_state(self, weights: dict[str, Any]) -> None:
        """Put weights of a checkpoint of this run back; every one must fit."""
        resuming.load_exactly(self, weights)

    def save_checkpoint(self, *where: str, **how: Any) -> bool:
        """Write the run's state; False when it failed and the run may go on.

        ``(name)`` writes into the run folder, MMEngine's ``(out_dir, filename)`` into any other.
        """
        given = list(where)
        if "filename" in how:
            given = [*(given or [how.pop("out_dir")]), how.pop("filename")]
        if len(given) == 1:
            return saving.save_checkpoint(self, given[0], **how)
        folder, name = given
        how = {k: v for k, v in how.items() if k not in ("backend_args", "file_client_args")}
        how["extra_meta"] = how.pop("meta", None)
        return saving.save_checkpoint(self, name, folder=folder, **how)

    def save_where_it_is(self) -> None:
        """Save at the end of an iteration because somebody asked for it."""
        saving.save_where_it_is(self)

    def poll_saves(self) -> None:
        """Hear of saves that failed in the background."""
        saving.poll_saves(self)

    def publish(self, names: list[str], keys: list[str], out_dir: str | None = None) -> list[str]:
        """Write copies of checkpoints with only some keys, named by their hashes; the paths."""
        return saving.publish(self, names, keys, out_dir=out_dir)

    def copy_logs(self, folder: str, suffixes: tuple[str, ...], *, keep_local: bool) -> None:
        """Copy the logs of this run to another folder."""
        recording.copy_logs(self, folder, suffixes, keep_local=keep_local)

    def close(self) -> None:
        """Finish what is still being written and let go of files."""
        for store in (vars(self).get("store"), *self.stores.values()):
            if store is not None:
                store.wait()
        self.writers.close()


_FROM_CFG_ONLY = (
    "loss",
    "compile",
    "model_wrapper_cfg",
    "sync_bn",
    "find_unused_parameters",
    "activation_checkpointing",
    "efficient_conv_bn_eval",
    "expect_init",
    "faults",
    "on_resume",
)


def _plain(cfg: Any, model: Any, work_dir: str, keys: dict[str, Any]) -> dict[str, Any]:
    """What of the constructor's arguments is data, as the run's config."""
    given = {"model": model, "work_dir": str(work_dir), **keys} if cfg is None else dict(cfg)
    return {k: v for k, v in given.items() if isinstance(v, dict | list | str | int | float)}
