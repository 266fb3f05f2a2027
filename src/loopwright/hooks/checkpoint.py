"""CheckpointHook: when a checkpoint is due, which is the best, and which may go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from loopwright.checkpoint import better, infer_rule
from loopwright.core import every
from loopwright.hooks.hook import Hook
from loopwright.hooks.watched import find_metric, has_several, is_left_out
from loopwright.registry import HOOKS

DEFAULT_TMPL = {True: "epoch_{}", False: "iter_{}"}


Rule = Literal["greater", "less"]


@HOOKS.register_module()
class CheckpointHook(Hook):
    """Saves every ``interval`` epochs or iterations, at the end, and whenever a metric improves.

    ``save_best`` is a metric's name, several names, or ``'auto'`` for the first one evaluated.
    Only ``max_keep_ckpts`` regular checkpoints are kept (-1: all), and none is removed before its
    successor is whole on the disk. Names follow ``filename_tmpl``; one that ends in ``.pth``
    writes single torch files. ``out_dir`` (also an fsspec address) puts them into
    ``out_dir/<name of the run folder>``. At the end of training ``published_keys`` writes the last
    and the best ones again with those keys alone, into a folder ``published`` beside them.
    ``backend_args`` is accepted without effect: fsspec finds credentials in its own settings.
    """

    priority = "VERY_LOW"

    def __init__(
        self,
        interval: int = -1,
        by_epoch: bool = True,
        save_optimizer: bool = True,
        save_param_scheduler: bool = True,
        out_dir: str | None = None,
        max_keep_ckpts: int = -1,
        save_last: bool = True,
        save_best: str | Sequence[str] | None = None,
        rule: str | Sequence[str] | None = None,
        greater_keys: Sequence[str] | None = None,
        less_keys: Sequence[str] | None = None,
        filename_tmpl: str | None = None,
        backend_args: dict[str, Any] | None = None,
        published_keys: str | Sequence[str] | None = None,
        save_begin: int = 0,
        async_save: bool = False,
    ) -> None:
        self.interval = interval
        self.by_epoch = by_epoch
        self.save_optimizer = save_optimizer
        self.save_param_scheduler = save_param_scheduler
        self.out_dir = out_dir
        self.max_keep_ckpts = max_keep_ckpts
        self.save_last = save_last
        self.save_begin = save_begin
        self.filename_tmpl = filename_tmpl or DEFAULT_TMPL[by_epoch]
        self.backend_args = backend_args
        self.published_keys = (
            [published_keys] if isinstance(published_keys, str) else published_keys
        )
        self.async_save = async_save
        self.keep_ckpt_ids: list[str] = []
        self.best_scores: dict[str, float] = {}
        self.best_ckpts: dict[str, str] = {}
        self._keys = {"greater_keys": greater_keys, "less_keys": less_keys}
        self.save_best = save_best
        self._auto = save_best == "auto"
        self._rules = _rules_of(save_best, rule, self._keys)
        self._improved: list[str] = []
        self._last_saved: int | None = None
        self._leaving: list[str] = []  # a kill may come between a save and these going

    def state_dict(self) -> dict[str, Any]:
        return {
            "keep_ckpt_ids": list(self.keep_ckpt_ids),
            "best_scores": dict(self.best_scores),
            "best_ckpts": dict(self.best_ckpts),
            "rules": dict(self._rules),
            "leaving": list(self._leaving),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.keep_ckpt_ids = list(state["keep_ckpt_ids"])
        self.best_scores = dict(state["best_scores"])
        self.best_ckpts = dict(state["best_ckpts"])
        self._leaving = list(state.get("leaving", ()))
        if self._auto:
            self._rules = dict(state["rules"])

    # -- regular checkpoints ---------------------------------------------------------------

    def after_train_epoch(self, runner: Any) -> None:
        if not self.by_epoch:
            return
        done = runner.epoch + 1
        last = self.save_last and done == runner.max_epochs
        if every(done, self.interval, self.save_begin) or last:
            self._save(runner, done, by_epoch=self.by_epoch)

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        if self.async_save:
            runner.poll_saves()
        if self.by_epoch:
            return
        done = runner.iter + 1
        if every(done, self.interval, self.save_begin) or (
            self.save_last and done == runner.max_iters
        ):
            self._save(runner, done, by_epoch=self.by_epoch)

    def after_train(self, runner: Any) -> None:
        done = runner.epoch if self.by_epoch else runner.iter
        stopped_early = runner.requests.stopping is not None and self._last_saved != done
        if self.save_last and stopped_early and runner.requests.halting is None and done:
            self._save(runner, done, by_epoch=None)  # counted already
        if self.published_keys and runner.rank == 0:
            names = [*self.keep_ckpt_ids[-1:], *self.best_ckpts.values()]
            runner.publish(names, self.published_keys, out_dir=self.out_dir)

    def _save(self, runner: Any, done: int, *, by_epoch: bool | None) -> None:
        name = self.filename_tmpl.format(done)
        self._last_saved = done
        self.keep_ckpt_ids = [kept for kept in self.keep_ckpt_ids if kept != name] + [name]
        extra = len(self.keep_ckpt_ids) - self.max_keep_ckpts
        cut = max(extra, 0) if self.max_keep_ckpts > 0 else 0
        old, self.keep_ckpt_ids = self.keep_ckpt_ids[:cut], self.keep_ckpt_ids[cut:]
        saved = runner.save_checkpoint(
            name,
            out_dir=self.out_dir,
            by_epoch=by_epoch,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            replaces=self._replaced(old),
            async_save=self.async_save,
        )
        if not saved:
            self.keep_ckpt_ids = old + [kept for kept in self.keep_ckpt_ids if kept != name]

    def _replaced(self, old: list[str]) -> list[str]:
        """What goes with this save, and what went with the last ones, if it is still there."""
        kept = {*self.keep_ckpt_ids, *self.best_ckpts.values()}
        self._leaving = [gone for gone in (*self._leaving, *old) if gone not in kept][-4:]
        return list(self._leaving)

    # -- the best ones ---------------------------------------------------------------------

    def after_val_epoch(self, runner: Any, metrics: dict[str, float] | None = None) -> None:
        if metrics is None or not (self._rules or self._auto):
            return
        if self._auto and not self._rules:
            first = next(iter(metrics))
            self._rules = {first: infer_rule(first, **_given(self._keys))}
        for key, rule in self._rules.items():
            if is_left_out(runner, key):
                continue
            name = find_metric(key, metrics, several=has_several(runner))
            if name is None:
                told = ", ".join(metrics) or "nothing"
                raise KeyError(f"save_best names {key!r}, but validation gave {told}")
            score = float(metrics[name])
            if better(score, self.best_scores.get(key), rule):
                self.best_scores[key] = score
                self._improved.append(key)

    def after_val(self, runner: Any) -> None:
        """Bests are saved once every hook has seen the metrics, so the state saved is complete."""
        improved, self._improved = self._improved, []
        for key in improved:
            done = runner.epoch if self.by_epoch else runner.iter
            label = key.replace("/", "_")
            name = f"best_{label}_{self.filename_tmpl.format(done)}"
            former = self.best_ckpts.get(key)
            self.best_ckpts[key] = name
            saved = runner.save_checkpoint(
                name,
                out_dir=self.out_dir,
                by_epoch=None,
                save_optimizer=self.save_optimizer,
                save_param_scheduler=self.save_param_scheduler,
                replaces=self._replaced([former] if former else []),
                async_save=self.async_save,
            )
            if saved:
                score = self.best_scores[key]
                runner.logger.info(f"The best checkpoint with {score:.4f} {key} is {name}")


def _given(keys: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in keys.items() if value is not None}


def _rules_of(
    save_best: str | Sequence[str] | None, rule: str | Sequence[str] | None, keys: dict[str, Any]
) -> dict[str, Rule]:
    """Metric to ``'greater'`` or ``'less'``; raises ValueError for a rule that is neither."""
    rules = [_rule(one) for one in ([rule] if isinstance(rule, str) else rule or ())]
    if save_best is None or save_best == "auto":
        return {}
    metrics = [save_best] if isinstance(save_best, str) else list(save_best)
    if rule is None:
        return {metric: infer_rule(metric, **_given(keys)) for metric in metrics}
    rules = rules * len(metrics) if isinstance(rule, str) else rules
    if len(rules) != len(metrics):
        raise ValueError(f"save_best has {len(metrics)} metrics but rule has {len(rules)}")
    return dict(zip(metrics, rules, strict=True))


def _rule(given: str) -> Rule:
    if given not in ("greater", "less"):
        raise ValueError(f"rule must be 'greater' or 'less', got {given!r}")
    return "greater" if given == "greater" else "less"
