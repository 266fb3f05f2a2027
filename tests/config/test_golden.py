"""Values recorded from MMEngine 0.10.7 for small configs, one feature (or trap) each."""

import json
from pathlib import Path

import pytest
from tagging import tagged, unordered

from loopwright.config import Config
from loopwright.config.dump import dump
from loopwright.config.provenance import walk_leaves

FOLDER = Path(__file__).parents[1] / "golden" / "configs"
RECORDED = json.loads((FOLDER / "recorded.json").read_text(encoding="utf-8"))
PROGRAMS = json.loads((FOLDER / "programs.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", sorted(RECORDED))
def test_a_config_has_the_value_that_mmengine_gives_it(name, monkeypatch):
    monkeypatch.delenv("LOOPWRIGHT_TEST_UNSET", raising=False)
    packages = {"mmdet": str(FOLDER / "lib" / "mmdet")}
    cfg = Config.fromfile(FOLDER / name, packages=packages)
    assert unordered(tagged(cfg.to_dict())) == unordered(RECORDED[name])


@pytest.mark.parametrize("name", sorted(RECORDED))
def test_a_config_dumped_reads_back_and_every_leaf_has_its_place(name, monkeypatch):
    monkeypatch.delenv("LOOPWRIGHT_TEST_UNSET", raising=False)
    packages = {"mmdet": str(FOLDER / "lib" / "mmdet")}
    cfg = Config.fromfile(FOLDER / name, packages=packages)
    back = Config.fromstring(dump(cfg._cfg_dict), ".py")
    assert tagged(back.to_dict()) == tagged(cfg.to_dict())
    assert Config.diff(cfg, cfg) == Config.diff(cfg, back) == ""
    for path, leaf in walk_leaves(cfg._cfg_dict):
        assert cfg.origin(path).line > 0, path
        assert cfg.why(path)[-1].value is leaf


def test_every_golden_config_is_recorded():
    files = {path.name for path in FOLDER.iterdir() if path.is_file()}
    assert files - {"recorded.json", "programs.json"} == set(RECORDED)


@pytest.mark.parametrize("case", PROGRAMS, ids=lambda case: case["form"])
def test_a_random_program_has_the_value_that_mmengine_gives_it(case, tmp_path):
    for name, text in case["files"].items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    cfg = Config.fromfile(tmp_path / "child.py")
    assert unordered(tagged(cfg.to_dict())) == unordered(case["value"])
    assert Config.fromstring(cfg.dump(), ".py").to_dict() == cfg.to_dict()
