"""EventStorage: puts are unread, reading is one transfer, memory and state are bounded."""

import gc
import json
import threading
import warnings

import numpy as np
import psutil
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from loopwright.log import EventStorage, get_event_storage, has_event_storage


class CountReads(TorchDispatchMode):
    """Counts operations that read a scalar from its device, and all operations."""

    def __init__(self):
        super().__init__()
        self.reads, self.ops = 0, 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.ops += 1
        self.reads += "_local_scalar_dense" in str(func) or "_to_copy" in str(func)
        return func(*args, **(kwargs or {}))


def test_twenty_scalars_an_iteration_cost_no_operation_until_they_are_read():
    storage = EventStorage()
    losses = {f"loss_{i}": torch.tensor(float(i)) for i in range(20)}
    with CountReads() as count:
        for storage.iter in range(50):
            storage.put_dict(losses, "train")
        assert count.ops == 0
        assert storage.latest()["train/loss_7"] == (7.0, 49)
        assert count.reads == 0
        assert count.ops <= 2  # one stack for a thousand values


def test_a_tensor_with_a_graph_is_detached_when_put():
    storage = EventStorage()
    weight = torch.ones(1000, requires_grad=True)
    loss = weight.sum()
    storage.put_dict({"loss": loss})
    storage.put_scalar("other", loss)
    for _, _, mapping in storage._pending:
        assert all(value.grad_fn is None for value in mapping.values())
    assert storage.latest()["loss"] == (1000.0, 0)


def test_a_scalar_put_alone_keeps_its_value_when_the_tensor_changes_in_place():
    storage, total = EventStorage(), torch.tensor(1.0)
    storage.put_scalar("total", total)
    total += 5
    assert storage.latest()["total"] == (1.0, 0)


def test_outputs_that_the_next_step_overwrites_are_copied_when_asked_for():
    storage, output = EventStorage(), torch.tensor(0.0)
    storage.copies = True
    for storage.iter in range(3):
        output.fill_(storage.iter)
        storage.put_dict({"loss": output, "lr": 0.1})
    assert storage.history("loss").values() == [(0.0, 0), (1.0, 1), (2.0, 2)]


def test_every_dtype_and_shape_of_one_element_is_read():
    storage = EventStorage()
    given = {
        "half": torch.tensor(0.5, dtype=torch.bfloat16),
        "row": torch.tensor([2.0]),
        "int": torch.tensor(2**53 - 1),
        "bool": torch.tensor(True),
        "numpy": np.float64(3.5),
        "python": 4,
    }
    storage.put_dict(given)
    read = {name: value for name, (value, _) in storage.latest().items()}
    assert read == {
        "half": 0.5,
        "row": 2.0,
        "int": 2**53 - 1,
        "bool": 1.0,
        "numpy": 3.5,
        "python": 4,
    }


def test_what_is_no_scalar_is_counted_with_one_warning_and_the_rest_is_kept():
    storage = EventStorage()
    storage.iter = 3
    storage.put_dict({"boxes": torch.ones(2, 4), "loss": 1.0}, "train")
    with pytest.warns(UserWarning, match=r"'train/boxes' put at iteration 3 .*shape \(2, 4\)"):
        storage.flush()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        storage.put_dict({"boxes": "text", "z": torch.ones((), device="meta")}, "train")
        with pytest.raises(UserWarning, match="'train/z'"):
            storage.flush()
    assert storage.dropped == {"train/boxes": 2}
    assert storage.latest() == {"train/loss": (1.0, 3)}


def test_one_scalar_of_a_wrong_kind_is_refused_at_once():
    storage = EventStorage()
    with pytest.raises(TypeError, match=r"'x': got a tensor of shape \(2,\)"):
        storage.put_scalar("x", torch.ones(2))
    with pytest.raises(TypeError, match="'x': got 'high', wanted a number"):
        storage.put_scalar("x", "high")
    assert storage.latest() == {}


def test_a_changed_hint_is_refused_and_nothing_is_stored():
    storage = EventStorage()
    storage.put_scalar("lr", 0.1, smoothing_hint=False)
    with pytest.raises(ValueError, match="smoothing_hint=False before"):
        storage.put_scalar("lr", 0.2)
    assert storage.history("lr").values() == [(0.1, 0)]


def test_smoothed_names_give_the_median_over_the_last_iterations():
    storage = EventStorage()
    for storage.iter in range(30):
        storage.put_scalars(loss=float(storage.iter))
        storage.put_scalar("lr", 1.0 / (storage.iter + 1), smoothing_hint=False)
        if storage.iter % 5 == 0:
            storage.put_scalar("rare", float(storage.iter))
    latest = storage.latest_with_smoothing_hint(10)
    assert latest["loss"] == (24.5, 29)
    assert latest["lr"] == (1 / 30, 29)
    assert latest["rare"] == (22.5, 25)
    assert storage.count_samples("rare", 10) == 2
    assert storage.smoothing_hints() == {"loss": True, "lr": False, "rare": True}


def test_a_name_scope_ends_also_when_its_block_raises():
    storage = EventStorage()

    def fail_inside():
        with storage.name_scope("stage0"):
            storage.put_scalar("loss", 1.0)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_inside()
    storage.put_scalar("loss", 2.0)
    assert set(storage.latest()) == {"stage0/loss", "loss"}


def test_an_inner_scope_replaces_the_outer_one_and_gives_it_back():
    storage = EventStorage()
    with storage.name_scope("a"):
        with storage.name_scope("b"):
            storage.put_scalar("x", 1)
        storage.put_dict({"x": 2})
    assert set(storage.latest()) == {"b/x", "a/x"}


