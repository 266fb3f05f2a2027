"""Values recorded from MMEngine 0.10.7 for small configs, one feature (or trap) each."""

import json
from pathlib import Path

import pytest

from loopwright.config import Config, Deferred

FOLDER = Path(__file__).parents[1] / "golden" / "configs"
RECORDED = json.loads((FOLDER / "recorded.json").read_text(encoding="utf-8"))


def tagged(value):
    """A value as JSON that keeps tuples, sets, floats, names and non-text keys apart."""
    if isinstance(value, dict):
        return {"d": [[tagged(key), tagged(child)] for key, child in value.items()]}
    if isinstance(value, list):
        return {"l": [tagged(child) for child in value]}
    if isinstance(value, tuple):
        return {"t": [tagged(child) for child in value]}
    if isinstance(value, set):
        return {"s": sorted(map(repr, value))}
    if isinstance(value, float):
        return {"f": repr(value)}
    if isinstance(value, Deferred):
        return value.dotted
    if value is None or isinstance(value, bool | int | str):
        return value
    return {"r": repr(value)}


def unordered(value):
    """The same with the keys of dicts sorted: their order is not part of a config's value."""
    if isinstance(value, dict) and "d" in value:
        pairs = [[key, unordered(child)] for key, child in value["d"]]
        return {"d": sorted(pairs, key=repr)}
    if isinstance(value, dict):
        return {
            tag: [unordered(c) for c in body] if tag in ("l", "t") else body
            for tag, body in value.items()
        }
    return value


@pytest.mark.parametrize("name", sorted(RECORDED))
def test_a_config_has_the_value_that_mmengine_gives_it(name, monkeypatch):
    monkeypatch.delenv("LOOPWRIGHT_TEST_UNSET", raising=False)
    packages = {"mmdet": str(FOLDER / "lib" / "mmdet")}
    cfg = Config.fromfile(FOLDER / name, packages=packages)
    assert unordered(tagged(cfg.to_dict())) == unordered(RECORDED[name])


def test_every_golden_config_is_recorded():
    files = {path.name for path in FOLDER.iterdir() if path.is_file()}
    assert files - {"recorded.json"} == set(RECORDED)
