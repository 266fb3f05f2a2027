"""Writers take records: console, JSON lines, CSV, TensorBoard, and trackers by name."""

from loopwright.log.writers.base import Writer, WriterSet
from loopwright.log.writers.console import ConsoleWriter
from loopwright.log.writers.csv import CSVWriter
from loopwright.log.writers.jsonl import JSONLWriter

__all__ = [
    "CSVWriter",
    "ConsoleWriter",
    "JSONLWriter",
    "Writer",
    "WriterSet",
]
