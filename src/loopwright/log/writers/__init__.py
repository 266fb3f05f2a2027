"""Writers take records: console, JSON lines, CSV, TensorBoard, and trackers by name."""

from loopwright.log.writers.aim import AimWriter
from loopwright.log.writers.background import Background
from loopwright.log.writers.base import Writer, WriterSet
from loopwright.log.writers.clearml import ClearMLWriter
from loopwright.log.writers.console import ConsoleWriter
from loopwright.log.writers.csv import CSVWriter
from loopwright.log.writers.dvclive import DVCLiveWriter
from loopwright.log.writers.jsonl import JSONLWriter
from loopwright.log.writers.local import LocalWriter
from loopwright.log.writers.mlflow import MLflowWriter
from loopwright.log.writers.neptune import NeptuneWriter
from loopwright.log.writers.tensorboard import TensorBoardWriter
from loopwright.log.writers.tracker import Tracker
from loopwright.log.writers.usual import usual_writers
from loopwright.log.writers.wandb import WandbWriter

__all__ = [
    "AimWriter",
    "Background",
    "CSVWriter",
    "ClearMLWriter",
    "ConsoleWriter",
    "DVCLiveWriter",
    "JSONLWriter",
    "LocalWriter",
    "MLflowWriter",
    "NeptuneWriter",
    "TensorBoardWriter",
    "Tracker",
    "WandbWriter",
    "Writer",
    "WriterSet",
    "usual_writers",
]
