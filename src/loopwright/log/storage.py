"""EventStorage: where a training step puts its numbers, unread until someone asks for them."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from loopwright.core.nearest import nearest_or_all
from loopwright.log import opened
from loopwright.log.folding import EPOCH_BEGINS, Pending, fold
from loopwright.log.history import HistoryBuffer
from loopwright.log.opened import get_event_storage
from loopwright.log.pictures import Histogram, Picture, Shelf, summarise_histogram
from loopwright.log.reading import is_tensor, read_numbers

__all__ = ["EventStorage", "get_event_storage"]

_LEAST_WINDOW_SAVED = 64
_MOST_NAMES = 10_000
_TOO_MANY = f"more than {_MOST_NAMES} names of scalars"


class EventStorage:
    """Scalars, images and histograms of a run.

    A put appends a reference and returns; tensors stay on their device. The first reader after
    it (a record, `latest`, `history`) reads everything pending in one transfer. Memory is
    bounded: `keep` values a name, `max_pending` unread puts (then they are read in one batch),
    16 images. Values given to `put_dict` must not be changed in place afterwards.

    `optim_step` and `samples` may be set by the loop; records carry them. `copies = True` copies
    what `put_dict` gets, for steps whose outputs the next step overwrites (CUDA graphs).

    >>> with EventStorage() as storage:
    ...     for storage.iter in range(3):
    ...         get_event_storage().put_dict({"loss": 1.0 / (storage.iter + 1)})
    >>> storage.latest()["loss"]
    (0.3333333333333333, 2)
    """

    def __init__(self, start_iter: int = 0, *, keep: int = 4096, max_pending: int = 1024) -> None:
        self.iter = start_iter
        self.start_iter = start_iter
        self.optim_step: int | None = None
        self.samples: int | None = None
        self.copies = False
        self.keep, self.max_pending = keep, max_pending
        self.dropped: dict[str, int] = {}
        self.transient: set[str] = set()
        self.cursors: dict[str, dict[str, Any]] = {}
        self.images: Shelf[Picture] = Shelf()
        self.histograms: Shelf[Histogram] = Shelf()
        self.epochs: list[tuple[int, int]] = []
        self._pending: list[Pending] = []
        self._histories: dict[str, HistoryBuffer] = {}
        self._hints: dict[str, bool] = {}
        self._prefix = ""
        self._widest = _LEAST_WINDOW_SAVED
        self._reading = threading.Lock()

    # -- putting ---------------------------------------------------------------------------------

    def put_dict(self, mapping: Mapping[str, Any], prefix: str = "") -> None:
        """Put every value of `mapping` (numbers or one-element tensors) under `prefix/name`.

        This is the call of the hot path: nothing is looked at but whether a tensor still carries
        its graph. What turns out to be no scalar is counted in `dropped` with one warning.
        """
        kept = dict(mapping)
        for name, value in mapping.items():
            if getattr(value, "requires_grad", False):
                kept[name] = value.detach()
        if self.copies:
            kept = {n: v.clone() if is_tensor(v) else v for n, v in kept.items()}
        pending = self._pending
        pending.append((self.iter, self._prefix + prefix, kept))
        if len(pending) > self.max_pending:
            self.flush()

    def put_scalar(
        self,
        name: str,
        value: Any,
        smoothing_hint: bool = True,
        cur_iter: int | None = None,
    ) -> None:
        """Put one number; `smoothing_hint=False` says that it must not be averaged in reports.

        Raises:
            TypeError: `value` is no scalar.
            ValueError: the name was put before with the other hint (nothing is stored then).
        """
        full = self._prefix + name
        if is_tensor(value):
            if value.numel() != 1:
                raise TypeError(f"scalar {full!r}: got a tensor of shape {tuple(value.shape)}")
            value = value.detach().clone()
        elif type(value) is not float:
            (number,) = read_numbers([value])
            if number is None:
                raise TypeError(f"scalar {full!r}: got {value!r}, wanted a number")
            value = number
        if self._hints.setdefault(full, smoothing_hint) != smoothing_hint:
            raise ValueError(
                f"scalar {full!r} was put with smoothing_hint={not smoothing_hint} before, "
                f"now with {smoothing_hint}"
            )
        self._pending.append((self.iter if cur_iter is None else cur_iter, "", {full: value}))
        if len(self._pending) > self.max_pending:
            self.flush()

    def put_scalars(
        self, *, smoothing_hint: bool = True, cur_iter: int | None = None, **values: Any
    ) -> None:
        """Put several numbers by keyword."""
        for name, value in values.items():
            self.put_scalar(name, value, smoothing_hint, cur_iter)

    def put_counted(self, name: str, value: Any, count: float) -> None:
        """Put a sum over `count` items: window means divide by the counts."""
        self.flush()
        (number,) = read_numbers([value])
        if number is None:
            raise TypeError(f"scalar {name!r}: got {value!r}, wanted a number")
        self._history(self._prefix + name).update(number, count, self.iter)

    def put_image(self, img_name: str, img_tensor: Any) -> None:
        """Put an image of shape (3, H, W), uint8 in [0, 255] or float in [0, 1].

        The last 16 unwritten ones are kept; older ones are counted in `dropped["images"]`.
        """
        held = img_tensor.detach().clone() if is_tensor(img_tensor) else img_tensor.copy()
        lost = self.images.put(Picture(self._prefix + img_name, held, self.iter))
        self._count_dropped("images", lost)

    def put_histogram(self, hist_name: str, hist_tensor: Any, bins: int = 1000) -> None:
        """Put the histogram of a tensor of any shape; it is summarised on its device at once."""
        name = self._prefix + hist_name
        summary = summarise_histogram(name, hist_tensor, bins=bins, iteration=self.iter)
        if summary is None:
            self._drop(name, "a tensor without a finite range", self.iter)
            return
        self._count_dropped("histograms", self.histograms.put(summary))

    @property
    def _vis_data(self) -> list[tuple[str, Any, int]]:
        """Images not cleared yet, as writers made for detectron2 read them."""
        return [(image.name, image.pixels, image.iter) for image in self.images.left()]

    def clear_images(self) -> None:
        """What a writer of one's own says when it wrote them; other writers still see them."""
        self.images.clear()

    def mark_epoch(self, epoch: int) -> None:
        """Say that `epoch` begins with the current iteration: 'epoch' windows start again here."""
        self._pending.append((self.iter, str(epoch), EPOCH_BEGINS))

    @contextmanager
    def name_scope(self, name: str) -> Iterator[None]:
        """Put a `name/` before every name inside the block, also when the block raises.

        An inner scope replaces the outer one, as in detectron2; write `a/b` to nest.
        """
        before, self._prefix = self._prefix, name.rstrip("/") + "/" if name else ""
        try:
            yield
        finally:
            self._prefix = before

    # -- reading ---------------------------------------------------------------------------------

    def flush(self) -> None:
        """Read everything pending into the histories, one transfer for each dtype and device."""
        with self._reading:
            count = len(self._pending)
            if not count:
                return
            batch = self._pending[:count]
            del self._pending[:count]
            for stretch in fold(batch):
                for name, column in stretch.columns.items():
                    self._extend(name, *column)
                for name, what, iteration in stretch.rejected:
                    self._drop(name, what, iteration)
                if stretch.epoch is not None:
                    self._begin_epoch(*stretch.epoch)

    def _extend(self, name: str, values: list[float], iters: list[int]) -> None:
        """Move folded values into their history; names without end are cut off, counted."""
        if name not in self._histories and len(self._histories) >= _MOST_NAMES:
            if _TOO_MANY not in self.dropped:
                warnings.warn(f"{_TOO_MANY}: {name!r} and later ones are dropped", stacklevel=4)
            self._count_dropped(_TOO_MANY, len(values))
            return
        self._history(name).extend(values, iters)

    def _begin_epoch(self, iteration: int, epoch: int) -> None:
        for history in self._histories.values():
            history.begin_epoch()
        if self.epochs[-1:] != [(iteration, epoch)]:
            self.epochs.append((iteration, epoch))
        del self.epochs[:-64]

    def _history(self, name: str) -> HistoryBuffer:
        found = self._histories.get(name)
        if found is None:
            found = self._histories[name] = HistoryBuffer(max_length=self.keep)
        return found

    def _drop(self, name: str, what: str, iteration: int) -> None:
        if name not in self.dropped:
            warnings.warn(
                f"{name!r} put at iteration {iteration} is no scalar ({what}): counted as dropped",
                stacklevel=3,
            )
        self._count_dropped(name, 1)

    def _count_dropped(self, name: str, number: int) -> None:
        if number:
            self.dropped[name] = self.dropped.get(name, 0) + number

    def adopt(self, name: str, history: HistoryBuffer) -> None:
        """Take a history made elsewhere under `name`."""
        if not isinstance(history, HistoryBuffer):
            raise TypeError(f"{name!r}: got {type(history).__name__}, wanted a HistoryBuffer")
        self.flush()
        self._histories[name] = history

    def want_window(self, window_size: int) -> None:
        """Make sure that windows of this size are kept, and saved with the state."""
        self._widest = max(self._widest, window_size)
        if window_size > self.keep:
            self.keep = window_size
            for history in self._histories.values():
                history.max_length = max(history.max_length, window_size)

    def history(self, name: str) -> HistoryBuffer:
        """The history of one scalar.

        Raises:
            KeyError: nothing was put under this name; the message says the nearest.
        """
        self.flush()
        if name not in self._histories:
            raise KeyError(f"no scalar {name!r} was put{nearest_or_all(name, self._histories)}")
        return self._histories[name]

    def histories(self) -> dict[str, HistoryBuffer]:
        """Every history by name, in the order in which the names first came."""
        self.flush()
        return dict(self._histories)

    def latest(self) -> dict[str, tuple[float, int]]:
        """The last value and its iteration, by name."""
        return {n: (h.current(), h.tail_iters(1)[0]) for n, h in self.histories().items()}

    def latest_with_smoothing_hint(self, window_size: int = 20) -> dict[str, tuple[float, int]]:
        """As `latest`, but the median over the last iterations where the hint says so."""
        self.want_window(window_size)
        result = {}
        for name, (value, iteration) in self.latest().items():
            if self._hints.get(name, True):
                history = self._histories[name]
                value = history.median(history.count_since(window_size))
            result[name] = (value, iteration)
        return result

    def count_samples(self, name: str, window_size: int = 20) -> int:
        """How many values of `name` were put within the last `window_size` iterations."""
        return self.history(name).count_since(window_size)

    def smoothing_hint(self, name: str) -> bool:
        """Whether reports may smooth this scalar; a name put by `put_dict` alone is smoothed."""
        return self._hints.get(name, True)

    def put_alone(self, name: str) -> bool:
        """Whether this scalar is put by `put_scalar`, not among a step's outputs."""
        return name in self._hints

    def smoothing_hints(self) -> dict[str, bool]:
        """Name to hint, for every scalar put."""
        return {name: self._hints.get(name, True) for name in self.histories()}

    # -- iteration, context, state ---------------------------------------------------------------

    def step(self) -> None:
        """Count one iteration; a loop that assigns `iter` does not need this."""
        self.iter += 1

    def __enter__(self) -> EventStorage:
        opened.enter(self)
        return self

    def __exit__(self, *exc_info: object) -> None:
        opened.leave(self)

    def state_dict(self) -> dict[str, Any]:
        """Plain data of bounded size: windows, totals and what is not yet written."""
        self.flush()
        unread = _most_unread(self._histories, self.cursors)
        return {
            "iter": self.iter,
            "start_iter": self.start_iter,
            "optim_step": self.optim_step,
            "samples": self.samples,
            "hints": dict(self._hints),
            "dropped": dict(self.dropped),
            "epochs": [list(mark) for mark in self.epochs],
            "cursors": {r: {**c, "seen": dict(c["seen"])} for r, c in self.cursors.items()},
            "widest": self._widest,
            "histories": {
                name: history.state_dict(max(self._widest, unread.get(name, 0)))
                for name, history in self._histories.items()
                if name not in self.transient
            },
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave; what was put before is forgotten."""
        self._pending.clear()
        self._histories.clear()
        self.iter, self.start_iter = int(state["iter"]), int(state["start_iter"])
        self.optim_step, self.samples = state["optim_step"], state["samples"]
        self._hints, self.dropped = dict(state["hints"]), dict(state["dropped"])
        self.epochs = [(int(i), int(e)) for i, e in state["epochs"]]
        self.cursors = {r: {**c, "seen": dict(c["seen"])} for r, c in state["cursors"].items()}
        self.want_window(int(state["widest"]))
        for name, saved in state["histories"].items():
            self._history(name).load_state_dict(saved)


def _most_unread(
    histories: Mapping[str, HistoryBuffer], cursors: Mapping[str, Mapping[str, Any]]
) -> dict[str, int]:
    """For each name how many of its values some reader has not yet written."""
    behind = [cursor["seen"] for cursor in cursors.values()]
    return {
        name: max((h.number - seen.get(name, 0) for seen in behind), default=0)
        for name, h in histories.items()
    }
