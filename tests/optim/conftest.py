"""The reference vectors, found by kind, so that further files can simply be dropped in."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

VECTORS = Path(__file__).parent.parent / "golden" / "vectors"


def load(kind: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Every case of every file of a kind, with the file's meta."""
    found = []
    for path in sorted(VECTORS.glob(f"{kind}*.json")):
        file = json.loads(path.read_text())
        found += [(case, file.get("meta", {})) for case in file["cases"]]
    return found


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that takes `sched_case`, `groups_case` or `traj_case` runs for each."""
    for fixture, kind in (
        ("sched_case", "sched_"),
        ("groups_case", "param_groups"),
        ("traj_case", "optim_traj"),
    ):
        if fixture in metafunc.fixturenames:
            cases = load(kind)
            metafunc.parametrize(fixture, cases, ids=[case["id"] for case, _ in cases])


@pytest.fixture(scope="session")
def vector_models() -> ModuleType:
    """The models that the parameter group vectors speak of."""
    spec = importlib.util.spec_from_file_location("vector_models", VECTORS / "models.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
