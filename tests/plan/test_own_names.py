"""Names that the user's own modules register are known to a plan without importing them."""

import pytest

from loopwright.config import Config
from loopwright.plan import make_plan
from loopwright.plan.own import registered

PARTS = """
raise RuntimeError("imported")

@MODELS.register_module()
class OwnNet: ...

@HOOKS.register_module("ByText")
class One: ...

@HOOKS.register_module(name=["First", "Second"], force=True)
class Two: ...

@FUNCTIONS.register_module
def shrink(batch): ...

@dataclass
class NotRegistered: ...
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "own_parts.py").write_text(PARTS)
    inner = tmp_path / "own_package" / "deep"
    inner.mkdir(parents=True)
    (tmp_path / "own_package" / "__init__.py").touch()
    (inner / "__init__.py").touch()
    (inner / "nets.py").write_text("@MODELS.register_module()\nclass DeepNet: ...")
    (inner / "broken.py").write_text("class (")
    return tmp_path


def config(folder, text, imports):
    file = folder / "config.py"
    file.write_text(f"custom_imports = dict(imports={imports!r})\n{text}")
    return Config.fromfile(file)


def test_names_are_read_from_the_text_of_modules_and_packages(folder):
    cfg = config(folder, "", ["own_parts", "own_package", "not_there"])
    parts = dict.fromkeys(["OwnNet", "ByText", "First", "Second", "shrink"], "own_parts")
    assert registered(cfg._cfg_dict) == {**parts, "DeepNet": "own_package.deep.nets"}


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("OwnNett", "did you mean 'OwnNet' (in own_parts)?"),
        ("DepNet", "did you mean 'DeepNet' (in own_package.deep.nets)?"),
        ("Lineer", "did you mean 'Linear' (in torch.nn)"),
    ],
)
def test_a_misspelt_name_is_told_with_the_module_that_registers_the_right_one(
    written, told, folder
):
    cfg = config(folder, f"model = dict(type={written!r})", ["own_parts", "own_package"])
    errors = [str(f) for f in make_plan(cfg).errors]
    assert len(errors) == 1
    assert "model.type" in errors[0]
    assert told in errors[0]


@pytest.mark.parametrize("name", ["OwnNet", "DeepNet", "OfAModuleImportedByThem"])
def test_a_name_of_the_users_own_is_taken_on_trust(name, folder):
    cfg = config(folder, f"model = dict(type={name!r})", ["own_parts", "own_package"])
    assert make_plan(cfg).errors == []
