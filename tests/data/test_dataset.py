"""The base dataset, its wrappers, and pipelines that change."""

import json
from pathlib import Path

import pytest
import torch

from loopwright.data import (
    BaseDataset,
    ClassBalancedDataset,
    Compose,
    ConcatDataset,
    DataError,
    Loader,
    MultiImageMixDataset,
    RepeatDataset,
    WorkerSettings,
    fingerprint,
)
from loopwright.registry import DATASETS

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "datasets.json").read_text())


def written(folder, infos, **metainfo):
    (folder / "a.json").write_text(json.dumps({"metainfo": metainfo, "data_list": infos}))
    return {"ann_file": "a.json", "data_root": str(folder)}


@pytest.fixture
def six(tmp_path):
    infos = [{"img_path": f"{i}.jpg", "label": i} for i in range(6)]
    return written(tmp_path, infos, classes=["a"], task="x")


def test_infos_metainfo_prefixes_and_indices_are_mmengine_s(six):
    for row in GOLDEN["base"]:
        dataset = BaseDataset(**six, **{"data_prefix": {"img_path": ""}, **row["kw"]})
        told = json.loads(json.dumps(row["infos"]).replace("ROOT", six["data_root"]))
        assert [dataset.get_data_info(i) for i in range(len(dataset))] == told
        assert dataset.get_data_info(-1)["sample_idx"] == row["last"]["sample_idx"]
        assert dataset.metainfo == row["metainfo"]


def test_class_balanced_repeats_are_mmengine_s():
    for row in GOLDEN["balanced"]:
        data = type("Named", (list,), {"get_cat_ids": lambda self, i: self[i]})(row["cats"])
        dataset = ClassBalancedDataset(data, oversample_thr=row["thr"])
        assert dataset.repeat_indices.tolist() == row["indices"]
        assert len(dataset) == row["length"]


def test_changing_an_info_or_the_metainfo_changes_the_dataset_s_nowhere(six):
    for serialize in (True, False):
        dataset = BaseDataset(**six, serialize_data=serialize)
        dataset.get_data_info(0)["label"] = 99
        dataset.metainfo["classes"].append("b")
        assert dataset.get_data_info(0)["label"] == 0
        assert dataset.metainfo["classes"] == ["a"]


def test_the_class_s_metainfo_stands_between_the_arguments_and_the_file(six, tmp_path):
    names = tmp_path / "names.txt"
    names.write_text("cat\ndog\n")

    class Named(BaseDataset):
        METAINFO = {"task": "of the class", "palette": [1]}

    dataset = Named(**six, metainfo={"palette": [2], "classes": str(names)})
    assert dataset.metainfo == {"task": "of the class", "palette": [2], "classes": ["cat", "dog"]}
    assert Named.METAINFO == {"task": "of the class", "palette": [1]}


def test_a_lazy_dataset_loads_when_it_is_asked(six):
    dataset = BaseDataset(**six, lazy_init=True)
    assert not dataset._fully_initialized
    assert len(dataset) == 6
    assert dataset._fully_initialized


def test_an_entry_may_become_several_or_be_filtered(six):
    class Twice(BaseDataset):
        def parse_data_info(self, raw):
            return [{"n": raw["label"]}, {"n": raw["label"] + 10}]

        def filter_data(self):
            return [info for info in self.data_list if info["n"] % 2 == self.filter_cfg["rest"]]

    dataset = Twice(**six, filter_cfg={"rest": 0})
    assert [dataset.get_data_info(i)["n"] for i in range(len(dataset))] == [0, 10, 2, 12, 4, 14]
    assert dataset.removed == "filter_cfg={'rest': 0} removed 6"


def test_subsets_are_copies_or_in_place(six):
    for serialize in (True, False):
        dataset = BaseDataset(**six, serialize_data=serialize)
        part = dataset.get_subset([4, 0])
        assert [part.get_data_info(i)["label"] for i in range(2)] == [4, 0]
        assert len(dataset) == 6
        dataset.get_subset_(-2)
        assert [dataset.get_data_info(i)["label"] for i in range(2)] == [4, 5]
    with pytest.raises(TypeError, match="indices"):
        dataset.get_subset("first")


def test_in_training_a_sample_left_out_is_replaced_and_in_testing_it_is_an_error(six):
    def even(info):
        return info if info["label"] % 2 == 0 else None

    training = BaseDataset(**six, pipeline=[even])
    assert training[1]["label"] in (0, 2, 4)
    with pytest.raises(DataError, match="nothing for sample 1"):
        BaseDataset(**six, pipeline=[even], test_mode=True)[1]
    with pytest.raises(DataError, match="nothing for sample 0 and 3 others"):
        BaseDataset(**six, pipeline=[lambda info: None], max_refetch=3)[0]


@pytest.mark.parametrize(
    ("content", "error", "said"),
    [
        ([], DataError, "lacks data_list, metainfo"),
        ({"data_list": []}, DataError, "lacks metainfo"),
        ({"metainfo": {}, "data_list": [{"file": 1}]}, DataError, "names 'img_path'"),
    ],
)
def test_an_annotation_file_of_another_layout_is_refused(tmp_path, content, error, said):
    (tmp_path / "a.json").write_text(json.dumps(content))
    with pytest.raises(error, match=said):
        BaseDataset("a.json", data_root=str(tmp_path))


