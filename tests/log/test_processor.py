"""LogProcessor: windows, names and lines equal those recorded from MMEngine 0.10.7."""

import json
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from loopwright.core import Progress
from loopwright.log import LogProcessor, MessageHub, make_record

GOLDEN = json.loads((Path(__file__).parents[1] / "golden/log/log_processor.json").read_text())
CASES = {case["name"]: case for case in GOLDEN["cases"]}


def runner(hub, *, iteration, epoch, length, max_iters=14, max_epochs=12):
    loader = range(length)
    return SimpleNamespace(
        message_hub=hub,
        iter=iteration,
        epoch=epoch,
        max_iters=max_iters,
        max_epochs=max_epochs,
        train_dataloader=loader,
        val_dataloader=loader,
        test_dataloader=loader,
    )


def put_iteration(storage, i):
    rates = {"lr": 0.1 / (i + 1), "data_time": 0.001 * (i + 1), "time": 0.01 * (i + 2)}
    losses = {"grad_norm": 3.0 - 0.1 * i, "loss": 2.0 / (i + 1), "loss_cls": 1.0 / (i + 2)}
    storage.put_dict({**rates, **losses, "acc": 0.05 * i}, "train")


def without_eta(text):
    return re.sub(r"eta: \S+", "eta", text)


def metrics_of(text):
    return re.split(r"  (?:val/)?data_time", text)[0]


def replay(processor, steps):
    """The calls of the recording over the same values: yields (recorded step, tag, text)."""
    hub, steps = MessageHub("golden"), iter(steps)
    storage = hub.storage
    for epoch in range(2):
        storage.mark_epoch(epoch)
        for batch in range(7):
            storage.iter = i = epoch * 7 + batch
            put_iteration(storage, i)
            if (batch + 1) % 3 == 0:
                now = runner(hub, iteration=i, epoch=epoch, length=7)
                yield next(steps), *processor.get_log_after_iter(now, batch, "train")
        now = runner(hub, iteration=(epoch + 1) * 7, epoch=epoch + 1, length=4)
        for batch in range(4):
            times = {"data_time": 0.002 * (batch + 1), "time": 0.02 * (batch + 1)}
            storage.put_dict(times, "val")
            if batch == 1:
                yield next(steps), *processor.get_log_after_iter(now, batch, "val")
        storage.put_scalar("val/set/mIoU", 0.25 * (epoch + 1), smoothing_hint=False)
        hub.update_info("val/set/table", [1, 2])
        yield next(steps), *processor.get_log_after_epoch(now, 4, "val")


@pytest.mark.parametrize("name", CASES)
def test_lines_and_values_equal_the_recorded_ones(name):
    case = CASES[name]
    processor = LogProcessor(**case["options"])
    for step, tag, text in replay(processor, case["steps"]):
        if step["call"] == "epoch":  # a validation's mean time covers that validation alone here
            assert metrics_of(text) == metrics_of(step["text"])
            continue
        assert without_eta(text) == without_eta(step["text"])
        if step["tag"] is not None:
            assert {k: pytest.approx(v, rel=1e-12) for k, v in step["tag"].items()} == tag


def test_the_mean_time_of_a_validation_covers_that_validation():
    *_, (_, tag, text) = replay(LogProcessor(), CASES["epochs"]["steps"])
    assert tag["time"] == pytest.approx(0.05)
    assert text.endswith("data_time: 0.0050  time: 0.0500")


def test_metrics_that_are_no_numbers_are_in_the_values_when_asked_for():
    hub = MessageHub("run")
    hub.storage.put_scalar("test/acc", 1.0)
    hub.update_info("test/table", {"a": 1})
    now = runner(hub, iteration=5, epoch=1, length=3)
    processor = LogProcessor()
    assert set(processor.get_log_after_epoch(now, 3, "test")[0]) == {"acc"}
    tag, text = processor.get_log_after_epoch(now, 3, "test", with_non_scalar=True)
    assert tag == {"acc": 1.0, "table": {"a": 1}}
    assert text.startswith("Epoch(test) [3/3]    acc: 1.0000")


def test_records_made_by_its_spec_hold_the_same_numbers_as_its_lines():
    hub, progress = MessageHub("run"), Progress()
    processor = LogProcessor(window_size=3)
    for i in range(8):
        hub.storage.iter = progress.iter = i
        put_iteration(hub.storage, i)
    now = runner(hub, iteration=7, epoch=0, length=8)
    tag, _ = processor.get_log_after_iter(now, 7, "train")
    record = make_record(hub.storage, progress, processor.spec("train"))
    together = dict(record.scalars) | dict(record.timing)
    assert together == {k: v for k, v in tag.items() if k not in ("iter", "epoch")}
    assert record.iter == tag["iter"] == 8


def test_two_learning_rates_stand_side_by_side():
    hub = MessageHub("run")
    hub.storage.put_dict(
        {"lr": 0.1, "base_lr": 0.2, "loss": 1.0, "time": 0.5, "data_time": 0.1}, "train"
    )
    now = runner(hub, iteration=3, epoch=0, length=12, max_iters=24, max_epochs=2)
    text = LogProcessor().get_log_after_iter(now, 3, "train")[1]
    assert text == (
        "Epoch(train) [1][ 4/12]  lr: 1.0000e-01 base_lr: 2.0000e-01  eta: 0:00:10  "
        "time: 0.5000  data_time: 0.1000  loss: 1.0000"
    )


@pytest.mark.parametrize(
    ("wishes", "message"),
    [
        ([{"data_src": "loss"}], "no method_name"),
        (
            [{"data_src": "loss", "method_name": "mean", "window_size": "foo"}],
            "'epoch' or 'global'",
        ),
        (
            [{"data_src": "a", "method_name": "mean"}, {"data_src": "a", "method_name": "max"}],
            "twice",
        ),
    ],
)
def test_a_wrong_custom_entry_is_refused_when_made(wishes, message):
    with pytest.raises(ValueError, match=message):
        LogProcessor(custom_cfg=wishes)


def test_an_epoch_window_needs_epochs():
    wish = {"data_src": "loss", "method_name": "mean", "window_size": "epoch"}
    with pytest.raises(ValueError, match="by_epoch"):
        LogProcessor(by_epoch=False, custom_cfg=[wish])
