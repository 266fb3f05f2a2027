"""Numbers of a run: storage, records, writers, and the MMEngine names over them."""

from loopwright.log.backends import BaseVisBackend, LocalVisBackend, TensorboardVisBackend
from loopwright.log.events import (
    CommonMetricPrinter,
    EventWriter,
    JSONWriter,
    TensorboardXWriter,
)
from loopwright.log.history import HistoryBuffer
from loopwright.log.hub import MessageHub
from loopwright.log.logger import MMLogger, print_log
from loopwright.log.opened import get_event_storage, has_event_storage
from loopwright.log.processor import LogProcessor
from loopwright.log.record import CustomStatistic, LogRecord, Point, RecordSpec, make_record
from loopwright.log.storage import EventStorage
from loopwright.log.visualizer import Visualizer
from loopwright.log.writers import (
    Background,
    ConsoleWriter,
    CSVWriter,
    JSONLWriter,
    LocalWriter,
    MLflowWriter,
    TensorBoardWriter,
    WandbWriter,
    Writer,
    WriterSet,
    usual_writers,
)

__all__ = [
    "CommonMetricPrinter",
    "EventWriter",
    "JSONWriter",
    "TensorboardXWriter",
    "BaseVisBackend",
    "LocalVisBackend",
    "LogProcessor",
    "MMLogger",
    "MessageHub",
    "TensorboardVisBackend",
    "Visualizer",
    "print_log",
    "Background",
    "CSVWriter",
    "LocalWriter",
    "MLflowWriter",
    "TensorBoardWriter",
    "WandbWriter",
    "ConsoleWriter",
    "CustomStatistic",
    "EventStorage",
    "HistoryBuffer",
    "JSONLWriter",
    "LogRecord",
    "Point",
    "RecordSpec",
    "Writer",
    "WriterSet",
    "get_event_storage",
    "has_event_storage",
    "make_record",
    "usual_writers",
]
