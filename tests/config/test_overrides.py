"""Overrides: what they parse to, what they change, and what they say when they cannot."""

import argparse
import contextlib

import pytest
from config_strategies import option_paths, option_values
from hypothesis import given
from hypothesis import strategies as st

from loopwright.config import (
    Config,
    ConfigDict,
    ConfigError,
    DictAction,
    apply_overrides,
    parse_override,
)
from loopwright.config.overrides import Override


@given(st.sampled_from(["", "+"]), option_paths, option_values)
def test_an_override_parses_as_it_prints(op, path, value):
    override = Override(op, path, value)
    back = parse_override(str(override))
    assert (back.op, back.path) == (op, path)
    assert repr(back.value) == repr(value)


@given(option_paths)
def test_a_deletion_parses_as_it_prints(path):
    assert parse_override(str(Override("~", path))) == Override("~", path)


@given(st.text(max_size=20))
def test_any_text_is_an_override_or_a_clear_error(text):
    with contextlib.suppress(ConfigError):
        assert isinstance(parse_override(text), Override)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("3", 3),
        ("-3", -3),
        ("1_000", 1000),
        ("5.", 5.0),
        ("true", True),
        ("FALSE", False),
        ("None", None),
        ("none", "none"),
        ("007", "007"),
        ("r50", "r50"),
        ("", ""),
        ("a b", "a b"),
        ("'a  b'", "a  b"),
        ("'1'", "1"),
        ("8,11", [8, 11]),
        ("8,", [8]),
        ("(1,)", (1,)),
        ("[1,[2,(3,4)],x]", [1, [2, (3, 4)], "x"]),
        ("(1,2),3", [(1, 2), 3]),
        ("{a: 1, 'b c': [x]}", {"a": 1, "b c": ["x"]}),
        ("http://x/y?z=1", "http://x/y?z=1"),
        ("/path/to/x.pth", "/path/to/x.pth"),
        ("mmdet::a/b.py", "mmdet::a/b.py"),
    ],
)
def test_values(text, value):
    got = parse_override(f"a={text}").value
    assert got == value
    assert type(got) is type(value)


@pytest.mark.parametrize("text", ["[1", "(1,2", "{a:}", "'x", "[1 2", "{[1]: 2}"])
def test_a_broken_value_is_an_error(text):
    with pytest.raises(ConfigError, match="wanted"):
        parse_override(f"a={text}")


@pytest.mark.parametrize(
    "text", ["a=" + "[" * 10_000, "a=" + "{a:" * 10_000, "+" + ".".join("a" * 3000) + "=1"]
)
def test_an_override_nested_too_deeply_is_an_error(text):
    with pytest.raises(ConfigError, match="nested too deeply"):
        apply_overrides(ConfigDict(), [text])


def config():
    return ConfigDict(
        optim_wrapper=dict(optimizer=dict(type="SGD", lr=0.1)),
        pipeline=[dict(type="A"), dict(type="B", size=(1, 2))],
        custom_keys={"backbone.norm": 1, 3: "three"},
        nothing=None,
    )


def test_an_override_changes_a_copy():
    cfg = config()
    new = apply_overrides(cfg, ["optim_wrapper.optimizer.lr=1e-3", "pipeline.0.type=X"])
    assert new.optim_wrapper.optimizer == dict(type="SGD", lr=0.001)
    assert new.pipeline[0].type == "X"
    assert cfg == config()


def test_a_dict_merges_into_a_dict_unless_it_deletes():
    merged = apply_overrides(config(), ["optim_wrapper.optimizer={lr: 2}"])
    assert merged.optim_wrapper.optimizer == dict(type="SGD", lr=2)
    replaced = apply_overrides(config(), ["optim_wrapper.optimizer={_delete_: true, lr: 2}"])
    assert replaced.optim_wrapper.optimizer == dict(lr=2)


def test_plus_adds_and_tilde_deletes():
    new = apply_overrides(
        config(), ["+a.b.c=1", "~optim_wrapper", "+pipeline.2={type: C}", "~pipeline.0"]
    )
    assert new.a == dict(b=dict(c=1))
    assert "optim_wrapper" not in new
    assert [step.type for step in new.pipeline] == ["B", "C"]


def test_keys_with_dots_and_numbers_can_be_named():
    new = apply_overrides(config(), ["custom_keys.'backbone.norm'=2", "custom_keys.3=drei"])
    assert new.custom_keys == {"backbone.norm": 2, 3: "drei"}


