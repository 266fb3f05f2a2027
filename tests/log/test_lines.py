"""LineFile, JSONLWriter, CSVWriter: whole lines, cut on resume, never in the way of a full disk."""

import csv
import json
import math
import os
import resource
import signal

import pytest

from loopwright.core import Progress
from loopwright.log import (
    CSVWriter,
    EventStorage,
    JSONLWriter,
    LogRecord,
    Point,
    RecordSpec,
    make_record,
)
from loopwright.log.writers.lines import LineFile


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def train(writers, storage, iterations, *, period=5):
    progress, spec = Progress(), RecordSpec(window=4, offset=1)
    for storage.iter in iterations:
        progress.iter = storage.iter
        storage.put_dict({"loss": 1.0 / (storage.iter + 1), "time": 0.1}, "train")
        if storage.iter % 7 == 0:
            storage.put_scalar("rare", storage.iter)
        if (storage.iter + 1) % period == 0:
            record = make_record(storage, progress, spec)
            for writer in writers:
                writer.write(record)


def test_a_record_is_one_line_with_its_place_and_the_clock_is_elsewhere(tmp_path):
    writer = JSONLWriter(tmp_path)
    scalars, timing = {"loss": 0.5}, {"time": 0.1}
    writer.write(LogRecord(20, 1, "train", 10, 640, scalars, timing, wall_time=12.0))
    writer.close()
    expected = {"tag": "train", "iter": 20, "epoch": 1, "step": 10, "samples": 640, "loss": 0.5}
    assert lines(tmp_path / "metrics.jsonl") == [expected]
    (clock,) = lines(tmp_path / "timing.jsonl")
    assert (clock["iter"], clock["time"], clock["wall_time"]) == (20, 0.1, 12.0)


def test_values_of_earlier_iterations_get_lines_of_their_own(tmp_path):
    writer = JSONLWriter(tmp_path / "m.json")
    points = (Point("x", 1.0, 3, 0, None, None), Point("x", 2.0, 3, 0, None, None))
    writer.write(LogRecord(9, 0, scalars={"loss": math.nan}, points=points))
    written = lines(tmp_path / "m.json")
    assert [(e["iter"], e.get("x")) for e in written] == [(3, 1.0), (3, 2.0), (9, None)]
    assert math.isnan(written[2]["loss"])


def test_a_run_resumed_from_a_checkpoint_writes_the_bytes_of_an_uninterrupted_one(tmp_path):
    def open_writers(folder):
        return [JSONLWriter(folder), CSVWriter(folder)]

    train(open_writers(tmp_path / "whole"), EventStorage(), range(40))

    storage, writers = EventStorage(), open_writers(tmp_path / "cut")
    train(writers, storage, range(18))
    saved = json.loads(json.dumps([storage.state_dict(), *(w.state_dict() for w in writers)]))
    train(writers, storage, range(18, 33))  # lost: the process dies here

    storage, writers = EventStorage(), open_writers(tmp_path / "cut")
    storage.load_state_dict(saved[0])
    for writer, state in zip(writers, saved[1:]):
        writer.load_state_dict(state)
    train(writers, storage, range(18, 40))

    for name in ("metrics.jsonl", "metrics.csv"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    clocks = [e["iter"] for e in lines(tmp_path / "cut" / "timing.jsonl")]
    assert clocks == [5, 10, 15, 20, 25, 30, 35, 40]


def test_two_equal_runs_write_equal_bytes(tmp_path):
    for name in "ab":
        train([JSONLWriter(tmp_path / name)], EventStorage(), range(20))
    first, second = (tmp_path / n / "metrics.jsonl" for n in "ab")
    assert first.read_bytes() == second.read_bytes()


def test_csv_has_a_row_for_each_scalar(tmp_path):
    writer = CSVWriter(tmp_path)
    train([writer], EventStorage(), range(5))
    writer.close()
    with (tmp_path / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(r["iter"], r["name"]) for r in rows] == [("1", "rare"), ("5", "loss")]
    assert float(rows[1]["value"]) == pytest.approx((1 / 3 + 1 / 4) / 2)


def test_half_a_line_left_by_a_kill_is_cut_off_when_writing_goes_on(tmp_path):
    path = tmp_path / "log"
    path.write_bytes(b"one\ntwo\nthr")
    file = LineFile(path)
    assert file.offset == 8
    file.append("three\n")
    assert path.read_bytes() == b"one\ntwo\nthree\n"


def test_a_file_shorter_than_the_checkpoint_says_is_kept_with_a_warning(tmp_path, caplog):
    path = tmp_path / "log"
    path.write_bytes(b"one\n")
    LineFile(path).truncate(100)
    assert path.read_bytes() == b"one\n"
    assert "has 4 bytes where the checkpoint expects 100" in caplog.text


@pytest.fixture
def small_disk():
    """Files of this process may not grow beyond 200 bytes: a write there is refused or cut."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


def test_a_full_disk_costs_counted_lines_and_nothing_else(tmp_path, small_disk):
    writer = JSONLWriter(tmp_path)
    for iteration in range(50):
        writer.write(LogRecord(iteration, 0, scalars={"loss": 1.0}, wall_time=1.0))
    text = (tmp_path / "metrics.jsonl").read_text()
    kept = lines(tmp_path / "metrics.jsonl")
    assert text.endswith("\n")
    assert 0 < len(kept) < 10
    assert writer.dropped == 100 - len(kept) - len(lines(tmp_path / "timing.jsonl"))
    resource.setrlimit(
        resource.RLIMIT_FSIZE, (10_000, resource.getrlimit(resource.RLIMIT_FSIZE)[1])
    )
    writer.write(LogRecord(50, 0, scalars={"loss": 2.0}))
    assert lines(tmp_path / "metrics.jsonl")[-1]["iter"] == 50


def test_an_unwritable_place_costs_counted_lines_and_nothing_else(tmp_path):
    blocker = tmp_path / "file"
    blocker.write_text("")
    writer = CSVWriter(blocker / "metrics.csv")
    writer.write(LogRecord(1, 0, scalars={"loss": 1.0}))
    assert writer.file.dropped == 2
    writer.close()


def test_no_descriptor_stays_open_after_closing(tmp_path):
    before = len(os.listdir("/proc/self/fd"))
    writer = JSONLWriter(tmp_path)
    writer.write(LogRecord(1, 0, scalars={"loss": 1.0}))
    writer.close()
    assert len(os.listdir("/proc/self/fd")) == before
