"""ConsoleWriter: a live progress display on a terminal, plain aligned lines anywhere else."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from loopwright.log.record import LogRecord
from loopwright.log.terminal import quietly, shared_console, sparkline

if TYPE_CHECKING:
    from rich.console import Console, Group, RenderableType

__all__ = ["ConsoleWriter", "Pace", "line", "span"]

_BETWEEN_PICTURES = 0.1  # seconds


class Pace:
    """How long the rest takes at the pace since the first record, validation and all included."""

    def __init__(self) -> None:
        self._first: tuple[int, float] | None = None
        self.left: float | None = None

    def update(self, iteration: int, limit: int | None, now: float) -> float | None:
        """Seconds left after `iteration` of `limit`, None while unknown; `now` is monotonic."""
        if self._first is None or iteration < self._first[0]:
            self._first = (iteration, now)
        first, began = self._first
        if limit is not None and iteration > first:
            self.left = (now - began) / (iteration - first) * max(limit - iteration, 0)
        return self.left


class ConsoleWriter:
    """Shows where the run is: bar, eta, learning rate, losses with a sparkline, validation.

    `live` says whether to draw in place (default: when the console is a terminal). A terminal that
    goes away silences this writer and nothing else.
    """

    def __init__(self, console: Console | None = None, *, live: bool | None = None) -> None:
        self.console = console or shared_console()
        self.live = self.console.is_terminal if live is None else live
        self.pace = Pace()
        self.losses: deque[float] = deque(maxlen=40)
        self.validation: dict[str, float] = {}
        self.best: dict[str, float] = {}
        self._last: LogRecord | None = None
        self._display: Any = None
        self._drawn = float("-inf")

    def write(self, record: LogRecord) -> None:
        """Show the record."""
        if record.tag == "train":
            self.pace.update(record.iter, _limit(record), time.monotonic())
            self._last = record
            if "loss" in record.scalars or "total_loss" in record.scalars:
                self.losses.append(record.scalars.get("loss", record.scalars.get("total_loss", 0)))
        else:
            self._keep_best(record.scalars)
        try:
            self._show(record)
        except (OSError, ValueError):  # the terminal is gone, or stdout is closed
            quietly(self.console)

    def close(self) -> None:
        """Leave the last picture on the screen."""
        if self._display is not None:
            try:
                self._display.update(self._picture(), refresh=True)
                self._display.stop()
            except (OSError, ValueError):
                quietly(self.console)
            self._display = None

    def _keep_best(self, scalars: Mapping[str, float]) -> None:
        self.validation = dict(scalars)
        for name, value in scalars.items():
            best, down = self.best.get(name), "loss" in name.lower()
            if value == value and (best is None or (value < best if down else value > best)):
                self.best[name] = value

    def _show(self, record: LogRecord) -> None:
        if self.console.quiet:
            return
        if not self.live:
            self.console.file.write(line(record, self.pace.left) + "\n")
            self.console.file.flush()
            return
        now = time.monotonic()
        if record.tag == "train" and now - self._drawn < _BETWEEN_PICTURES:
            return
        self._drawn = now
        if self._display is None:
            from rich.live import Live

            self._display = Live(console=self.console, auto_refresh=False)
            self._display.start()
        self._display.update(self._picture(), refresh=True)

    def _picture(self) -> Group:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        record = self._last or LogRecord(iter=0, epoch=0)
        limit = _limit(record)
        bar = Table.grid(padding=(0, 1))
        bar.add_row(
            Text(_where(record), style="bold"),
            ProgressBar(total=limit or 1, completed=record.iter if limit else 0, width=30),
            f"eta {span(self.pace.left)}",
            Text(sparkline(list(self.losses)), style="cyan"),
        )
        lines: list[RenderableType] = [bar, Text("  ".join(_figures(record)))]
        if self.validation:
            shown = [f"{n} {v:.4g} (best {self.best.get(n, v):.4g})" for n, v in _few(self)]
            lines.append(Text("validation  " + "  ".join(shown), style="green"))
        return Group(*lines)


def _few(writer: ConsoleWriter) -> list[tuple[str, float]]:
    return list(writer.validation.items())[:4]


def line(record: LogRecord, left: float | None) -> str:
    """A record as one plain line.

    >>> line(LogRecord(iter=20, epoch=0, scalars={"lr": 0.1, "loss": 1.5}, max_iters=100), 8.0)
    'train  iter  20/100  eta 0:00:08  lr 1.000e-01  loss 1.5000'
    """
    parts = [f"{record.tag:<5}", _where(record)]
    if record.tag == "train" and left is not None:
        parts.append(f"eta {span(left)}")
    return "  ".join(parts + _figures(record))


def span(seconds: float | None) -> str:
    """Seconds as h:mm:ss.

    >>> span(3725.4), span(None)
    ('1:02:05', '-:--:--')
    """
    if seconds is None or seconds != seconds:
        return "-:--:--"
    whole = int(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def _where(record: LogRecord) -> str:
    limit = _limit(record)
    if limit is None:
        text = f"iter {record.iter}"
    else:
        text = f"iter {record.iter:>{len(str(limit))}}/{limit}"
    if record.max_epochs is not None:
        text = f"epoch {min(record.epoch, record.max_epochs)}/{record.max_epochs}  {text}"
    return text


def _limit(record: LogRecord) -> int | None:
    return record.max_iters


def _figures(record: LogRecord) -> list[str]:
    """Learning rates first, then the other scalars, then time and memory."""
    rates = [n for n in record.scalars if n.rpartition("/")[2] in ("lr", "base_lr")]
    others = [n for n in record.scalars if n not in rates]
    rates = [n for n in rates if n != "base_lr" or record.scalars[n] != record.scalars.get("lr")]
    parts = [f"{n} {record.scalars[n]:.3e}" for n in rates]
    parts += [f"{n} {record.scalars[n]:.4f}" for n in others]
    took, waited = record.timing.get("time"), record.timing.get("data_time")
    if took is not None:
        parts.append(f"time {took:.4f}")
    if took and waited is not None:
        parts.append(f"data {waited / took:.0%}")
    memory = record.timing.get("memory", record.timing.get("max_mem"))
    return parts if memory is None else [*parts, f"memory {memory:.0f}M"]
