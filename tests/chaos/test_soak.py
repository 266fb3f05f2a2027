"""Long runs neither grow nor drift; the whole million is `benchmarks/soak.py`."""

import importlib.util
from pathlib import Path

import pytest

FILE = Path(__file__).parents[2] / "benchmarks" / "soak.py"


@pytest.fixture
def soak():
    found = importlib.util.spec_from_file_location("soak_benchmark", FILE)
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module.soak


def test_counters_and_lr_are_exact_near_ten_million(soak, tmp_path):
    told = soak(str(tmp_path), iters=400, start=9_999_600)
    assert told["iter_exact"]
    assert told["lr_error"] < 1e-9


@pytest.mark.slow
def test_a_long_run_does_not_grow(soak, tmp_path, figure):
    told = soak(str(tmp_path), iters=100_000, start=0)
    figure(f"soak: {told}")
    assert told["iter_exact"]
    assert told["lr_error"] < 1e-9
    assert told["rss_growth_mb"] < 10
    assert max(told["checkpoint_bytes"]) - min(told["checkpoint_bytes"]) < 2000
