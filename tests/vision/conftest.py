"""Fixtures shared by the tests of annotations and of the command that checks them."""

import importlib.util
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def faulty():
    """The module that makes a dataset with an exact number of each fault."""
    spec = importlib.util.spec_from_file_location("faulty", Path(__file__).with_name("faulty.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
