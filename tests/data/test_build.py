"""From a loader's config to a loader, and every mistake in one."""

import pytest
import torch
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from loopwright.data import (
    DataError,
    DefaultSampler,
    InfiniteSampler,
    Loader,
    StreamLoader,
    build_dataloader,
    default_collate,
    pseudo_collate,
)
from loopwright.registry import DATASETS, FUNCTIONS


def test_a_config_in_mmengine_s_words_builds_a_loader():
    cfg = {
        "dataset": {"type": "RepeatDataset", "dataset": list(range(5)), "times": 2},
        "sampler": {"type": "DefaultSampler", "shuffle": True},
        "batch_size": 4,
        "num_workers": 0,
        "collate_fn": {"type": "default_collate"},
        "drop_last": True,
    }
    before = repr(cfg)
    loader = build_dataloader(cfg, seed=7)
    assert repr(cfg) == before
    assert (len(loader), loader.batch_size, loader.sampler.seed) == (2, 4, 7)
    assert loader.collate_fn is default_collate
    assert len(loader.dataset) == 10
    assert all(len(batch) == 4 for batch in loader)


@pytest.mark.parametrize(
    ("cfg", "said"),
    [
        ({"dataset": [1], "batchsize": 2}, "no 'batchsize'; did you mean 'batch_size'"),
        ({"batch_size": 2}, "needs 'dataset'"),
        ({"dataset": []}, "list is empty"),
        ({"dataset": [1, 2], "batch_size": 3, "drop_last": True}, "no whole batch of 3 in the 2"),
        ({"dataset": [1], "batch_size": 0}, "positive int, got 0"),
        ({"dataset": [1], "num_workers": -1}, "num_workers must be"),
        ({"dataset": [1], "on_bad_sample": "ignore"}, "'stop' or 'skip', got 'ignore'"),
    ],
)
def test_a_mistake_is_said_before_the_first_batch(cfg, said):
    with pytest.raises(DataError, match=said):
        build_dataloader(cfg)


def test_fewer_samples_than_ranks_are_refused():
    with pytest.raises(DataError, match="has 3 samples for 4 ranks"):
        build_dataloader({"dataset": [1, 2, 3]}, rank=1, world=4)


def test_persistent_workers_without_workers_are_a_warning():
    with pytest.warns(UserWarning, match="num_workers=0"):
        build_dataloader({"dataset": [1], "persistent_workers": True})


def test_without_a_sampler_training_data_is_shuffled_and_test_data_is_not():
    assert build_dataloader({"dataset": [1, 2]}).sampler.shuffle
    assert not build_dataloader({"dataset": [1, 2]}, shuffle=False).sampler.shuffle
    data = type("Tests", (list,), {"test_mode": True})([1, 2])
    assert not build_dataloader({"dataset": data}).sampler.shuffle


def test_ranks_share_the_order_and_draw_the_same_for_a_sample_unless_told(drawing):
    def rows(rank, **options):
        cfg = {"dataset": drawing(8), "batch_size": 4, "shuffle": False}
        loader = build_dataloader(cfg, rank=rank, world=2, **options)
        return [row.tolist() for batch in loader for row in batch]

    assert [row[0] for row in rows(0)] == [0, 2, 4, 6]
    assert [row[0] for row in rows(1)] == [1, 3, 5, 7]
    alone = build_dataloader({"dataset": drawing(8), "batch_size": 8, "shuffle": False})
    every = [row.tolist() for row in next(iter(alone))]
    assert rows(1) == every[1::2]
    assert rows(1, diff_rank_seed=True) != every[1::2]


