"""The small models of this folder on the path; what a test says to the terminal ends with it."""

import logging
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def quiet_again():
    yield
    chosen = logging.getLogger("loopwright")
    for handler in list(chosen.handlers):
        chosen.removeHandler(handler)
        handler.close()
    chosen.setLevel(logging.NOTSET)
