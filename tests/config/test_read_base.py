"""The pure-Python form: ``with read_base(): from .base import *``."""

import pytest

from loopwright.config import Config, ConfigError, Deferred


@pytest.fixture
def base(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "base.py").write_text(
        "from torch.optim import SGD\nlr = 0.1\noptimizer = dict(type=SGD, lr=lr)\n"
        "hooks = dict(timer=dict(type='T'))\n"
    )
    return tmp_path


def read(folder, text, name="child.py"):
    (folder / name).write_text(text)
    return Config.fromfile(folder / name)


HEAD = "from mmengine.config import read_base\nwith read_base():\n"


def test_star_takes_all_keys_and_the_imports_of_the_base(base):
    cfg = read(base, HEAD + "    from .base import *\nother = dict(type=SGD)\n")
    assert cfg.other.type == cfg.optimizer.type == Deferred("torch.optim", "SGD")
    assert list(cfg) == ["lr", "optimizer", "hooks", "other"]


def test_names_can_be_picked_and_renamed(base):
    cfg = read(base, HEAD + "    from .base import optimizer as opt, SGD\nx = SGD\n")
    assert set(cfg) == {"opt", "x"}


def test_a_name_that_the_base_lacks_is_an_error_with_the_nearest(base):
    with pytest.raises(ConfigError, match=r"sets no 'optimzer'; did you mean 'optimizer'"):
        read(base, HEAD + "    from .base import optimzer\n")


def test_relative_imports_climb_folders(base):
    cfg = read(base, HEAD + "    from ..base import *\nlr = 3\n", "sub/child.py")
    assert (cfg.lr, cfg.optimizer.lr) == (3, 0.1)


def test_inherited_dicts_update_deeply_and_own_dicts_do_not(base):
    cfg = read(
        base,
        HEAD + "    from .base import *\noptimizer.update(dict(lr=2))\nhooks.log = dict(n=1)\n"
        "own = dict(a=dict(b=1))\nown.update(a=dict(c=2))\nhooks.update(timer=dict(x=1))\n",
    )
    assert cfg.optimizer == dict(type=Deferred("torch.optim", "SGD"), lr=2)
    assert cfg.hooks == dict(timer=dict(type="T", x=1), log=dict(n=1))
    assert cfg.own == dict(a=dict(c=2))


def test_changes_keep_the_chain_of_places(base):
    cfg = read(base, HEAD + "    from .base import *\noptimizer.lr = 5\nlr = 7\n")
    for path in ("optimizer.lr", "lr"):
        names = [str(step.origin).rpartition("/")[2] for step in cfg.why(path)]
        assert names[0].startswith("base.py:")
        assert names[-1].startswith("child.py:")


def test_one_file_changing_a_base_does_not_change_it_for_another(base):
    (base / "one.py").write_text(HEAD + "    from .base import *\noptimizer.lr = 9\n")
    text = HEAD + "    from .one import optimizer as first\n    from .base import optimizer\n"
    cfg = read(base, text)
    assert (cfg.first.lr, cfg.optimizer.lr) == (9, 0.1)


def test_a_star_outside_read_base_is_an_error(base):
    with pytest.raises(ConfigError, match="does not say which names"):
        read(base, "from torch.optim import *\n")
    with pytest.raises(ConfigError, match="with read_base"):
        read(base, "from .base import *\n")


def test_a_missing_base_names_the_nearest_file(base):
    with pytest.raises(ConfigError, match=r"did you mean 'base\.py'"):
        read(base, HEAD + "    from .bace import *\n")


def test_a_library_config_is_found_without_importing_the_library(base, monkeypatch):
    package = base / "site" / "somelib"
    (package / ".mim" / "configs" / "net").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')\n")
    (package / ".mim" / "configs" / "net" / "a.py").write_text("model = dict(type='M')\n")
    text = HEAD + "    from somelib.configs.net.a import *\n"
    with pytest.raises(ConfigError, match=r"somelib is not installed; .*LOOPWRIGHT_CONFIG_PATH"):
        read(base, text)
    monkeypatch.syspath_prepend(str(base / "site"))
    assert read(base, text).model == dict(type="M")
    assert read(base, "_base_ = 'somelib::net/a.py'\n").model == dict(type="M", _scope_="somelib")


def test_a_library_folder_can_be_given_or_set(base, monkeypatch):
    (base / "lib" / "configs").mkdir(parents=True)
    (base / "lib" / "configs" / "a.py").write_text("x = 1\n")
    (base / "child.py").write_text("_base_ = 'thing::a.py'\n")
    assert Config.fromfile(base / "child.py", packages={"thing": str(base / "lib")}).x == 1
    monkeypatch.setenv("LOOPWRIGHT_CONFIG_PATH", f"thing={base / 'lib'}")
    assert Config.fromfile(base / "child.py").x == 1
    (base / "child.py").write_text("_base_ = 'thing::b.py'\n")
    with pytest.raises(ConfigError, match=r"thing::b\.py is not in"):
        Config.fromfile(base / "child.py")


def test_a_library_base_cannot_leave_its_folder(base):
    (base / "lib").mkdir()
    (base / "secret.py").write_text("x = 1\n")
    (base / "child.py").write_text("_base_ = 'thing::../secret.py'\n")
    with pytest.raises(ConfigError, match="is not in"):
        Config.fromfile(base / "child.py", packages={"thing": str(base / "lib")})