def test_an_element_of_a_tuple_can_be_set():
    new = apply_overrides(config(), ["pipeline.1.size.0=9"])
    assert new.pipeline[1]["size"] == (9, 2)


def test_an_element_that_is_a_dict_merges_as_every_dict_does():
    new = apply_overrides(config(), ["pipeline.1={type: X}", "+pipeline.2.type=C"])
    assert new.pipeline == [dict(type="A"), dict(type="X", size=(1, 2)), dict(type="C")]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "optim_wrapper.optimizer.lrr=1",
            "no key 'optim_wrapper.optimizer.lrr'; did you mean 'optim_wrapper.optimizer.lr'?",
        ),
        (
            "optm_wrapper.optimizer.lr=1",
            (
                "no key 'optm_wrapper.optimizer.lr': there is no 'optm_wrapper'; "
                "did you mean 'optim_wrapper.optimizer.lr'?"
            ),
        ),
        ("optm_wrapper.betas=1", "did you mean 'optim_wrapper'?"),
        ("Optim_Wrapper.optimizer.lr=1", "did you mean 'optim_wrapper.optimizer.lr'?"),
        ("~optim_wraper", "did you mean 'optim_wrapper'?"),
        ("lr=1", "no key 'lr'; did you mean 'optim_wrapper.optimizer.lr'?"),
        ("size=1", "did you mean 'pipeline.1.size'?"),
        ("custom_keys.backbone.norm=1", "did you mean \"custom_keys.'backbone.norm'\"?"),
        ("zzz=1", "there are: optim_wrapper, pipeline, custom_keys"),
        ("pipeline.7.type=X", "no element 'pipeline.7': the list has 2 elements, 0 to 1"),
        ("pipeline.2.type=X", "to append one say +pipeline.2=…"),
        ("pipeline.x=1", "no element 'pipeline.x': the list has 2 elements"),
        (
            "optim_wrapper.optimizer.lr.x=1",
            (
                "no key 'optim_wrapper.optimizer.lr.x': optim_wrapper.optimizer.lr is 0.1, "
                "which has no keys"
            ),
        ),
        ("nothing.depth=3", "nothing is None, which has no keys; for a dict say nothing={depth:3}"),
        ("optim_wrapper", "override 'optim_wrapper' is not key=value"),
        ("a.b: 3", "is 'a.b=3' meant?"),
        ("a==3", "override 'a==3': one = sets a value"),
        ("~a=1", "override '~a=1': ~key deletes and takes no value"),
        ("=1", "override '=1': '' is no dotted key"),
        ("a..b=1", "override 'a..b=1': 'a..b' is no dotted key"),
        ("a=[1", "override 'a=[1': value '[1': wanted"),
    ],
)
def test_a_wrong_override_says_what_is_near(override, message):
    with pytest.raises(ConfigError) as caught:
        apply_overrides(config(), [override])
    assert message in str(caught.value)


def test_an_unknown_key_says_how_to_add_it():
    with pytest.raises(ConfigError, match=r"to add a key say \+seed=0"):
        apply_overrides(config(), ["seed=0"])


def test_a_config_knows_what_came_from_the_command_line():
    cfg = apply_overrides(Config.fromstring("a = dict(b=1)\n", ".py"), ["a.b=2", "+a.c={d: 3}"])
    assert str(cfg.origin("a.b")) == "command line"
    assert [step.value for step in cfg.why("a.b")] == [1, 2]
    assert str(cfg.origin("a.c.d")) == "command line"


def test_merge_from_dict_adds_and_reaches_into_lists():
    cfg = Config(config())
    cfg.merge_from_dict({"pipeline.0.type": "X", "new.key": 1, "optim_wrapper": dict(a=1)})
    assert cfg.pipeline[0] == dict(type="X")
    assert cfg.new == dict(key=1)
    assert cfg.optim_wrapper == dict(optimizer=dict(type="SGD", lr=0.1), a=1)
    with pytest.raises(ConfigError, match="no index"):
        cfg.merge_from_dict({"pipeline.5.type": "X"})


def test_cfg_options_follow_the_grammar_that_scripts_know():
    parser = argparse.ArgumentParser()
    parser.add_argument("--cfg-options", nargs="+", action=DictAction)
    line = ["--cfg-options", "a.b=1", 'c="[(1,2),(3,4)]"', "d='1'", "e=x,y", "f=hello world"]
    options = parser.parse_args(line).cfg_options
    assert options == {
        "a.b": 1,
        "c": [(1, 2), (3, 4)],
        "d": 1,
        "e": ["x", "y"],
        "f": "hello world",
    }
