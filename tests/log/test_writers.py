"""WriterSet, Background, ConsoleWriter, TensorBoardWriter, LocalWriter: read back, and failing."""

import io
import logging
import os
import pty
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch

from loopwright.core import Progress
from loopwright.log import (
    Background,
    ConsoleWriter,
    EventStorage,
    JSONLWriter,
    LocalWriter,
    LogRecord,
    RecordSpec,
    TensorBoardWriter,
    WriterSet,
    make_record,
)
from loopwright.log.terminal import sparkline, steady_console
from loopwright.log.writers.console import Pace
from loopwright.log.writers.usual import usual_writers


class Keeps:
    """A writer that keeps what it gets."""

    def __init__(self):
        self.records, self.closed = [], False

    def write(self, record):
        self.records.append(record)

    def close(self):
        self.closed = True


class Fails(Keeps):
    """A writer whose server is down."""

    def write(self, record):
        raise ConnectionError("no route to host")


def loss(iteration, value=1.0, **more):
    return LogRecord(iteration, 0, scalars={"loss": value}, **more)


def test_a_failing_writer_is_dropped_with_one_warning_and_the_others_go_on(caplog):
    good, bad = Keeps(), Fails()
    writers = WriterSet([bad, good])
    with caplog.at_level(logging.WARNING, "loopwright.log"):
        for iteration in range(5):
            writers.write(loss(iteration))
    assert len(good.records) == 5
    assert bad.closed
    assert caplog.text.count("Fails failed and is dropped") == 1
    assert writers.dropped == {"Fails": "ConnectionError: no route to host"}


def test_an_empty_record_reaches_nobody():
    good = Keeps()
    WriterSet([good]).write(LogRecord(1, 0))
    assert good.records == []


def test_two_writers_of_a_class_keep_states_of_their_own(tmp_path):
    writers = WriterSet([JSONLWriter(tmp_path / "a"), JSONLWriter(tmp_path / "b")])
    writers.write(loss(1))
    state = writers.state_dict()
    assert set(state) == {"JSONLWriter", "JSONLWriter-2"}
    writers.write(loss(2))
    writers.load_state_dict(state)
    for name in "ab":
        assert (tmp_path / name / "metrics.jsonl").read_text().count("\n") == 1


def test_a_slow_writer_never_makes_the_training_wait(caplog):
    gate = threading.Event()

    class Slow(Keeps):
        def write(self, record):
            gate.wait(10)
            super().write(record)

    slow = Slow()
    background = Background(slow, size=4, patience=10)
    for iteration in range(50):
        background.write(loss(iteration))
    assert background.dropped >= 45
    gate.set()
    background.close()
    assert len(slow.records) + background.dropped == 50
    assert slow.closed
    assert caplog.text.count("too slow") == 1


def test_a_failure_in_the_background_reaches_the_writer_set():
    writers = WriterSet([Background(Fails())])
    for iteration in range(6000):
        writers.write(loss(iteration))
        if not writers.writers:
            break
        threading.Event().wait(0.01)
    assert "no route" in writers.dropped["Background"]


def test_plain_console_lines_are_aligned_and_hold_what_matters():
    stream = io.StringIO()
    writer = ConsoleWriter(steady_console(file=stream, width=200))
    for iteration in (10, 20, 100):
        timing = {"time": 0.2, "data_time": 0.05, "memory": 312.0}
        record = LogRecord(
            iteration,
            1,
            scalars={"loss": 0.5, "lr": 0.01},
            timing=timing,
            max_iters=100,
            max_epochs=3,
        )
        writer.write(record)
    writer.write(LogRecord(100, 1, "val", scalars={"accuracy/top1": 97.5}))
    writer.close()
    first, second, *_, last = stream.getvalue().splitlines()
    assert first.startswith("train  epoch 1/3  iter  10/100  lr 1.000e-02  loss 0.5000")
    assert first.endswith("time 0.2000  data 25%  memory 312M")
    assert "eta 0:00:0" in second
    assert last == "val    iter 100  accuracy/top1 97.5000"


def test_the_live_display_shows_progress_losses_and_the_best_validation():
    stream = io.StringIO()
    console = steady_console(file=stream, force_terminal=True, width=120, color_system=None)
    writer = ConsoleWriter(console)
    assert writer.live
    for iteration in range(1, 6):
        writer.write(loss(10 * iteration, 1.0 / iteration, max_iters=100))
        writer.write(LogRecord(10 * iteration, 0, "val", scalars={"acc": 50.0 - iteration}))
    writer.close()
    text = stream.getvalue()
    assert "iter  50/100" in text
    assert "loss 0.2000" in text
    assert "acc 45 (best 49)" in text
    assert "█" in text


def test_nan_never_becomes_the_best_validation():
    writer = ConsoleWriter(steady_console(file=io.StringIO()))
    for value in (float("nan"), 3.0, float("nan"), 2.0):
        writer.write(LogRecord(1, 0, "val", scalars={"acc": value, "loss": value}))
    assert writer.best == {"acc": 3.0, "loss": 2.0}


def test_a_closed_terminal_silences_the_console_and_nothing_else():
    stream = io.StringIO()
    writer = ConsoleWriter(steady_console(file=stream))
    stream.close()
    writer.write(loss(1))
    writer.write(loss(2))
    writer.close()
    assert writer.console.quiet


