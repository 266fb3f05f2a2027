"""The safe evaluator agrees with Python itself on random programs of the supported subset."""

import copy

from config_strategies import programs
from hypothesis import given, settings

from loopwright.config import Config, ConfigError

FAULTS = (TypeError, ValueError, LookupError, ArithmeticError, AssertionError, RuntimeError)


def by_python(program):
    """The names a program sets, or the fault it ends in."""
    names = {}
    try:
        exec(program, names)
    except (*FAULTS, SyntaxError) as fault:
        return fault
    names.pop("__builtins__")
    return copy.deepcopy(names)


@settings(max_examples=400)
@given(programs)
def test_the_evaluator_agrees_with_python(program):
    expected, got = by_python(program), by_us(program)
    if isinstance(got, ConfigError):
        cyclic = "contains itself" in str(got)
        assert isinstance(expected, Exception) or cyclic, f"{got}\n{program}"
        return
    assert not isinstance(expected, Exception), f"{expected!r}\n{program}"
    assert repr(got) == repr(expected), program


def by_us(program):
    try:
        return Config.fromstring(program, ".py").to_dict()
    except ConfigError as error:
        return error
