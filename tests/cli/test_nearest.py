"""A misspelt path or value on the command line is answered with what is near, and where it is."""

import pytest
from click.testing import CliRunner

from loopwright.cli.main import main


def said(*words):
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 2
    return done.output


@pytest.mark.parametrize(
    "words",
    [
        ("runs", "work_dir"),
        ("report", "work_dir"),
        ("compare", "work_dirs", "work_dir"),
        ("fingerprint", "show", "work_dir"),
    ],
)
def test_a_misspelt_folder_is_answered_with_the_nearest(words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "work_dirs").mkdir()
    assert "Did you mean 'work_dirs'" in " ".join(said(*words).split())


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("+p=[1,2", "override '+p=[1,2': value '[1,2': wanted a comma or ] at character 5"),
        ("a.b={c:1", "override 'a.b={c:1': value '{c:1': wanted a comma or } at character 5"),
        ("a.b='x", 'override "a.b=\'x": value "\'x": wanted \' at character 3'),
    ],
)
def test_a_value_that_does_not_end_names_its_key(override, message, tmp_path):
    (tmp_path / "base.py").write_text("a = dict(b=1)\n")
    assert message in said("config", "show", str(tmp_path / "base.py"), override)


def test_a_folder_for_a_config_is_answered_with_one_that_lies_in_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "'.' is a folder." in said("plan", ".")
    (tmp_path / "base.py").write_text("a = 1\n")
    assert "'.' is a folder. Did you mean './base.py'?" in said("plan", ".")


def test_validating_without_a_checkpoint_makes_no_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "base.py").write_text("model = dict(type='Linear')\n")
    assert "no checkpoint in work_dirs/base: give --checkpoint PATH" in said("val", "base.py")
    assert [path.name for path in tmp_path.iterdir()] == ["base.py"]