def test_a_broken_pipe_does_not_end_the_process(tmp_path):
    program = (
        "import sys; from loopwright.log import ConsoleWriter, LogRecord\n"
        "w = ConsoleWriter()\n"
        "for i in range(20000): w.write(LogRecord(i, 0, scalars={'loss': 1.0}))\n"
        f"open({str(tmp_path / 'done')!r}, 'w').write('yes')\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdout.readline()
    process.stdout.close()
    assert process.wait(60) == 0
    assert (tmp_path / "done").read_text() == "yes"


def test_a_terminal_that_goes_away_does_not_end_the_process(tmp_path):
    program = (
        "import signal, sys, time; from loopwright.log import ConsoleWriter, LogRecord, MMLogger\n"
        "signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "w, log = ConsoleWriter(), MMLogger('run')\n"
        "assert w.live\n"
        "w.write(LogRecord(0, 0, scalars={'loss': 1.0}))\n"
        "sys.stdin.readline()\n"
        "for i in range(500): w.write(LogRecord(i, 0, scalars={'loss': 1.0})); log.info(i)\n"
        "w.close()\n"
        f"open({str(tmp_path / 'done')!r}, 'w').write('yes')\n"
    )
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm"},
    )
    os.close(theirs)
    assert os.read(ours, 100)
    os.close(ours)
    process.communicate(b"go on\n", timeout=300)
    assert (tmp_path / "done").read_text() == "yes"


def test_the_time_left_counts_everything_since_the_first_record():
    pace = Pace()
    assert pace.update(10, 100, now=50.0) is None
    assert pace.update(20, 100, now=70.0) == 160.0  # 2 s an iteration, validation included
    assert pace.update(100, 100, now=300.0) == 0.0


def test_a_sparkline_of_one_value_or_none_is_short():
    assert (sparkline([]), sparkline([1.0]), sparkline([float("nan")])) == ("", "▁", " ")


def test_tensorboard_reads_back_scalars_images_and_histograms(tmp_path):
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    storage, progress = EventStorage(), Progress()
    writer = TensorBoardWriter(tmp_path)
    for i in range(20):
        storage.iter = progress.iter = i
        storage.put_dict({"loss": float(i)}, "train")
        if i == 7:
            storage.put_scalar("rare", 0.5)
            storage.put_image("seen", torch.rand(3, 4, 6))
            storage.put_histogram("weights", torch.arange(100.0), bins=10)
    writer.write(make_record(storage, progress, RecordSpec(window=4, offset=1)))
    writer.write(LogRecord(20, 1, "val", scalars={"acc": 90.0}))
    writer.close()
    events = reader.EventAccumulator(str(tmp_path), size_guidance={"images": 0, "histograms": 0})
    events.Reload()
    scalars = {t: [(e.step, e.value) for e in events.Scalars(t)] for t in events.Tags()["scalars"]}
    assert scalars == {"loss": [(20, 17.5)], "rare": [(8, 0.5)], "val/acc": [(20, 90.0)]}
    (image,) = events.Images("seen")
    assert (image.height, image.width, image.step) == (4, 6, 7)
    (histogram,) = events.Histograms("weights")
    assert histogram.histogram_value.num == 100
    assert sum(histogram.histogram_value.bucket) == 100


def test_tensorboard_events_run_again_after_a_resume_are_purged(tmp_path):
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    first = TensorBoardWriter(tmp_path)
    first.write(loss(1))
    state = first.state_dict()
    first.write(loss(2))
    first.close()
    # Files are read in the order of their names, which within a second is that of no time.
    (early,) = tmp_path.glob("*tfevents*")
    early.rename(tmp_path / "events.out.tfevents.0000000001.first")
    second = TensorBoardWriter(tmp_path)
    second.load_state_dict(state)
    second.write(loss(2, 5.0))
    second.close()
    events = reader.EventAccumulator(str(tmp_path))
    events.Reload()
    assert [(e.step, e.value) for e in events.Scalars("loss")] == [(1, 1.0), (2, 5.0)]


def test_local_files_hold_images_under_plain_names(tmp_path):
    from PIL import Image

    storage = EventStorage()
    storage.put_image("../../up/and away", np.zeros((3, 4, 6), np.uint8))
    record = make_record(storage, Progress(), RecordSpec())
    writer = LocalWriter(tmp_path)
    writer.write(record)
    writer.log_text("config.py", "a = 1\n")
    writer.close()
    (image,) = (tmp_path / "vis_image").iterdir()
    assert image.name == "_.._up_and_away_0.png"
    assert Image.open(image).size == (6, 4)
    assert (tmp_path / "config.py").read_text() == "a = 1\n"


def test_the_usual_writers_fill_the_run_folder(tmp_path):
    pytest.importorskip("tensorboard")
    writers = WriterSet(usual_writers(tmp_path, console=False))
    writers.write(loss(1))
    writers.close()
    names = {path.name.partition(".")[0] for path in tmp_path.iterdir()}
    assert names == {"metrics", "timing", "tensorboard"}
    assert writers.dropped == {}


def test_tensorboard_events_are_on_the_disk_before_a_checkpoint_holds_their_iteration(tmp_path):
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    writer = TensorBoardWriter(tmp_path)
    writer.write(loss(1))
    assert writer.state_dict() == {"last_iter": 1}
    events = reader.EventAccumulator(str(tmp_path))
    events.Reload()
    assert [e.step for e in events.Scalars("loss")] == [1]
    writer.close()
