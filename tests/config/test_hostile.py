"""Hostile configs: each one is refused with a clear error, and nothing happens."""

import os
import sys
from pathlib import Path

import pytest
import yaml  # noqa: F401  (loaded here, so that its import is not seen by the audit)

from loopwright.config import Config, ConfigError

FOLDER = Path(__file__).parent / "hostile"
FILES = sorted(FOLDER.iterdir())
HARMLESS = {
    "builtins.id",
    "compile",
    "open",
    "os.listdir",
    "os.scandir",
    "object.__getattr__",
    "object.__setattr__",
    "sys._getframe",
}
READ_ONLY = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0)


class Audit:
    """Notes what the interpreter is asked to do while it is on; a hook cannot be taken out."""

    def __init__(self):
        self.on = False
        self.seen = []
        sys.addaudithook(self.hook)

    def hook(self, event, args):
        if self.on and self.forbidden(event, args):
            self.seen.append((event, args))

    def forbidden(self, event, args):
        if event == "open":
            path, _, flags = args
            inside = isinstance(path, str | bytes) and str(path).startswith(str(FOLDER))
            return not inside or (flags & ~READ_ONLY) != 0
        return event not in HARMLESS


AUDIT = Audit()


def read_under_audit(path):
    AUDIT.seen, AUDIT.on = [], True
    try:
        Config.fromfile(path)
    except ConfigError as error:
        return error
    finally:
        AUDIT.on = False
    return None


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.name)
def test_a_hostile_config_is_refused_and_nothing_happens(path):
    error = read_under_audit(str(path))
    assert error is not None, "it was read"
    assert AUDIT.seen == []
    assert 0 < len(str(error)) < 2000
    assert "\n" not in str(error).strip()


def test_the_audit_sees_an_import_a_write_and_a_process(tmp_path):
    AUDIT.seen, AUDIT.on = [], True
    try:
        (tmp_path / "x").write_text("x")
        os.system("true")
        import this_module_does_not_exist  # noqa: F401
    except ImportError:
        pass
    finally:
        AUDIT.on = False
    assert {event for event, _ in AUDIT.seen} >= {"open", "os.system", "import"}


def test_an_error_of_the_evaluator_shows_line_expression_and_the_way_out():
    error = read_under_audit(str(FOLDER / "import_os_in_if.py"))
    assert "import_os_in_if.py:3" in str(error)
    assert "os.system('true')" in str(error)
    assert "--trust-config" in str(error)


def test_a_circle_of_bases_shows_the_chain():
    error = str(read_under_audit(str(FOLDER / "cycle_a.py")))
    assert error.count("cycle_a.py") >= 2
    assert "cycle_b.py" in error


def test_a_missing_base_names_the_nearest_file():
    error = str(read_under_audit(str(FOLDER / "base_is_missing.py")))
    assert "did you mean 'self_include.py'?" in error
    assert "base_is_missing.py:1" in error


def test_a_file_that_is_no_text_names_the_byte():
    assert "not UTF-8 at byte 5" in str(read_under_audit(str(FOLDER / "not_utf8.py")))


def test_a_circle_of_links_is_refused(tmp_path):
    (tmp_path / "a.py").symlink_to(tmp_path / "b.py")
    (tmp_path / "b.py").symlink_to(tmp_path / "a.py")
    with pytest.raises(ConfigError, match="cannot read"):
        Config.fromfile(tmp_path / "a.py")


def test_a_link_to_itself_as_base_is_a_circle(tmp_path):
    (tmp_path / "a.py").write_text("_base_ = './link.py'\n")
    (tmp_path / "link.py").symlink_to(tmp_path / "a.py")
    with pytest.raises(ConfigError, match="circle"):
        Config.fromfile(tmp_path / "a.py")


def test_a_pipe_is_no_config(tmp_path):
    os.mkfifo(tmp_path / "a.py")
    with pytest.raises(ConfigError, match="no regular file"):
        Config.fromfile(tmp_path / "a.py")


def test_a_large_file_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "a.py"
    with open(path, "wb") as file:
        file.truncate(10_000_000_000)
    with pytest.raises(ConfigError, match="larger than"):
        Config.fromfile(path)


def test_a_long_chain_of_bases_is_refused(tmp_path):
    for number in range(60):
        (tmp_path / f"c{number}.py").write_text(f"_base_ = './c{number + 1}.py'\n")
    (tmp_path / "c60.py").write_text("a = 1\n")
    with pytest.raises(ConfigError, match="too many files"):
        Config.fromfile(tmp_path / "c0.py")


def test_a_web_of_bases_is_read_once_each_and_bounded(tmp_path):
    for number in range(40):
        line = f"    from .w{number + 1} import *\n"
        (tmp_path / f"w{number}.py").write_text("with read_base():\n" + 2 * line)
    (tmp_path / "w40.py").write_text("a = 1\n")
    assert Config.fromfile(tmp_path / "w0.py").a == 1


@pytest.mark.parametrize(
    ("text", "suffix"),
    [
        ("x = 5.5 in range(10**12)\n", ".py"),
        ("x = round(10**4, -10**9)\n", ".py"),
        ("x = list(range(10**5))\ny = [x.insert(0, i) for i in range(10**5)]\n", ".py"),
        ("x = dict.fromkeys(range(10**5))\ny = [x.copy() for i in range(10**5)]\n", ".py"),
        ("x = '%(a)s' * 10**5 % dict(a='b' * 10**5)\n", ".py"),
        ("x = '%9999d' * 100000 % ((1,) * 100000)\n", ".py"),
        ("x = 'a' * 10**6\ny = str([x] * 100000)\n", ".py"),
        ("x = 'a' * 10**6\ny = sorted([x] * 100000)\n", ".py"),
        ("x = 'a' * 999999 + 'b'\ny = 'a' * 10**6\nz = [x in y for i in range(10**5)]\n", ".py"),
        (f"x = 0x{'f' * 300000}\n", ".py"),
        ("import " + "a." * 100_000 + "a\n", ".py"),
        ('x = f"' + "{1:9999}" * 50_000 + '"\n', ".py"),
        (".".join(["a"] * 100_000) + "=1\n", ".toml"),
        ("a=" + "9" * 10_000 + "\n", ".toml"),
        ("? " * 100_000 + "\n", ".yaml"),
        ("- " * 100_000 + "\n", ".yaml"),
        ("a: " + "[{b: " * 100_000, ".yaml"),
        ("a: " + ":".join(["59"] * 100_000) + "\n", ".yaml"),
    ],
    ids=lambda text: text[:24],
)
def test_what_would_take_all_time_or_memory_is_refused(text, suffix):
    with pytest.raises(ConfigError):
        Config.fromstring(text, suffix)


def test_blanks_in_a_template_cost_no_time():
    assert Config.fromstring('x = "{{ ' + " " * 900_000 + '"\n', ".py").x.startswith("{{")
