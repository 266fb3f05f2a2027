"""MMEngine's validation and test loops: one set or several, metrics and losses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from loopwright import dist
from loopwright.build.sets import set_options
from loopwright.config import ConfigError
from loopwright.core import EvalLoop, Requests, every
from loopwright.data.randomness import H, seed_step
from loopwright.evaluation import inference_context, merge_metrics, prefix_metrics
from loopwright.registry import LOOPS
from loopwright.runner.loops import BaseLoop
from loopwright.runner.samples import samples_in


@dataclass(frozen=True, slots=True)
class EvalSet:
    """One data set to evaluate: by whom, how often, and what its metrics are called."""

    name: str
    loader: Any
    evaluator: Any
    prefix: str
    loss: bool
    interval: int


class _EvalLoop(BaseLoop):
    """What validation and test share.

    ``loss`` adds the losses that ``model.loss_step`` gives, as means over the samples. Where
    ``dataloader`` is a dict of several, ``sets`` says ``interval``, ``prefix`` and ``loss`` of
    each by name; a set's metrics begin with its name unless it has a prefix. An interval is in
    ``train_cfg.val_interval``'s unit; the last validation evaluates every set.
    """

    mode: Any

    def __init__(
        self,
        runner: Any,
        dataloader: Any,
        evaluator: Any,
        fp16: bool = False,
        prefix: str = "",
        loss: bool = False,
        sets: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(runner, dataloader)
        self.fp16 = fp16
        self.prefix = prefix
        if isinstance(self.dataloader, dict):
            self.sets = _several(self.dataloader, evaluator, prefix, loss, sets)
        elif sets:
            raise ConfigError(
                f"{self.mode}_cfg.sets needs several loaders in {self.mode}_dataloader"
            )
        else:
            one = runner.evaluator_of(evaluator)
            self.sets = [EvalSet("", self.dataloader, one, prefix, loss, 1)]
        self.skipped: tuple[str, ...] = ()
        self.model: Any = None  # asked instead of the run's: its test-time augmentation
        self.finished = True
        # Ranks evaluate together: a wish that only one of them heard waits until the end.
        self.requests = Requests() if runner.distributed else runner.requests
        self.core = EvalLoop(self.step, self._collect, runner.hook_table, self.mode, self.requests)
        self.core.iterate = self._iterate
        self._use(self.sets[0])

    def _use(self, chosen: EvalSet) -> None:
        self.current, self.dataloader = chosen, chosen.loader
        self.evaluator = chosen.evaluator
        self.losses = MeanLosses() if chosen.loss else None
        meta = getattr(getattr(chosen.loader, "dataset", None), "metainfo", None)
        if meta is not None and self.evaluator is not None:
            self.evaluator.dataset_meta = meta

    def step(self, data_batch: Any) -> Any:
        step = getattr(self.model or self._runner.model, f"{self.mode}_step")
        return step(data_batch)

    def _collect(self, data_batch: Any, outputs: Any) -> None:
        if self.evaluator is not None:
            self.evaluator.process(data_samples=outputs, data_batch=data_batch)
        if self.losses is not None:
            self.losses.add(self._runner.model.loss_step(data_batch), samples_in(data_batch))

    def _iterate(self, batch_idx: int, data_batch: Any) -> None:
        self.run_iter(batch_idx, data_batch)

    def run_iter(self, idx: int, data_batch: Any) -> None:
        """One evaluation step; override it for a procedure of your own."""
        self.core.run_iter(idx, data_batch)

    def choose(self, done: int, *, last: int) -> None:
        """Which sets the next run leaves out, after ``done`` units of a training of ``last``."""
        left_out = [s for s in self.sets if not (every(done, s.interval) or done == last)]
        self.skipped = tuple(one.prefix for one in left_out)

    def run(self) -> dict[str, float]:
        """Evaluate every set that is not left out, each whole; all metrics, by name."""
        runner, mode = self._runner, self.mode
        due = [one for one in self.sets if one.prefix not in self.skipped]
        self.finished = not due
        if not due:
            return {}
        # What a model draws here must not depend on what was drawn before, which a resume skips.
        seed_step(H(runner.seed, mode), runner.progress.iter, runner.rank)
        runner.call_hook(f"before_{mode}")
        runner.call_hook(f"before_{mode}_epoch")
        metrics: dict[str, float] = {}
        for one in due:
            found = self._evaluate(one)
            if self.requests.halting is not None:
                return {}
            metrics = merge_metrics([metrics, prefix_metrics(one.prefix, found)])
        self.finished = True  # from here on a halt waits: the hooks take the metrics once
        self._tell(metrics)
        self.skipped = ()
        return dict(metrics)

    def _tell(self, metrics: dict[str, float]) -> None:
        """Give the hooks the metrics; an error in one leaves a state in which others have them."""
        runner = self._runner
        core = getattr(vars(runner).get("train_loop"), "core", None)
        if core is not None:
            core.whole = False
        runner.call_hook(f"after_{self.mode}_epoch", metrics=metrics)
        runner.call_hook(f"after_{self.mode}")
        if core is not None:
            core.whole = True

    def _evaluate(self, chosen: EvalSet) -> dict[str, float]:
        """One set's metrics; whatever was found so far is forgotten where a halt ends it."""
        self._use(chosen)
        device = self._runner.device.type
        with (
            inference_context(self.model or self._runner.model),
            torch.no_grad(),
            torch.autocast(device, enabled=self.fp16),
        ):
            count = self.core.run_batches(chosen.loader)
            if count == 0 and self.requests.halting is None:
                of = f" {chosen.name!r}" if chosen.name else ""
                raise RuntimeError(f"the {self.mode} loader{of} gave no batch")
        if self.requests.halting is not None:
            return {}
        losses = self.losses.means() if self.losses is not None else {}
        if chosen.evaluator is None:
            return losses
        return merge_metrics([chosen.evaluator.evaluate(len(chosen.loader.dataset)), losses])


