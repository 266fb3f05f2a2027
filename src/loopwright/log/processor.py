"""LogProcessor: MMEngine's windows, names and text lines over records."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from loopwright.core.length import length_of
from loopwright.log.history import HistoryBuffer
from loopwright.log.hub import MessageHub
from loopwright.log.record import CustomStatistic, RecordSpec, custom_value, matches
from loopwright.log.storage import EventStorage
from loopwright.log.writers.console import Pace, span
from loopwright.registry import LOG_PROCESSORS

__all__ = ["LogProcessor"]

_TIMES = ("time", "data_time")
_NOT_METRICS = (*_TIMES, "eta", "memory")


@LOG_PROCESSORS.register_module()
class LogProcessor:
    """How scalars become a log line.

    Names that match `mean_pattern` are told as the mean of their last `window_size` values, the
    others as their last value. Each dict of `custom_cfg` (`data_src`, `method_name`, `log_name`,
    `window_size`: a number, "epoch" or "global") adds or replaces an entry of training lines.

    Raises:
        ValueError: a custom entry has an unknown key, window or method.
    """

    def __init__(
        self,
        window_size: int = 10,
        by_epoch: bool = True,
        custom_cfg: Sequence[Mapping[str, Any]] | None = None,
        num_digits: int = 4,
        log_with_hierarchy: bool = False,
        mean_pattern: str = r".*(loss|time|data_time|grad_norm).*",
    ) -> None:
        if isinstance(window_size, int) and window_size < 1:
            raise ValueError(f"window_size must be at least 1, got {window_size}")
        self.window_size, self.by_epoch = window_size, by_epoch
        self.num_digits, self.log_with_hierarchy = num_digits, log_with_hierarchy
        self.mean_pattern = mean_pattern
        self.custom = tuple(
            custom_statistic(wish, by_epoch=by_epoch, where=f"custom_cfg[{i}]")
            for i, wish in enumerate(custom_cfg or ())
        )
        _refuse_double_names(self.custom)
        self._pace = Pace()

    def spec(self, mode: str = "train", *, reader: str = "log") -> RecordSpec:
        """What `make_record` needs to summarise as this processor does."""
        train = mode == "train"
        return RecordSpec(
            tag=mode,
            window=self.window_size,
            statistic="mean",
            mean_pattern=self.mean_pattern,
            offset=1 if train else 0,
            reader=reader,
            custom=self.custom if train else (),
        )

    # -- MMEngine's calls ------------------------------------------------------------------------

    def get_log_after_iter(
        self, runner: Any, batch_idx: int, mode: str
    ) -> tuple[dict[str, Any], str]:
        """The values and the text line after iteration `batch_idx` of `mode`."""
        storage = runner.message_hub.storage
        values = self._values(storage, mode, self.window_size)
        if mode == "train":
            values |= self._customised(storage)
            values |= _memory(runner)
        text = self._place_after_iter(runner, batch_idx, mode) + "  "
        text += self._figures(runner, values, mode, batch_idx)
        if self.by_epoch:
            values["epoch"] = _epoch(runner, mode)
        values["iter"] = runner.iter + 1
        return self._named(values, mode), text

    def get_log_after_epoch(
        self, runner: Any, batch_idx: int, mode: str, with_non_scalar: bool = False
    ) -> tuple[dict[str, Any], str]:
        """The metrics and the text line after a validation or test of `batch_idx` batches."""
        hub: MessageHub = runner.message_hub
        values = self._values(hub.storage, mode, batch_idx)
        spent = {name: values.pop(name) for name in ("data_time", "time") if name in values}
        other = _non_scalars(hub, mode)
        shown = self._named(values | other | spent, mode)
        parts = [f"{n}: {self._figure(v)}" for n, v in shown.items()]
        result = values | (other if with_non_scalar else {}) | spent
        place = self._place_after_epoch(runner, batch_idx, mode)
        return self._named(result, mode), place + "    " + "  ".join(parts)

    # -- values ----------------------------------------------------------------------------------

    def _values(self, storage: EventStorage, mode: str, window: int) -> dict[str, Any]:
        prefix, values = mode + "/", {}
        storage.want_window(self.window_size)
        for name, history in storage.histories().items():
            if name.startswith(prefix):
                short = name.removeprefix(prefix)
                mean = matches(self.mean_pattern, short)
                size = window if mode == "train" or short in _TIMES else 1
                values[short] = history.mean(size) if mean else history.current()
        return values

    def _customised(self, storage: EventStorage) -> dict[str, Any]:
        values, histories = {}, storage.histories()
        for wish in self.custom:
            history = histories.get(f"train/{wish.data_src}")
            if history is not None:
                name = wish.log_name or wish.data_src
                values[name] = custom_value(storage, history, wish, self.window_size)
        return values

    def _named(self, values: Mapping[str, Any], mode: str) -> dict[str, Any]:
        """The names as asked: bare, or with `mode/` before them."""
        if not self.log_with_hierarchy:
            return dict(values)
        bare = ("epoch", "iter")
        return {n if n in bare else f"{mode}/{n}": v for n, v in values.items()}

    # -- text ------------------------------------------------------------------------------------

    def _figures(self, runner: Any, values: Mapping[str, Any], mode: str, batch_idx: int) -> str:
        """lr, eta, time, data_time, memory, and in training everything else, in that order."""
        digits = self.num_digits
        rates = [n for n in values if n.endswith("lr")] if mode == "train" else []
        line = " ".join(f"{n}: {values[n]:.{digits}e}" for n in rates)
        parts = [f"eta: {span(self._left(runner, values, mode, batch_idx))}"]
        parts += [f"{n}: {values[n]:.{digits}f}" for n in _TIMES if n in values]
        if "memory" in values:
            parts.append(f"memory: {int(values['memory'])}")
        line += "  " + "  ".join(parts) + "  "
        if mode == "train":
            told = (*_NOT_METRICS, *rates)
            others = [f"{n}: {self._figure(v)}" for n, v in values.items() if n not in told]
            line += "  ".join(others)
        return line

    def _figure(self, value: Any) -> str:
        return f"{value:.{self.num_digits}f}" if isinstance(value, float) else str(value)

    def _left(
        self, runner: Any, values: Mapping[str, Any], mode: str, batch_idx: int
    ) -> float | None:
        """Seconds left: in training at the pace so far, everything in between included."""
        if mode != "train":
            return values.get("time", 0.0) * (_length(runner, mode) - batch_idx - 1)
        left = self._pace.update(runner.iter + 1, runner.max_iters, time.monotonic())
        if left is None and runner.max_iters is not None:
            left = values.get("time", 0.0) * (runner.max_iters - runner.iter - 1)
        return left

    def _place_after_iter(self, runner: Any, batch_idx: int, mode: str) -> str:
        total = _length(runner, mode)
        if not self.by_epoch and mode == "train":
            total, done = runner.max_iters, runner.iter + 1
        else:
            done = batch_idx + 1
        count = f"[{done:>{len(str(total))}}/{total}]" if total else f"[{done}]"
        if not self.by_epoch:
            return f"Iter({mode}) {count}"
        if mode == "test":
            return f"Epoch(test) {count}"
        epoch = f"[{_epoch(runner, mode)}]"
        return f"Epoch({mode}) {epoch:>{len(str(runner.max_epochs or 0)) + 2}}{count}"

    def _place_after_epoch(self, runner: Any, batch_idx: int, mode: str) -> str:
        count = f"[{batch_idx}/{_length(runner, mode) or batch_idx}]"
        if not self.by_epoch:
            return f"Iter({mode}) {count}"
        return f"Epoch({mode}) " + ("" if mode == "test" else f"[{runner.epoch}]") + count


def custom_statistic(wish: Mapping[str, Any], *, by_epoch: bool, where: str) -> CustomStatistic:
    """One checked entry of `custom_cfg`; keys beyond the known ones go to the statistic."""
    known = {field.name for field in dataclasses.fields(CustomStatistic)} - {"arguments"}
    missing = {"data_src", "method_name"} - set(wish)
    if missing:
        meant = get_close_matches(min(missing), [str(key) for key in wish], n=1)
        hint = f"; is {meant[0]!r} meant to be {min(missing)!r}?" if meant else ""
        raise ValueError(f"{where} has no {' and no '.join(sorted(missing))}: {dict(wish)}{hint}")
    size = wish.get("window_size")
    if isinstance(size, str) and size not in ("epoch", "global"):
        raise ValueError(f"{where}.window_size must be a number, 'epoch' or 'global', got {size!r}")
    if size == "epoch" and not by_epoch:
        raise ValueError(f"{where}.window_size='epoch' needs by_epoch=True")
    if near := HistoryBuffer.misspelt(wish["method_name"]):
        raise ValueError(
            f"{where}.method_name {wish['method_name']!r} is no statistic; did you mean {near!r}?"
        )
    extra = tuple((k, v) for k, v in wish.items() if k not in known)
    return CustomStatistic(**{k: v for k, v in wish.items() if k in known}, arguments=extra)


def _refuse_double_names(wishes: Sequence[CustomStatistic]) -> None:
    names = [w.log_name or w.data_src for w in wishes]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"custom_cfg gives {name!r} twice: set different log_name")


def _non_scalars(hub: MessageHub, mode: str) -> dict[str, Any]:
    """Metrics that are no numbers, as the hub holds them under `mode/`."""
    prefix = mode + "/"
    return {k.removeprefix(prefix): v for k, v in hub.runtime_info.items() if k.startswith(prefix)}


def _epoch(runner: Any, mode: str) -> int:
    return int(runner.epoch) + (1 if mode == "train" else 0)


def _length(runner: Any, mode: str) -> int:
    """Batches of the loop's loader, 0 when it does not know."""
    return length_of(getattr(runner, f"{mode}_dataloader", None)) or 0


def _memory(runner: Any) -> dict[str, float]:
    """The peak device memory in MiB where there is an accelerator and torch was imported."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return {}
    return {"memory": float(torch.cuda.max_memory_allocated() // 2**20)}
