"""Limit threads before torch starts: more threads than free cores make it many times slower."""

import os

for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import logging  # noqa: E402
import sys  # noqa: E402

import pytest  # noqa: E402
from hypothesis import settings  # noqa: E402

# How long an example takes says how busy the machine is, not whether the code is right.
settings.register_profile("steady", deadline=None)
settings.load_profile("steady")


@pytest.fixture(autouse=True)
def own_loggers():
    """A trainer sets up the package's loggers for its process: each test finds them untouched."""
    untouched()
    yield
    untouched()


def untouched():
    """Loggers of the package as logging makes them: no level, no handler, all goes to the root."""
    logging.disable(logging.NOTSET)
    for name, logger in list(logging.root.manager.loggerDict.items()):
        if name.partition(".")[0] == "loopwright" and isinstance(logger, logging.Logger):
            for handler in list(logger.handlers):
                logger.removeHandler(handler)
                handler.close()
            if (logger.level, logger.propagate, logger.disabled) != (logging.NOTSET, True, False):
                logger.propagate, logger.disabled = True, False
                logger.setLevel(logging.NOTSET)


@pytest.fixture(autouse=True)
def own_console():
    """A test that closes the terminal silences the process's console: the next one gets its own."""
    yield
    terminal = sys.modules.get("loopwright.log.terminal")
    if terminal is not None and terminal.shared_console().quiet:
        terminal.shared_console.cache_clear()


@pytest.fixture
def figure(record_property):
    """Call it with a measured figure: it is printed at the end of the run, by any worker."""
    return lambda text: record_property("figure", text)


def pytest_terminal_summary(terminalreporter):
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, value in getattr(report, "user_properties", ()):
                if name == "figure" and getattr(report, "when", "") == "call":
                    terminalreporter.write_line(value)