def test_a_missing_scalar_is_answered_with_the_nearest_name():
    storage = EventStorage()
    storage.put_scalar("total_loss", 1.0)
    with pytest.raises(KeyError, match="did you mean 'total_loss'"):
        storage.history("totl_loss")


def test_the_innermost_open_storage_answers_and_none_is_an_error():
    assert not has_event_storage()
    with pytest.raises(RuntimeError, match="with EventStorage"):
        get_event_storage()

    def fail_inside():
        with EventStorage() as inner:
            assert get_event_storage() is inner
            raise KeyError

    with EventStorage() as outer:
        with pytest.raises(KeyError):
            fail_inside()
        assert get_event_storage() is outer
    assert not has_event_storage()


def test_two_threads_with_storages_of_their_own_do_not_see_each_other():
    seen, both_open = {}, threading.Barrier(2)

    def train(name):
        with EventStorage() as mine:
            both_open.wait(10)
            seen[name] = get_event_storage() is mine
            both_open.wait(10)

    threads = [threading.Thread(target=train, args=(n,)) for n in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == {"a": True, "b": True}


def test_a_helper_thread_finds_the_only_open_storage():
    found = []
    with EventStorage() as storage:
        thread = threading.Thread(target=lambda: found.append(get_event_storage()))
        thread.start()
        thread.join()
    assert found == [storage]


def test_values_put_while_others_are_read_are_not_lost():
    storage = EventStorage(max_pending=50)
    done = threading.Event()

    def read():
        while not done.is_set():
            storage.flush()

    reader = threading.Thread(target=read)
    reader.start()
    for storage.iter in range(5000):
        storage.put_dict({"x": 1.0})
    done.set()
    reader.join()
    assert storage.history("x").number == 5000


def test_memory_stays_flat_without_any_reader():
    storage, losses = EventStorage(), {f"l{i}": torch.tensor(1.0) for i in range(4)}

    def run(count):
        for _ in range(count):
            storage.iter += 1
            storage.put_dict(losses)
        gc.collect()
        return psutil.Process().memory_info().rss

    before = run(30_000)
    assert run(100_000) - before < 2**20
    assert len(storage._pending) <= 1025
    assert storage.history("l0").number == 130_000


def test_names_without_end_are_cut_off_and_counted():
    storage = EventStorage()
    storage.put_dict({f"loss_{i}": 1.0 for i in range(10_000)})
    storage.put_dict({f"other_{i}": 1.0 for i in range(5)})
    with pytest.warns(UserWarning, match="more than 10000 names"):
        storage.flush()
    assert len(storage.histories()) == 10_000
    assert storage.dropped == {"more than 10000 names of scalars": 5}


def test_the_state_is_plain_bounded_and_does_not_grow():
    storage = EventStorage()
    sizes = []
    for _ in range(3):
        for _ in range(3000):
            storage.iter += 1
            storage.put_dict({"loss": 1 / 3})
        sizes.append(len(json.dumps(storage.state_dict())))
    assert sizes[-1] < 2500
    assert sizes[-1] - sizes[-2] < 20


def test_restored_windows_and_totals_equal_the_uninterrupted_ones():
    whole, first, second = EventStorage(), EventStorage(), EventStorage()

    def put(storage, iterations):
        for storage.iter in iterations:
            if storage.iter % 10 == 0:
                storage.mark_epoch(storage.iter // 10)
            storage.put_dict({"loss": 1.0 / (storage.iter + 1)})
            storage.put_scalar("lr", storage.iter * 0.1, smoothing_hint=False)

    put(whole, range(40))
    put(first, range(25))
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    put(second, range(25, 40))
    assert second.state_dict() == whole.state_dict()
    assert second.latest_with_smoothing_hint(20) == whole.latest_with_smoothing_hint(20)
    assert second.history("loss").epoch.mean() == whole.history("loss").epoch.mean()


def test_loading_does_not_change_the_state_given():
    storage = EventStorage()
    storage.put_scalar("x", 1.0)
    state = storage.state_dict()
    copy = json.loads(json.dumps(state))
    fresh = EventStorage()
    fresh.load_state_dict(state)
    fresh.put_scalar("x", 2.0)
    fresh.flush()
    assert json.loads(json.dumps(state)) == copy


def test_images_beyond_sixteen_fall_off_and_are_counted():
    storage = EventStorage()
    for number in range(20):
        storage.put_image("seen", torch.full((3, 2, 2), number, dtype=torch.uint8))
    assert len(storage.images) == 16
    assert storage.dropped == {"images": 4}


def test_images_in_every_layout_become_bytes():
    storage = EventStorage()
    storage.put_image("float", torch.full((3, 2, 4), 0.5))
    storage.put_image("numpy", np.full((3, 2, 4), 200, dtype=np.uint8))
    first, second = (picture.array() for picture in storage.images.since(0))
    assert first.shape == second.shape == (2, 4, 3)
    assert (int(first[0, 0, 0]), int(second[0, 0, 0])) == (127, 200)


def test_a_histogram_counts_every_element_of_any_shape():
    storage = EventStorage()
    storage.put_histogram("weights", torch.arange(24.0).reshape(2, 3, 4), bins=4)
    storage.put_histogram("array", np.arange(10.0), bins=5)
    torch_one, numpy_one = storage.histograms.since(0)
    assert torch_one.numbers() == ([6.0, 6.0, 6.0, 6.0], 0.0, 23.0, 276.0, 4324.0)
    assert torch_one.number == 24
    assert numpy_one.numbers()[0] == [2.0] * 5


def test_a_histogram_of_what_is_not_finite_is_counted_and_harms_nothing():
    storage = EventStorage()
    with pytest.warns(UserWarning, match="'w'"):
        storage.put_histogram("w", torch.tensor([1.0, float("inf")]))
    assert storage.dropped == {"w": 1}