@pytest.mark.parametrize(
    ("name", "said"),
    [("", "needs an ann_file"), ("a.pkl", "convert them to JSON"), ("a.txt", "a.txt is no JSON")],
)
def test_what_is_no_json_is_not_read(tmp_path, name, said):
    (tmp_path / "a.txt").write_text("<html>")
    with pytest.raises(DataError, match=said):
        BaseDataset(name, data_root=str(tmp_path))


def test_concatenation_finds_samples_and_compares_metainfo(six, tmp_path):
    one, two = BaseDataset(**six), BaseDataset(**six, indices=[5], metainfo={"task": "y"})
    with pytest.raises(DataError, match="dataset 1 differs from the first in task"):
        ConcatDataset([one, two])
    both = ConcatDataset([one, two], ignore_keys="task")
    assert (len(both), both[6]["label"], both[-1]["label"], both[5]["label"]) == (7, 5, 5, 5)
    assert both.metainfo["task"] == "x"
    assert both.get_data_info(6)["sample_idx"] == 0
    with pytest.raises(IndexError):
        both[7]


def test_wrappers_are_built_from_nested_configs(six):
    cfg = {
        "type": "RepeatDataset",
        "times": 3,
        "dataset": {
            "type": "ConcatDataset",
            "datasets": [
                {"type": "BaseDataset", **six},
                {"type": "BaseDataset", **six, "indices": 2},
            ],
        },
    }
    dataset = DATASETS.build(cfg)
    assert isinstance(dataset, RepeatDataset)
    assert (len(dataset), dataset[8]["label"], dataset[23]["label"]) == (24, 0, 1)
    assert fingerprint(dataset) == fingerprint(DATASETS.build(cfg))


class Marked:
    def __init__(self, mark):
        self.mark = mark

    def __call__(self, info):
        return self.mark, info["label"]


@pytest.mark.parametrize("setup", [(0, False), (2, False), (2, True)])
def test_a_pipeline_is_switched_from_an_epoch_on_in_every_worker(six, setup):
    dataset = BaseDataset(**six, pipeline=[Marked("strong")])
    dataset.switch_pipeline([Marked("weak")], epoch=2)
    workers = WorkerSettings(count=setup[0], persistent=setup[1])
    loader = Loader(RepeatDataset(dataset, 1), batch_size=6, collate_fn=list, workers=workers)
    seen = []
    for epoch in range(4):
        loader.set_epoch(epoch)
        seen.append({mark for batch in loader for mark, _ in batch})
    loader.set_position(1, 0)
    seen.append({mark for batch in loader for mark, _ in batch})
    loader.close()
    assert seen == [{"strong"}, {"strong"}, {"weak"}, {"weak"}, {"strong"}]


def test_a_pipeline_put_in_place_by_hand_reaches_kept_workers(six):
    dataset = BaseDataset(**six, pipeline=[Marked("strong")])
    workers = WorkerSettings(count=1, persistent=True)
    loader = Loader(dataset, batch_size=6, collate_fn=list, workers=workers)
    first = next(iter(loader))
    dataset.pipeline = Compose([Marked("weak")])
    second = next(iter(loader))
    loader.close()
    assert (first[0][0], second[0][0]) == ("strong", "weak")


class Summed:
    """Adds the labels of two other samples."""

    def mix_with(self, dataset):
        return torch.randint(0, len(dataset), (2,)).tolist()

    def __call__(self, sample):
        others = [other["label"] for other in sample.pop("mix_results")]
        return {**sample, "mixed": others, "label": sample["label"] + sum(others)}


def test_a_transform_may_mix_in_other_samples_run_through_what_stands_before_it(six):
    def tenfold(info):
        return {**info, "label": info["label"] * 10}

    dataset = BaseDataset(**six, pipeline=[tenfold, Summed()])
    sample = dataset[3]
    assert sample["label"] == 30 + sum(sample["mixed"])
    assert all(label % 10 == 0 for label in sample["mixed"])
    assert "dataset" not in sample


def test_a_mixing_dataset_can_leave_transforms_out(six):
    inner = BaseDataset(**six)
    dataset = MultiImageMixDataset(inner, [Summed(), Marked("end")])
    assert dataset[3][0] == "end"
    dataset.update_skip_type_keys(["Summed"])
    assert dataset[3] == ("end", 3)


def test_a_pipeline_of_something_else_says_so():
    with pytest.raises(DataError, match="a dict with 'type' or a callable, got 3"):
        Compose([3])
    with pytest.raises(KeyError, match="RandomFlip"):
        Compose([{"type": "RandomFlipp"}])


@pytest.mark.parametrize("idx", [6, 99, -7])
def test_the_annotation_of_a_sample_that_is_not_there_is_an_error(idx):
    wrapped = RepeatDataset([1, 2], times=3)
    with pytest.raises(IndexError, match=f"sample {idx} of 6"):
        wrapped.get_data_info(idx)


@pytest.mark.parametrize("times", [0, -1, 2.5])
def test_a_dataset_is_repeated_a_whole_number_of_times(times):
    with pytest.raises(ValueError, match="whole number from 1"):
        RepeatDataset([1, 2], times=times)


def test_balancing_classes_needs_to_know_them():
    with pytest.raises(DataError, match=r"needs get_cat_ids.* list has none"):
        ClassBalancedDataset([1, 2], 0.5)


def test_a_concatenation_tells_where_its_datasets_end():
    assert ConcatDataset([[1, 2], [3]]).cumulative_sizes == [2, 3]
    assert ConcatDataset([[1, 2], [3]])._get_ori_dataset_idx(2) == (1, 0)