def test_samplers_batch_samplers_and_functions_may_be_objects_or_classes(drawing):
    sampler = InfiniteSampler(range(4), rank=0, world=1)
    assert build_dataloader({"dataset": range(4), "sampler": sampler}).sampler is sampler
    loader = build_dataloader(
        {
            "dataset": range(5),
            "sampler": {"type": DefaultSampler, "shuffle": False},
            "batch_sampler": {"type": "BatchSampler", "drop_last": True},
            "batch_size": 2,
            "collate_fn": tuple,
        }
    )
    assert (len(loader), loader.batch_size) == (2, 2)
    assert list(loader) == [(0, 1), (2, 3)]
    loader.set_position(0, 1)
    assert list(loader) == [(2, 3)]


def test_torch_s_samplers_go_by_path_and_get_what_they_name():
    cfg = {"dataset": range(6), "batch_size": 3}
    loader = build_dataloader({**cfg, "sampler": {"type": "torch.utils.data.RandomSampler"}})
    assert sorted(i for batch in loader for i in batch) == list(range(6))
    path = "torch.utils.data.DistributedSampler"
    loader = build_dataloader({**cfg, "sampler": {"type": path}}, rank=1, world=2)
    assert (loader.sampler.rank, loader.sampler.num_replicas, len(loader)) == (1, 2, 1)


def test_a_registered_collate_function_takes_arguments():
    @FUNCTIONS.register_module(name="test_scaled_collate", force=True)
    def scaled(samples, by):
        return [sample * by for sample in samples]

    cfg = {"dataset": [1, 2], "batch_size": 2, "shuffle": False}
    loader = build_dataloader({**cfg, "collate_fn": {"type": "test_scaled_collate", "by": 3}})
    assert list(loader) == [[3, 6]]
    assert build_dataloader(cfg).collate_fn is pseudo_collate


def test_an_empty_dataset_says_what_removed_its_samples(tmp_path):
    (tmp_path / "a.json").write_text('{"metainfo": {}, "data_list": [{"img_path": "x.jpg"}]}')

    @DATASETS.register_module(name="TestNoneLeft", force=True)
    class NoneLeft(DATASETS.get("BaseDataset")):
        def filter_data(self):
            return []

    cfg = {"type": "TestNoneLeft", "ann_file": "a.json", "data_root": str(tmp_path)}
    with pytest.raises(DataError, match=r"filter_cfg=.'min_size': 8. removed 1"):
        build_dataloader({"dataset": {**cfg, "filter_cfg": {"min_size": 8}}})


def test_loaders_and_iterables_are_taken_as_they_are():
    data = TensorDataset(torch.arange(6))
    adopted = build_dataloader(DataLoader(data, batch_size=2))
    assert isinstance(adopted, Loader)
    assert build_dataloader(adopted) is adopted
    assert [int(batch[0].sum()) for batch in adopted] == [1, 5, 9]
    assert list(build_dataloader([[1], [2]])) == [[1], [2]]
    with pytest.raises(DataError, match="iterable of batches, got 3"):
        build_dataloader(3)


def test_an_iterable_dataset_needs_neither_length_nor_sampler():
    class Stream(IterableDataset):
        def __iter__(self):
            return iter(range(5))

    loader = build_dataloader({"dataset": Stream(), "batch_size": 2})
    assert isinstance(loader, StreamLoader)
    assert loader.length is None
    assert list(loader) == [[0, 1], [2, 3], [4]]
    with pytest.raises(TypeError, match="no known number of batches"):
        len(loader)
    limited = build_dataloader({"dataset": Stream(), "batch_size": 2, "num_batch_per_epoch": 2})
    assert (len(limited), list(limited)) == (2, [[0, 1], [2, 3]])


def test_batches_can_be_of_one_orientation():
    class Shapes(list):
        def get_data_info(self, index):
            return {"width": 3 if index % 3 else 1, "height": 2}

    cfg = {"dataset": Shapes(range(10)), "batch_size": 2, "shuffle": False}
    loader = build_dataloader({**cfg, "batch_sampler": {"type": "AspectRatioBatchSampler"}})
    assert list(loader) == [[1, 2], [0, 3], [4, 5], [7, 8], [6, 9]]
    assert len(loader) == 5
