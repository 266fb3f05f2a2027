"""Broken samples: stop with the name of the file, or go on without them and count."""

import json

import pytest

from loopwright.data import SampleError, build_dataloader

pytestmark = pytest.mark.filterwarnings("ignore:broken sample")


def loader_of(data, **options):
    return build_dataloader({"dataset": data, "batch_size": 4, "shuffle": False, **options})


def test_by_default_a_broken_sample_stops_the_run_and_is_named(drawing):
    with pytest.raises(SampleError, match=r"sample 6 \(images/6.jpg\).*OSError: truncated") as e:
        list(loader_of(drawing(20, broken=[6])))
    assert isinstance(e.value.__cause__, OSError)


def test_skipping_puts_another_sample_there_always_the_same(drawing, sampled, tmp_path):
    def run(count, file):
        data = drawing(20, broken=[6, 9])
        options = {"on_bad_sample": "skip", "max_bad_samples": 0.1, "num_workers": count}
        loader = loader_of(data, bad_samples_file=str(file), **options)
        return sampled(loader), loader

    first, loader = run(0, tmp_path / "a" / "bad_samples.jsonl")
    second, other = run(2, tmp_path / "b" / "bad_samples.jsonl")
    assert first == second
    clean = sampled(loader_of(drawing(20)))
    rows, whole = [[row for batch in run for row in batch] for run in (first, clean)]
    assert [i for i in range(20) if rows[i] != whole[i]] == [6, 9]
    assert rows[6][0] not in (6, 9)
    assert len(loader.bad_samples) == len(other.bad_samples) == 2
    lines = (tmp_path / "b" / "bad_samples.jsonl").read_text().splitlines()
    assert [json.loads(line)["sample"] for line in lines] == [6, 9]
    assert json.loads(lines[0]) == {
        "epoch": 0,
        "sample": 6,
        "path": "images/6.jpg",
        "error": "OSError: truncated image 6",
        "replaced_by": rows[6][0],
    }


def test_each_is_named_once_over_epochs_and_resumes(drawing, tmp_path):
    options = {"on_bad_sample": "skip", "bad_samples_file": str(tmp_path / "bad.jsonl")}
    loader = loader_of(drawing(20, broken=[6]), **options)
    list(loader)
    loader.set_epoch(1)
    list(loader)
    assert (len(loader.bad_samples), loader.bad_samples.replacements) == (1, 2)
    resumed = loader_of(drawing(20, broken=[6]), **options)
    resumed.load_state_dict(loader.state_dict())
    list(resumed)
    resumed.set_epoch(2)
    list(resumed)
    assert resumed.bad_samples.replacements == 3
    assert len((tmp_path / "bad.jsonl").read_text().splitlines()) == 1


def test_more_than_one_in_a_thousand_are_too_many(drawing):
    loader = loader_of(drawing(1000, broken=[6, 9]), on_bad_sample="skip")
    with pytest.raises(SampleError, match="2 of 1000 samples are broken, more than the 1"):
        list(loader)


def test_a_dataset_without_a_whole_sample_ends_in_the_first_one_s_error(drawing):
    loader = loader_of(drawing(4, broken=range(4)), on_bad_sample="skip", max_bad_samples=1.0)
    with pytest.raises(SampleError, match="sample 0"):
        list(loader)
