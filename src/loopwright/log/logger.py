"""MMLogger and print_log: a run's own text log, on the terminal beside the bar and in a file."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import Any

from loopwright.log.instances import Named
from loopwright.log.terminal import quietly, shared_console

__all__ = ["MMLogger", "print_log"]

_STAMP = "%m/%d %H:%M:%S"
_COLOURS = {"WARNING": "yellow", "ERROR": "red", "CRITICAL": "bold red", "DEBUG": "dim"}


class ConsoleHandler(logging.Handler):
    """Prints through the shared console, so that lines and a live bar do not collide."""

    def emit(self, record: logging.LogRecord) -> None:
        console = shared_console()
        try:
            text, style = self.format(record), _COLOURS.get(record.levelname)
            console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)
        except (OSError, ValueError):  # closed terminal or pipe
            quietly(console)


class QuietFileHandler(logging.FileHandler):
    """Counts the lines that the disk refuses instead of printing a traceback for each.

    The folder and the file are made with the first line: a run that never began leaves neither.
    """

    dropped = 0

    def _open(self) -> Any:
        os.makedirs(os.path.dirname(self.baseFilename), exist_ok=True)
        return super()._open()

    def handleError(self, record: logging.LogRecord) -> None:
        self.dropped += 1
        if self.dropped == 1:
            logging.getLogger("loopwright.log").warning(
                "%s: %s; later lines are counted only", self.baseFilename, sys.exc_info()[1]
            )


class WarnOnce(logging.Filter):
    """Lets a warning of the same text through once."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno != logging.WARNING or len(self._seen) > 10_000:
            return True
        text = record.getMessage()
        known = text in self._seen
        self._seen.add(text)
        return not known


class MMLogger(Named, logging.Logger):
    """A logger outside logging's tree: nothing propagates, two runs never share a handler.

    Ranks other than 0 print errors only, and write a file of their own with `distributed=True`
    (the rank is inserted before the suffix).
    """

    def __init__(
        self,
        name: str,
        logger_name: str = "loopwright",
        log_file: str | os.PathLike[str] | None = None,
        log_level: int | str = "INFO",
        file_mode: str = "w",
        distributed: bool = False,
        file_handler_cfg: dict[str, Any] | None = None,
    ) -> None:
        logging.Logger.__init__(self, logger_name, _level(log_level))
        self.instance_name = name
        self.log_file: Path | None = None
        rank = int(os.environ.get("RANK", "0"))
        self.addFilter(WarnOnce())
        self._attach(ConsoleHandler(), logging.ERROR if rank else self.level)
        if log_file is not None and (rank == 0 or distributed):
            self.log_file = _of_rank(Path(log_file), rank)
            options: dict[str, Any] = {"mode": file_mode, "encoding": "utf-8", "delay": True}
            options |= file_handler_cfg or {}
            self._attach(QuietFileHandler(self.log_file, **options), self.level)

    @classmethod
    def get_current_instance(cls) -> MMLogger:
        """The current logger; one named "loopwright" is made when there is none."""
        try:
            return super().get_current_instance()
        except RuntimeError:
            return cls.get_instance("loopwright")

    def setLevel(self, level: int | str) -> None:
        """Say less or more from now on."""
        logging.Logger.setLevel(self, level)
        self.__dict__.get("_cache", {}).clear()  # logging clears it for loggers of its tree alone

    def close(self) -> None:
        """Close the file; a run that ended holds nothing open."""
        for handler in list(self.handlers):
            self.removeHandler(handler)
            handler.close()

    def _attach(self, handler: logging.Handler, level: int) -> None:
        handler.setLevel(level)
        pattern = "%(asctime)s - %(name)s - %(levelname)s - %(message)s"
        handler.setFormatter(logging.Formatter(pattern, datefmt=_STAMP))
        self.addHandler(handler)


def _level(level: int | str) -> int:
    if isinstance(level, int):
        return level
    names = logging.getLevelNamesMapping()
    if level.upper() not in names:
        raise ValueError(f"log level {level!r} is unknown; there are: {', '.join(names)}")
    return names[level.upper()]


def _of_rank(path: Path, rank: int) -> Path:
    return path if rank == 0 else path.with_name(f"{path.stem}_rank{rank}{path.suffix}")


def print_log(
    msg: Any, logger: logging.Logger | str | None = None, level: int = logging.INFO
) -> None:
    """Say `msg` through a logger.

    `logger`: None prints, "silent" says nothing, "current" takes the current MMLogger, another
    text names one that exists (ValueError if not), a Logger is used as it is.
    """
    if logger is None:
        print(msg)
    elif isinstance(logger, logging.Logger):
        logger.log(level, msg)
    elif logger == "current":
        MMLogger.get_current_instance().log(level, msg)
    elif logger != "silent":
        if not MMLogger.check_instance_created(logger):
            raise ValueError(f"there is no MMLogger named {logger!r}: make it with get_instance")
        MMLogger.get_instance(logger).log(level, msg)
