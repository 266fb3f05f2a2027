"""The layers: a package imports only packages below it, and nothing goes in a circle."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "loopwright"
LAYERS = (
    ("core", "config"),
    ("registry",),
    ("dist", "files"),
    ("log",),
    ("optim", "model", "data", "evaluation", "checkpoint"),
    ("vision",),
    ("hooks",),
    ("build",),
    ("plan",),
    ("report",),
    ("runner", "trainer"),
    ("compat",),
    ("cli",),
)
LEVEL = {package: level for level, row in enumerate(LAYERS) for package in row}
WITHOUT_TORCH = ("core", "config", "registry", "report", "cli")
FLOOR = ("core", "config")


def modules():
    return sorted(SOURCE.rglob("*.py"))


def package_of(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imported(path: Path):
    """Every absolute module name that a file imports, at any depth."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: write absolute imports"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def ours(path: Path):
    for name in imported(path):
        parts = name.split(".")
        if parts[0] == "loopwright" and len(parts) > 1 and parts[1] in LEVEL:
            yield parts[1]


def test_every_package_has_its_layer():
    packages = {p.name for p in SOURCE.iterdir() if p.is_dir() and p.name != "__pycache__"}
    assert packages <= set(LEVEL)


def test_the_layers_are_drawn_for_contributors_as_they_are():
    text = (SOURCE.parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")
    drawn = [line.strip() for line in text.splitlines() if line.startswith(" " * 8)]
    rows = [tuple(line.partition("  ")[0].split(" | ")) for line in drawn]
    assert [set(row) for row in rows] == [set(row) for row in reversed(LAYERS)]


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(SOURCE)))
def test_a_module_imports_only_what_lies_below(path):
    package = package_of(path)
    if package not in LEVEL:
        return
    wrong = {n for n in ours(path) if n != package and LEVEL[n] >= LEVEL[package]}
    assert not wrong, f"{package} may not import {', '.join(sorted(wrong))}"


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(SOURCE)))
def test_the_floor_and_the_readers_do_not_import_torch(path):
    if package_of(path) in WITHOUT_TORCH:
        assert not {n for n in imported(path) if n.partition(".")[0] == "torch"}


def test_no_module_imports_itself_through_others():
    graph = {module_name(p): set(internal(p)) for p in modules()}
    state: dict[str, int] = {}

    def visit(name, trail):
        state[name] = 1
        for target in graph.get(name, ()):
            assert state.get(target) != 1, f"import cycle: {' > '.join([*trail, name, target])}"
            if target not in state:
                visit(target, [*trail, name])
        state[name] = 2

    for name in graph:
        if name not in state:
            visit(name, [])


def module_name(path: Path) -> str:
    parts = ("loopwright", *path.relative_to(SOURCE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def internal(path: Path):
    """Modules imported when this one is loaded; a package's own parts load it first."""
    known = {module_name(p) for p in modules()}
    me = module_name(path)
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and node.module in known and node.module != me:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            submodules = [name for name in names if name in known]
            yield from submodules or [node.module]
