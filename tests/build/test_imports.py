"""Modules of the user's own that a config names."""

import pytest

from loopwright.build.imports import import_custom
from loopwright.config import Config, ConfigError


def test_a_misspelt_module_is_answered_with_the_nearest_and_the_line(tmp_path):
    (tmp_path / "own_parts.py").write_text("")
    file = tmp_path / "config.py"
    file.write_text("\ncustom_imports = dict(imports=['own_part'])\n")
    with pytest.raises(ConfigError, match=r"did you mean 'own_parts'\? \(.*config.py:2\)"):
        import_custom(Config.fromfile(file), str(file))


def test_a_folder_is_named_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as caught:
        import_custom({"custom_imports": {"imports": "absent_module"}}, "config.py")
    assert str(caught.value).count(str(tmp_path)) == 1
