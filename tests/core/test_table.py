"""Hooks run by priority, stably, and one that fails is named."""

import pytest

from loopwright.core import HookTable, Priority, get_priority


class Said:
    def __init__(self, name, log):
        self.name, self.log = name, log

    def before_train(self, **facts):
        self.log.append((self.name, facts))


def bind(hook, point):
    return getattr(hook, point, None)


def test_a_lower_number_runs_first_and_equals_keep_their_order():
    log = []
    table = HookTable(bind)
    for name, priority in (("c", 50), ("a", 10), ("d", 50), ("b", 40)):
        table.add(Said(name, log), priority)
    table.say("before_train")
    assert [name for name, _ in log] == ["a", "b", "c", "d"]


def test_a_point_that_nobody_implements_has_no_calls():
    table = HookTable(bind)
    table.add(Said("a", []), 50)
    assert table["after_train"] == ()


def test_facts_reach_the_hooks_by_name():
    log = []
    table = HookTable(bind)
    table.add(Said("a", log), 50)
    table.say("before_train", batch_idx=3)
    assert log == [("a", {"batch_idx": 3})]


def test_a_failing_hook_is_named_and_its_error_goes_on():
    class Broken:
        def before_train(self):
            raise ValueError("broken")

    table = HookTable(bind)
    table.add(Broken(), 50)
    with pytest.raises(ValueError, match="broken") as caught:
        table.say("before_train")
    assert any("Broken" in n and "before_train" in n for n in caught.value.__notes__)


def test_endings_reach_every_hook_even_where_one_fails():
    class Broken:
        def after_run(self):
            raise ValueError("broken")

    class Closing:
        closed = False

        def after_run(self):
            self.closed = True

    closing, table = Closing(), HookTable(bind)
    table.add(Broken(), 10)
    table.add(closing, 50)
    errors = table.say_all("after_run")
    assert closing.closed
    assert [str(e) for e in errors] == ["broken"]


def test_a_removed_hook_is_silent():
    log = []
    table, hook = HookTable(bind), Said("a", log)
    table.add(hook, 50)
    table.remove(hook)
    table.say("before_train")
    assert log == []


def test_priorities_have_mmengines_numbers():
    assert {p.name: int(p) for p in Priority} == {
        "HIGHEST": 0,
        "VERY_HIGH": 10,
        "HIGH": 30,
        "ABOVE_NORMAL": 40,
        "NORMAL": 50,
        "BELOW_NORMAL": 60,
        "LOW": 70,
        "VERY_LOW": 90,
        "LOWEST": 100,
    }


@pytest.mark.parametrize(
    ("bad", "kind"), [("NORMALL", ValueError), (101, ValueError), (1.5, TypeError)]
)
def test_a_priority_that_is_none_is_refused(bad, kind):
    with pytest.raises(kind):
        get_priority(bad)


def test_a_misspelt_priority_says_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'NORMAL'"):
        get_priority("NORMALL")
