"""No code in data: the source tree neither unpickles, evaluates, loads unsafely, nor shells out.

Two modules are doors that a user opens by name: they run what a config or a pickle says.
"""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "loopwright"
DOORS = ("config/trusted.py", "checkpoint/trusted.py")
FILES = sorted(SOURCE.rglob("*.py"))

MODULES = {
    "pickle", "_pickle", "cPickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "code",
    "codeop", "copyreg", "runpy", "pty",
}  # fmt: skip
BUILTINS = {"eval", "exec", "compile", "__import__", "execfile"}
SHELL = {
    "os.system", "os.popen", "os.execv", "os.execve", "os.execvp", "os.execl", "os.spawnv",
    "os.spawnl", "subprocess.getoutput", "subprocess.getstatusoutput", "commands.getoutput",
}  # fmt: skip
YAML = {"yaml.load", "yaml.load_all", "yaml.unsafe_load", "yaml.full_load", "yaml.unsafe_load_all"}
UNSAFE_BY_NAME = {"_load_from_bytes", "gather_object", "all_gather_object", "broadcast_object_list",
                  "scatter_object_list", "add_safe_globals"}  # fmt: skip
LOADERS = {"torch.load": ("weights_only", True), "np.load": ("allow_pickle", False),
           "numpy.load": ("allow_pickle", False)}  # fmt: skip


def dotted(node: ast.AST) -> str:
    """``torch.load`` for that attribute; empty for anything that is no plain name."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        head = dotted(node.value)
        return f"{head}.{node.attr}" if head else ""
    return ""


def keyword(call: ast.Call, name: str):
    """The constant given for a keyword, or None."""
    for given in call.keywords:
        if given.arg == name and isinstance(given.value, ast.Constant):
            return given.value.value
    return None


def findings(source: str) -> list[str]:
    """Every way to run data that this source holds."""
    found = []
    tree = ast.parse(source)
    torchs = {"torch", *torch_aliases(tree)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = {alias.name.partition(".")[0] for alias in node.names}
            found += [f"{node.lineno}: imports {name}" for name in names & MODULES]
        elif isinstance(node, ast.ImportFrom):
            names = {alias.name for alias in node.names}
            if (node.module or "").partition(".")[0] in MODULES:
                found.append(f"{node.lineno}: imports from {node.module}")
            full = {f"{node.module}.{name}" for name in names}
            found += [f"{node.lineno}: imports {n}" for n in full & (SHELL | YAML | set(LOADERS))]
        elif isinstance(node, ast.Call):
            found += [f"{node.lineno}: {told}" for told in call_findings(node, torchs)]
    return found


def torch_aliases(tree: ast.AST):
    """Names this file gives to torch or a part of it (our own ``dist`` sends no pickles)."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (a.asname for a in node.names if a.asname and a.name.startswith("torch"))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("torch"):
            yield from (alias.asname or alias.name for alias in node.names)


def call_findings(call: ast.Call, torchs: set[str]) -> list[str]:
    """What is wrong with one call."""
    name = dotted(call.func)
    last = call.func.attr if isinstance(call.func, ast.Attribute) else name
    told = []
    if name in BUILTINS or name.startswith("builtins."):
        told.append(f"calls {name}")
    if name in SHELL or name in YAML:
        told.append(f"calls {name}")
    if last in UNSAFE_BY_NAME and name.partition(".")[0] in torchs:
        told.append(f"calls {name}, which pickles")
    if name in LOADERS:
        option, safe = LOADERS[name]
        if keyword(call, option) is not safe:
            told.append(f"calls {name} without {option}={safe}")
    if keyword(call, "shell") is True:
        told.append(f"calls {name} with shell=True")
    if keyword(call, "allow_pickle") is True or keyword(call, "weights_only") is False:
        told.append(f"calls {name} unsafely")
    return told


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.relative_to(SOURCE).as_posix())
def test_a_module_runs_nothing_from_data(path):
    if path.relative_to(SOURCE).as_posix() in DOORS:
        return
    assert findings(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("door", DOORS)
def test_the_doors_are_where_they_are_said_to_be_and_really_doors(door):
    path = SOURCE / door
    if not path.exists():
        pytest.skip(f"{door} is not written yet")
    assert findings(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "source",
    [
        "import pickle", "from pickle import loads", "import marshal", "eval('1')", "exec(x)",
        "compile(x, y, 'exec')", "__import__('os')", "os.system('x')", "os.popen('x')",
        "from os import system", "subprocess.run('x', shell=True)", "yaml.load(x)",
        "yaml.full_load(x)", "torch.load(x)", "torch.load(x, weights_only=False)",
        "torch.load(x, weights_only=flag)", "np.load(x)", "numpy.load(x, allow_pickle=True)",
        "import torch.distributed as dist\ndist.gather_object(x)",
        "from torch.distributed import all_gather_object\nall_gather_object(x, y)",
        "anything(x, allow_pickle=True)", "torch.distributed.all_gather_object(a, b)",
        "def f():\n    import dill", "torch.storage._load_from_bytes(x)",
    ],
)  # fmt: skip
def test_the_test_sees_each_of_them(source):
    assert findings(source)


@pytest.mark.parametrize(
    "source",
    ["import json", "torch.load(x, weights_only=True)", "np.load(x, allow_pickle=False)",
     "yaml.safe_load(x)", "re.compile(x)", "model.eval()",
     "from loopwright import dist\ndist.gather_object(x)", "subprocess.run(['git'])",
     "torch.compile(x)", "ast.literal_eval(x)"],
)  # fmt: skip
def test_what_is_harmless_passes(source):
    assert findings(source) == []
