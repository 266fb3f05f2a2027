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
