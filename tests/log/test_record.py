"""make_record: every value put is told or counted, for each reader, whatever the hook order."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopwright.core import Progress
from loopwright.log import CustomStatistic, EventStorage, RecordSpec, make_record


def told(record):
    """Every value of a record with its iteration."""
    now = [(n, record.iter, v) for n, v in (record.scalars | record.timing).items()]
    return now + [(p.name, p.iter, p.value) for p in record.points]


def run(storage, iterations, *, period, put, spec, progress=None):
    progress = progress or Progress()
    records = []
    for storage.iter in iterations:
        progress.iter = storage.iter
        put(storage, storage.iter)
        if (storage.iter + 1) % period == 0:
            records.append(make_record(storage, progress, spec))
    return records


def test_a_dense_loss_is_told_as_its_window_median_and_its_values_are_counted():
    def put(storage, i):
        storage.put_dict({"loss": float(i)}, "train/")

    (record,) = run(EventStorage(), range(20), period=20, put=put, spec=RecordSpec(window=10))
    assert dict(record.scalars) == {"loss": 14.5}
    assert dict(record.counts) == {"train/loss": 20}
    assert (record.iter, record.points, record.empty) == (19, (), False)


def test_means_by_pattern_and_last_values_otherwise():
    def put(storage, i):
        storage.put_dict({"loss": float(i), "lr": 0.1 * i}, "train/")

    spec = RecordSpec(window=4, statistic="mean", mean_pattern=".*loss.*", offset=1)
    (record,) = run(EventStorage(), range(10), period=10, put=put, spec=spec)
    assert dict(record.scalars) == {"loss": 7.5, "lr": pytest.approx(0.9)}
    assert record.iter == 10


def test_a_scalar_put_after_the_record_at_its_iteration_is_told_next_time():
    storage, progress, spec = EventStorage(), Progress(), RecordSpec()
    records = []
    for storage.iter in range(60):
        progress.iter = storage.iter
        if (storage.iter + 1) % 20 == 0:
            records.append(make_record(storage, progress, spec))
            storage.put_scalar("late", float(storage.iter))
    records.append(make_record(storage, progress, spec))
    late = [entry for record in records for entry in told(record)]
    assert late == [("late", 19, 19.0), ("late", 39, 39.0), ("late", 59, 59.0)]


def test_a_scalar_put_every_seven_iterations_is_told_at_each_of_them():
    def put(storage, i):
        storage.put_dict({"loss": 1.0})
        if (i + 1) % 7 == 0:
            storage.put_scalar("rare", float(i))

    records = run(EventStorage(), range(100), period=20, put=put, spec=RecordSpec())
    rare = [entry for record in records for entry in told(record) if entry[0] == "rare"]
    assert rare == [("rare", i, float(i)) for i in range(6, 100, 7)]


def test_a_gradient_norm_of_every_fourth_iteration_is_summarised_with_the_loss():
    def put(storage, i):
        storage.put_dict({"loss": 1.0})
        if i % 4 == 3:
            storage.put_dict({"grad_norm": float(i)})

    records = run(EventStorage(), range(20), period=10, put=put, spec=RecordSpec())
    assert [dict(r.scalars) for r in records] == [
        {"loss": 1.0, "grad_norm": 5.0},
        {"loss": 1.0, "grad_norm": 11.0},
    ]
    assert [r.counts["grad_norm"] for r in records] == [2, 3]
    assert not any(r.points for r in records)


def test_wall_clock_figures_are_kept_apart():
    def put(storage, i):
        storage.put_dict({"time": 0.1, "data_time": 0.01, "loss": 1.0}, "train/")

    (record,) = run(EventStorage(), range(5), period=5, put=put, spec=RecordSpec())
    assert set(record.scalars) == {"loss"}
    assert set(record.timing) == {"time", "data_time"}


def test_a_record_without_news_is_empty():
    storage, progress = EventStorage(), Progress()
    storage.put_scalar("x", 1.0)
    assert not make_record(storage, progress, RecordSpec()).empty
    assert make_record(storage, progress, RecordSpec()).empty


def test_each_reader_sees_everything():
    storage, progress = EventStorage(), Progress()
    storage.put_scalar("x", 1.0)
    for reader in ("json", "tensorboard"):
        record = make_record(storage, progress, RecordSpec(reader=reader))
        assert dict(record.scalars) == {"x": 1.0}


def test_validation_takes_its_own_names_and_leaves_the_rest_for_training():
    storage, progress = EventStorage(), Progress(iter=12, epoch=1)
    storage.iter = 11
    storage.put_scalar("train/loss", 0.5)
    storage.put_scalar("val/accuracy", 90.0, smoothing_hint=False)
    val = make_record(storage, progress, RecordSpec(tag="val"))
    assert dict(val.scalars) == {"accuracy": 90.0}
    assert (val.iter, val.epoch, val.tag) == (12, 1, "val")
    train = make_record(storage, progress, RecordSpec(offset=1))
    assert dict(train.scalars) == {"loss": 0.5}
    assert train.iter == 12


def test_a_value_under_a_foreign_name_is_told_in_a_training_record():
    storage, progress = EventStorage(), Progress()
    storage.put_scalar("mine/thing", 1.0)
    storage.put_scalar("val/never_recorded", 2.0)
    record = make_record(storage, progress, RecordSpec())
    assert dict(record.scalars) == {"mine/thing": 1.0, "val/never_recorded": 2.0}


def test_points_carry_the_step_samples_and_epoch_of_their_own_iteration():
    storage, progress = EventStorage(), Progress()
    for i in range(20):
        storage.iter = progress.iter = i
        if i % 5 == 0:
            storage.mark_epoch(i // 5)
        storage.put_dict({"loss": 1.0})
        storage.optim_step, storage.samples = (i + 1) // 2, 8 * (i + 1)
        if i in (3, 11):
            storage.put_scalar("rare", 1.0)
    record = make_record(storage, progress, RecordSpec(offset=1))
    where = [(p.iter, p.epoch, p.step, p.samples) for p in record.points]
    assert where == [(4, 1, 2, 32), (12, 3, 6, 96)]
    assert (record.step, record.samples, record.epoch) == (10, 160, 4)


def test_two_values_at_one_iteration_are_both_told():
    storage, progress = EventStorage(), Progress()
    storage.iter = 3
    storage.put_scalar("x", 1.0)
    storage.put_scalar("x", 2.0)
    storage.iter = progress.iter = 9
    record = make_record(storage, progress, RecordSpec())
    assert [[(p.name, p.value) for p in g] for g in record.point_groups()] == [
        [("x", 1.0)],
        [("x", 2.0)],
    ]


def test_custom_statistics_over_a_window_the_epoch_and_the_run():
    custom = (
        CustomStatistic("loss", "max", "worst", 3),
        CustomStatistic("loss", "mean", "epoch_mean", "epoch"),
        CustomStatistic("loss", "mean", "run_mean", "global"),
        CustomStatistic("lr", "min", None, "global"),
    )
    storage, progress = EventStorage(keep=4), Progress()
    for i in range(20):
        storage.iter = progress.iter = i
        if i % 10 == 0:
            storage.mark_epoch(i // 10)
        storage.put_dict({"loss": float(i), "lr": 1.0 - 0.01 * i}, "train")
    scalars = make_record(storage, progress, RecordSpec(custom=custom)).scalars
    assert scalars["worst"] == 19.0
    assert scalars["epoch_mean"] == 14.5
    assert scalars["run_mean"] == 9.5
    assert scalars["lr"] == pytest.approx(0.81)


def test_images_come_in_one_record_of_each_reader():
    import torch

    storage, progress = EventStorage(), Progress()
    storage.put_image("seen", torch.zeros(3, 2, 2))
    storage.put_histogram("w", torch.arange(4.0), bins=2)
    first = make_record(storage, progress, RecordSpec(reader="a"))
    assert ([i.name for i in first.images], [h.name for h in first.histograms]) == (["seen"], ["w"])
    assert make_record(storage, progress, RecordSpec(reader="a")).empty
    assert len(make_record(storage, progress, RecordSpec(reader="b")).images) == 1


puts = st.lists(st.tuples(st.integers(0, 3), st.sampled_from("abc")), max_size=60)


@given(puts, st.integers(1, 9))
def test_every_value_put_is_told_or_counted(sequence, period):
    storage, progress, spec = EventStorage(), Progress(), RecordSpec()
    counted, put = {}, {}

    def account(record):
        for name, number in record.counts.items():
            counted[name] = counted.get(name, 0) + number
        latest = {n for n, *_ in told(record)}
        assert latest == set(record.counts)

    for gap, name in sequence:
        progress.iter = storage.iter = storage.iter + gap
        storage.put_scalar(name, float(storage.iter))
        put[name] = put.get(name, 0) + 1
        if (storage.iter + 1) % period == 0:
            account(make_record(storage, progress, spec))
    account(make_record(storage, progress, spec))
    assert counted == put


@given(st.integers(1, 49), st.integers(1, 12), st.sampled_from(["median", "mean"]))
def test_records_after_a_resume_equal_those_of_the_uninterrupted_run(cut, period, statistic):
    spec = RecordSpec(window=8, statistic=statistic, offset=1)

    def put(storage, i):
        if i % 10 == 0:
            storage.mark_epoch(i // 10)
        storage.optim_step, storage.samples = i + 1, 4 * (i + 1)
        storage.put_dict({"loss": 1.0 / (i + 1), "time": 0.1}, "train")
        if i % 7 == 3:
            storage.put_scalar("rare", float(i), smoothing_hint=False)

    def plain(records):
        return [(r.iter, r.epoch, r.step, r.samples, r.scalars, r.points) for r in records]

    whole = run(EventStorage(), range(50), period=period, put=put, spec=spec)
    first, second = EventStorage(), EventStorage()
    records = run(first, range(cut), period=period, put=put, spec=spec)
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    records += run(second, range(cut, 50), period=period, put=put, spec=spec)
    assert plain(records) == plain(whole)
