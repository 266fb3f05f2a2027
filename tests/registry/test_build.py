"""Building says the config's path, file and line for every mistake, and changes no config."""

import pytest

from loopwright.config import Config
from loopwright.registry import BuildError, Registry
from loopwright.registry.whereabouts import building


class Cat:
    def __init__(self, name, lives=9):
        self.name, self.lives = name, lives


def zoo() -> Registry:
    animals = Registry("animal", scope="zoo")
    animals.register_module(module=Cat)
    return animals


def test_the_config_wins_over_defaults_and_stays_as_it_was():
    cfg = {"type": "Cat", "lives": 7}
    cat = zoo().build(cfg, name="Tom", lives=1)
    assert (cat.name, cat.lives) == ("Tom", 7)
    assert cfg == {"type": "Cat", "lives": 7}


def test_a_class_or_function_may_stand_for_a_name():
    assert zoo().build({"type": Cat, "name": "Tom"}).name == "Tom"
    assert zoo().build({"type": lambda size: size * 2, "size": 4}) == 8


def test_a_default_that_a_class_does_not_take_is_left_out():
    assert zoo().build({"type": "Cat", "name": "Tom"}, colour="red").name == "Tom"


@pytest.mark.parametrize(
    ("cfg", "message"),
    [
        (
            {"type": "Cat", "name": "Tom", "live": 3},
            "takes no argument 'live'; did you mean 'lives'",
        ),
        ({"type": "Cat"}, "needs 'name', got none"),
        ({"name": "Tom"}, "needs a 'type', got only name"),
        ("Cat", "built from a dict with 'type', got 'Cat'"),
        ({"type": 3}, "type must be a name or a class, got 3"),
    ],
)
def test_arguments_that_do_not_fit_are_told(cfg, message):
    with pytest.raises(BuildError, match=message):
        zoo().build(cfg)


def test_a_mistake_is_told_with_path_file_and_line(tmp_path):
    file = tmp_path / "pets.py"
    file.write_text("home = dict(\n    pet=dict(\n        type='Cat',\n        nme='Tom'))\n")
    cfg = Config.fromfile(str(file))
    with building(cfg), pytest.raises(BuildError) as caught:
        zoo().build(cfg["home"]["pet"])
    assert "home.pet.nme" in str(caught.value)
    assert "pets.py:4" in str(caught.value)
    assert "did you mean 'name'" in str(caught.value)


def test_an_error_of_the_constructor_itself_says_what_was_being_built():
    def fail(size):
        raise RuntimeError("no")

    with pytest.raises(RuntimeError) as caught:
        zoo().build({"type": fail, "size": 1})
    assert any("while building fail" in note for note in caught.value.__notes__)
