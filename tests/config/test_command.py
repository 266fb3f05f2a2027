"""``loopwright config show | diff | dump``."""

import subprocess
import sys

import pytest
from click.testing import CliRunner

from loopwright.cli.config import command
from loopwright.cli.plan import command as plan
from loopwright.config import Config


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "base.py").write_text("optimizer = dict(type='SGD', lr=0.1)\n")
    (tmp_path / "a.py").write_text("_base_ = 'base.py'\noptimizer = dict(lr=0.2)\nsize = (1, 2)\n")
    return tmp_path


def run(*arguments):
    return CliRunner().invoke(command, arguments)


def test_show_prints_the_merged_config(files):
    result = run("show", "a.py", "optimizer.lr=3")
    assert result.output == "optimizer = dict(type='SGD', lr=3)\nsize = (1, 2)\n"


def test_why_prints_the_chain(files):
    result = run("show", "a.py", "optimizer.lr=3", "--why", "optimizer.lr")
    assert result.output == "0.1  (base.py:1)\n0.2  (a.py:2)\n3  (command line)\n"


def test_origins_prints_a_line_a_leaf(files):
    assert "size.1 = 2  (a.py:3)" in run("show", "a.py", "--origins").output


@pytest.mark.parametrize("how", ["show a.py", "dump a.py"])
def test_options_as_scripts_write_them_override_too(how, files):
    result = run(*how.split(), "--cfg-options", "optimizer.lr=3", "size=7,8")
    assert result.output == "optimizer = dict(type='SGD', lr=3)\nsize = [7, 8]\n"


def test_options_are_told_among_the_places_of_a_value(files):
    result = run("show", "a.py", "--cfg-options", "optimizer.lr=3", "--why", "optimizer.lr")
    assert result.output.endswith("0.2  (a.py:2)\n3  (command line)\n")


def test_diff_of_a_file_with_itself_says_what_overrides_change(files):
    result = run("diff", "a.py", "a.py", "optimizer.lr=3", "--cfg-options", "+optimizer.eps=1")
    assert result.exit_code == 1
    assert result.output == (
        "optimizer.lr\n  - 0.2  (a.py:2)\n  + 3  (command line)\n"
        "optimizer.eps\n  - —\n  + 1  (command line)\n"
    )


def test_a_typo_ends_with_2_and_the_nearest_key(files):
    result = run("show", "a.py", "optimizer.lrr=3")
    assert result.exit_code == 2
    assert "did you mean 'optimizer.lr'" in result.output


def test_diff_shows_both_sides_and_ends_with_1_when_they_differ(files):
    result = run("diff", "base.py", "a.py")
    assert result.exit_code == 1
    assert "optimizer.lr\n  - 0.1  (base.py:1)\n  + 0.2  (a.py:2)\n" in result.output
    assert "size.0\n  - —\n  + 1  (a.py:3)\n" in result.output
    assert run("diff", "a.py", "a.py").exit_code == 0


def test_dump_writes_one_file_that_reads_back(files):
    assert run("dump", "a.py", "-o", "one.py").exit_code == 0
    assert Config.fromfile("one.py") == Config.fromfile("a.py")
    assert run("dump", "a.py", "--format", "yaml").output.startswith("optimizer:\n  type: SGD\n")


def test_out_of_reach_needs_trust(files):
    (files / "b.py").write_text("x = (lambda: 1)()\n")
    assert "--trust-config" in run("show", "b.py").output
    assert run("show", "b.py", "--trust-config").output == "x = 1\n"


def test_a_library_folder_can_be_given(files):
    (files / "lib").mkdir()
    (files / "lib" / "x.py").write_text("y = 1\n")
    (files / "c.py").write_text("_base_ = 'thing::x.py'\n")
    assert run("show", "c.py", "--library", "thing=lib").output == "y = 1\n"


def test_a_library_without_its_folder_is_an_error(files):
    result = run("show", "a.py", "--library", "thing")
    assert result.exit_code == 2
    assert "--library 'thing' is not NAME=FOLDER" in result.output


def test_plans_know_the_same_libraries_and_options(files):
    (files / "lib").mkdir()
    (files / "lib" / "x.py").write_text("train_cfg = dict(by_epoch=False, max_iters=7)\n")
    (files / "c.py").write_text("_base_ = 'thing::x.py'\n")
    words = ["c.py", "--library", "thing=lib", "--no-model", "--cfg-options", "work_dir=there"]
    result = CliRunner().invoke(plan, words)
    assert result.exit_code == 0
    assert "iterations                    7" in result.output


def test_reading_a_config_does_not_import_torch():
    code = (
        "import sys, loopwright.config, loopwright.cli.config\n"
        "loopwright.config.Config.fromstring('from torch import nn\\nx = nn.ReLU', '.py').dump()\n"
        "sys.exit('torch' in sys.modules or 'yaml' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