@LOOPS.register_module()
class ValLoop(_EvalLoop):
    """Validates: ``model.val_step`` on every batch, then the evaluator's metrics.

    ``val_cfg=dict(type='ValLoop', loss=True)`` adds the validation loss as metric ``loss``, and
    each of its terms under its own name.
    """

    mode = "val"


@LOOPS.register_module()
class TestLoop(_EvalLoop):
    """Tests: ``model.test_step`` on every batch, then the evaluator's metrics."""

    mode = "test"
    __test__ = False


class MeanLosses:
    """Losses of batches as means over all samples of all processes; read once, at the end."""

    def __init__(self) -> None:
        self.sums: dict[str, torch.Tensor] = {}
        self.samples = 0

    def add(self, losses: dict[str, Any], samples: int) -> None:
        """Add what a batch of ``samples`` gave, on its device."""
        for name, value in losses.items():
            weighted = torch.as_tensor(value).detach().double() * samples
            self.sums[name] = self.sums[name] + weighted if name in self.sums else weighted
        self.samples += samples

    def means(self) -> dict[str, float]:
        """Every loss by name."""
        if not self.sums:
            return {}
        sums = torch.stack([value.reshape(()) for value in self.sums.values()])
        both = torch.cat([sums, sums.new_tensor([self.samples])])
        dist.all_reduce(both)
        *totals, count = both.tolist()
        return {name: total / count for name, total in zip(self.sums, totals, strict=True)}


def _several(
    loaders: dict[str, Any], evaluators: Any, prefix: str, loss: bool, sets: Any
) -> list[EvalSet]:
    options = set_options(sets, list(loaders))
    made = []
    for name, loader in loaders.items():
        own = options[name]
        called = own.get("prefix", f"{prefix}/{name}" if prefix else name)
        evaluator = None if evaluators is None else evaluators[name]
        made.append(
            EvalSet(name, loader, evaluator, called, own.get("loss", loss), own.get("interval", 1))
        )
    if len({one.prefix for one in made}) < len(made):
        raise ConfigError("two validation sets have the same prefix: their metrics would be mixed")
    return made
