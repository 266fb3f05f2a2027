"""detectron2's event writers: no value lost, no crash when written twice, images bounded."""

import json
import logging

import pytest
import torch

from loopwright.log import (
    CommonMetricPrinter,
    EventStorage,
    EventWriter,
    JSONWriter,
    TensorboardXWriter,
    get_event_storage,
)


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def train(writers, *, iterations=60, period=20, after_writers=None):
    with EventStorage() as storage:
        for storage.iter in range(iterations):
            storage.put_scalars(total_loss=float(storage.iter), time=0.1, data_time=0.01)
            storage.put_scalar("lr", 0.1 / (storage.iter + 1), smoothing_hint=False)
            if (storage.iter + 1) % 7 == 0:
                storage.put_scalar("rare", float(storage.iter))
            if (storage.iter + 1) % period == 0:
                for writer in writers:
                    writer.write()
                if after_writers:
                    after_writers(storage)
        for writer in writers:
            writer.write()
            writer.close()


def test_json_lines_hold_the_window_median_at_the_detectron2_iterations(tmp_path):
    train([JSONWriter(tmp_path / "metrics.json")])
    dense = [e for e in lines(tmp_path / "metrics.json") if "total_loss" in e]
    assert [(e["iteration"], e["total_loss"]) for e in dense] == [(19, 9.5), (39, 29.5), (59, 49.5)]
    assert dense[0]["lr"] == 0.1 / 20
    assert "time" not in dense[0]
    assert [e["time"] for e in lines(tmp_path / "timing.jsonl")][:3] == [0.1] * 3


def test_a_scalar_put_after_the_writer_is_written_next_time(tmp_path):
    def late(storage):
        storage.put_scalar("late", float(storage.iter))

    train([JSONWriter(tmp_path / "metrics.json")], after_writers=late)
    found = [(e["iteration"], e["late"]) for e in lines(tmp_path / "metrics.json") if "late" in e]
    assert found == [(19, 19.0), (39, 39.0), (59, 59.0)]


def test_a_writer_of_ones_own_takes_each_image_once_and_leaves_it_to_the_others():
    class Mine(EventWriter):
        def __init__(self):
            self.seen = []

        def write(self):
            storage = get_event_storage()
            self.seen += [(name, step) for name, pixels, step in storage._vis_data]
            storage.clear_images()

    mine = Mine()
    with EventStorage() as storage:
        for storage.iter in range(4):
            storage.put_image("sample", torch.zeros(3, 2, 2))
            if storage.iter % 2:
                mine.write()
        mine.write()
    assert mine.seen == [("sample", 0), ("sample", 1), ("sample", 2), ("sample", 3)]
    assert len(list(storage.images.since(0))) == 4


def test_a_rare_wall_clock_figure_stays_out_of_the_metrics(tmp_path):
    """Equal runs write equal bytes, however seldom something is timed."""
    writer = JSONWriter(tmp_path / "metrics.json")
    with EventStorage() as storage:
        for storage.iter in range(20):
            storage.put_scalar("total_loss", 1.0)
        storage.put_scalar("data_time", 0.25, cur_iter=3)
        writer.write()
        writer.close()
    assert [set(line) for line in lines(tmp_path / "metrics.json")] == [{"iteration", "total_loss"}]
    assert lines(tmp_path / "timing.jsonl")[0]["data_time"] == 0.25


def test_a_rare_scalar_reaches_the_file_every_time(tmp_path):
    train([JSONWriter(tmp_path / "metrics.json")], iterations=100)
    found = [e["iteration"] for e in lines(tmp_path / "metrics.json") if "rare" in e]
    assert found == list(range(6, 100, 7))


def test_a_resumed_run_holds_no_iteration_twice(tmp_path):
    writer = JSONWriter(tmp_path / "metrics.json")
    with EventStorage() as storage:
        storage.put_scalar("x", 1.0)
        writer.write()
        state = writer.state_dict()
        storage.iter = 1
        storage.put_scalar("x", 2.0)
        writer.write()
    again = JSONWriter(tmp_path / "metrics.json")
    again.load_state_dict(state)
    assert [e["x"] for e in lines(tmp_path / "metrics.json")] == [1.0]


def test_images_reach_every_tensorboard_writer(tmp_path):
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    writers = [TensorboardXWriter(tmp_path / "a"), JSONWriter(tmp_path / "m.json")]
    with EventStorage() as storage:
        storage.put_image("seen", torch.rand(3, 4, 4))
        for writer in writers:
            writer.write()
            writer.close()
    events = reader.EventAccumulator(str(tmp_path / "a"))
    events.Reload()
    assert events.Tags()["images"] == ["seen"]


def test_the_printer_says_losses_metrics_times_and_the_rate(caplog):
    with caplog.at_level(logging.INFO, "loopwright.log.events"), EventStorage() as storage:
        for storage.iter in range(40):
            storage.put_scalars(loss_cls=2.0, time=0.5, data_time=0.1)
            storage.put_scalar("[metric]acc", 0.25)
            storage.put_scalar("lr", 0.001, smoothing_hint=False)
        CommonMetricPrinter(max_iter=100).write()
        assert storage.latest()["eta_seconds"] == (30.0, 39)
    (line,) = [r.getMessage() for r in caplog.records]
    assert line.startswith("eta: 0:00:30  iter: 39  loss_cls: 2  [metric]acc: 0.25  time: 0.5000")
    assert line.endswith("last_data_time: 0.1000  lr: 0.001")


def test_the_printer_may_write_twice_in_an_iteration_without_times_and_ends_quietly(caplog):
    printer = CommonMetricPrinter(max_iter=10)
    with caplog.at_level(logging.INFO, "loopwright.log.events"), EventStorage() as storage:
        for storage.iter in (3, 3, 4, 4):
            printer.write()
        said = len(caplog.records)
        storage.iter = 10
        printer.write()
        assert len(caplog.records) == said == 4


def test_the_printer_leaves_an_unsmoothed_loss_as_it_is(caplog):
    with caplog.at_level(logging.INFO, "loopwright.log.events"), EventStorage() as storage:
        for storage.iter in range(5):
            storage.put_scalar("my_loss", float(storage.iter), smoothing_hint=False)
        CommonMetricPrinter().write()
    assert "my_loss: 4" in caplog.text


def test_a_writer_of_a_users_own_reads_the_current_storage():
    seen = []

    class Mine(EventWriter):
        def write(self):
            seen.append(get_event_storage().latest()["x"])

    with EventStorage() as storage:
        storage.put_scalar("x", 1.0)
        Mine().write()
        Mine().close()
    assert seen == [(1.0, 0)]
