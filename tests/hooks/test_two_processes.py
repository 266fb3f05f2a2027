"""What hooks and validation do across two processes."""

import importlib.util
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    path = HERE.parent / "dist" / "pair.py"
    spec = importlib.util.spec_from_file_location("pair_of_hooks", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    work_dir = tmp_path_factory.mktemp("pair") / "run"
    return module.run_pair(HERE / "pair_run.py", str(work_dir), "SyncBuffersHook")


def test_buffers_become_the_mean_of_both_processes(pair):
    one, two = pair
    assert one["before"] != two["before"]
    mean = [(a + b) / 2 for a, b in zip(one["before"], two["before"])]
    assert one["after"] == two["after"] == pytest.approx(mean)


def test_the_validation_loss_is_that_of_all_samples(pair):
    for process in pair:
        assert process["loss"] == pytest.approx(process["by_hand"], rel=1e-5)
