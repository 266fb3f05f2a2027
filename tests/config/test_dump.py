"""A dumped config reads back as the same value, in the same order, with the same types."""

import collections
import json

import pytest
import yaml
from config_strategies import configs
from hypothesis import given, settings

from loopwright.config import Config, ConfigDict, ConfigError, Deferred
from loopwright.config.dump import dump


@settings(max_examples=300)
@given(configs)
def test_what_is_dumped_reads_back_as_the_same_value(values):
    text = dump(ConfigDict(values))
    back = Config.fromstring(text, ".py")
    assert ordered(back.to_dict()) == ordered(values), text


def ordered(value):
    """``repr`` with sets in one order: equal only where types, values and order are."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{ordered(k)}:{ordered(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return type(value).__name__ + "(" + ",".join(map(ordered, value)) + ")"
    if isinstance(value, set):
        return "set(" + ",".join(sorted(map(repr, value))) + ")"
    return repr(value)


def test_short_dicts_stand_on_one_line_and_long_ones_on_many():
    cfg = ConfigDict(a=dict(b=1, c=(2,)), d=dict(e="x" * 60, f="y" * 60))
    assert dump(cfg) == (
        f"a = dict(b=1, c=(2,))\nd = dict(\n    e='{'x' * 60}',\n    f='{'y' * 60}',\n)\n"
    )


def test_a_class_and_a_function_are_dumped_as_imports():
    text = dump(ConfigDict(a=collections.OrderedDict, b=dict(type=json.dumps)))
    assert text.startswith("from collections import OrderedDict\nfrom json import dumps\n")
    back = Config.fromstring(text, ".py")
    assert back.a == Deferred("collections", "OrderedDict")
    assert back.b.type.dotted == "json.dumps"


def test_two_classes_of_one_name_are_told_apart():
    values = dict(a=Deferred("one", "Net"), b=Deferred("two", "Net"), Net_1=3)
    back = Config.fromstring(dump(ConfigDict(values)), ".py")
    assert back.to_dict() == values


def test_a_module_and_an_inner_class_can_be_dumped():
    values = dict(a=Deferred("torch.nn"), b=Deferred("torch"), c=Deferred("one", "Outer.Inner"))
    back = Config.fromstring(dump(ConfigDict(values)), ".py")
    assert [back[key].dotted for key in "abc"] == ["torch.nn", "torch", "one.Outer.Inner"]


def test_keys_named_like_functions_keep_their_values():
    values = {"dict": {"a": {"b": 1}}, "list": [1], "max": 3}
    assert Config.fromstring(dump(ConfigDict(values)), ".py").to_dict() == values
    with pytest.raises(ConfigError, match="'float' is a key"):
        dump(ConfigDict({"float": 1, "x": float("inf")}))


@pytest.mark.parametrize("key", ["a-b", "class", "__x", "_base_", "filename", 3])
def test_a_key_that_no_python_file_can_set_is_an_error(key):
    with pytest.raises(ConfigError, match="cannot be a name"):
        dump({key: 1})


def test_an_object_is_refused_by_dump_but_shown_by_pretty_text():
    cfg = Config(dict(model=dict(net=object())))
    with pytest.raises(ConfigError, match="cannot hold"):
        cfg.dump()
    assert cfg.pretty_text == "model = dict(net='<object>')\n"


def test_a_local_class_is_refused():
    class Local:
        pass

    with pytest.raises(ConfigError):
        dump(ConfigDict(a=Local))


def test_json_and_yaml_hold_tuples_as_lists_and_names_as_texts():
    cfg = ConfigDict(a=(1, 2), b=dict(type=Deferred("torch.optim", "SGD")), c={3: None})
    expected = dict(a=[1, 2], b=dict(type="torch.optim.SGD"), c={3: None})
    assert yaml.safe_load(dump(cfg, ".yaml")) == expected
    assert json.loads(dump(cfg, ".json")) == {**expected, "c": {"3": None}}


def test_dump_to_a_file_writes_it_whole(tmp_path):
    cfg = Config(dict(a=dict(b=[1, (2, 3)])))
    cfg.dump(tmp_path / "c.py")
    assert [p.name for p in tmp_path.iterdir()] == ["c.py"]
    assert Config.fromfile(tmp_path / "c.py") == cfg


def test_an_unknown_suffix_is_an_error():
    with pytest.raises(ConfigError, match=r"not '\.xml'"):
        dump({}, ".xml")
