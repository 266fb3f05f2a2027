"""What a script under test says to the terminal ends with its test."""

import logging

import pytest


@pytest.fixture(autouse=True)
def quiet_again():
    chosen = logging.getLogger("loopwright")
    before, level = list(chosen.handlers), chosen.level
    yield
    for handler in [h for h in chosen.handlers if h not in before]:
        chosen.removeHandler(handler)
        handler.close()
    chosen.setLevel(level)
