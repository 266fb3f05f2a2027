"""The safe evaluator agrees with Python itself on random programs of the supported subset."""

import copy

from hypothesis import given, settings

from loopwright.config import Config, ConfigError
from config_strategies import programs

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


@settings(max_examples=400, deadline=None)
@given(programs)
def test_the_evaluator_agrees_with_python(program):
    expected = by_python(program)
    try:
        got = Config.fromstring(program, ".py").to_dict()
    except ConfigError as error:
        cyclic = "contains itself" in str(error)
        assert isinstance(expected, Exception) or cyclic, f"{error}\n{program}"
        return
    assert not isinstance(expected, Exception), f"{expected!r}\n{program}"
    assert repr(got) == repr(expected), program
