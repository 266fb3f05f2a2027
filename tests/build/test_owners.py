"""A config that others may change: told with each of its bases, refused before it imports."""

import sys

import pytest

from loopwright.build.imports import import_custom
from loopwright.build.owners import files_of, others_in
from loopwright.config import Config, ConfigError


@pytest.fixture
def child(tmp_path):
    """A config over a base that every user may write, in a folder that they may enter."""
    tmp_path.chmod(0o755)
    (tmp_path / "base.py").write_text("model = dict(type='ReLU')\nwork_dir = 'a'\n")
    (tmp_path / "base.py").chmod(0o666)
    (tmp_path / "child.py").write_text(
        "_base_ = './base.py'\nmodel = dict(_delete_=True, type='GELU')\nwork_dir = 'b'\n"
        "custom_imports = dict(imports=['of_an_open_config'])\n"
    )
    (tmp_path / "child.py").chmod(0o644)
    (tmp_path / "of_an_open_config.py").write_text("")
    return tmp_path / "child.py"


def test_a_base_counts_also_where_its_values_were_replaced(child, monkeypatch):
    monkeypatch.chdir(child.parent)
    assert files_of(Config.fromfile("child.py")) == [str(child.with_name("base.py")), str(child)]


def test_a_file_that_others_may_write_is_told_by_default(child):
    (told,) = others_in(Config.fromfile(child))
    assert told == f"{child.with_name('base.py')} may be written by every user"


def test_in_a_folder_of_ones_own_nobody_else_can_write(child):
    child.parent.chmod(0o700)
    assert others_in(Config.fromfile(child)) == []


def test_it_is_refused_before_its_modules_are_imported(child):
    cfg = Config.fromfile(child)
    cfg.merge_from_dict({"faults.others_files": "refuse"})
    with pytest.raises(ConfigError, match=r"base.py may be written by every user"):
        import_custom(cfg, str(child))
    assert "of_an_open_config" not in sys.modules


def test_by_policy_nobody_looks(child):
    cfg = Config.fromfile(child)
    cfg["faults"] = {"others_files": "ignore"}
    assert others_in(cfg) == []
