"""YAML, JSON and TOML: values, places, inheritance, faults."""

import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from loopwright.config import Config, ConfigError

documents = st.dictionaries(
    st.text(max_size=5).filter(lambda key: "{{" not in key and key not in RESERVED),
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False)
        | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner),
        max_leaves=12,
    ),
    max_size=4,
)
RESERVED = {"_base_", "_deprecation_", "filename", "text", "pretty_text", "env_variables"}


@given(documents, st.sampled_from([None, 2]), st.booleans())
def test_json_is_read_as_the_standard_module_reads_it(value, indent, ascii_only):
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    assert Config.fromstring(text, ".json") == json.loads(text)


@given(documents)
def test_yaml_is_read_as_the_safe_loader_reads_it(value):
    text = yaml.safe_dump(value, allow_unicode=True)
    assert Config.fromstring(text, ".yaml") == yaml.safe_load(text)


@given(st.text(max_size=40), st.sampled_from([".json", ".yaml", ".toml", ".py"]))
def test_any_text_is_a_config_or_a_clear_error(text, suffix):
    try:
        Config.fromstring(text, suffix)
    except ConfigError as error:
        assert "<string>" in str(error)  # noqa: PT017


def test_every_key_of_a_data_file_has_its_line(tmp_path):
    (tmp_path / "a.yaml").write_text("a: 1\nb:\n  c: [x,\n   y]\n  d: {e: 2}\n")
    (tmp_path / "a.json").write_text('{"a": 1,\n "b": {"c": [\n  {"d": 1}]}}\n')
    (tmp_path / "a.toml").write_text(
        "a = 1\n[b]\nc = 2\n[[d]]\ne = 3\n[[d]]\ne = 4\n[b.f]\ng = 1\n"
    )
    cfg = Config.fromfile(tmp_path / "a.yaml")
    assert [cfg.origin(p).line for p in ("a", "b.c", "b.d.e")] == [1, 3, 5]
    cfg = Config.fromfile(tmp_path / "a.json")
    assert [cfg.origin(p).line for p in ("a", "b.c", "b.c.0.d")] == [1, 2, 3]
    cfg = Config.fromfile(tmp_path / "a.toml")
    assert cfg == dict(a=1, b=dict(c=2, f=dict(g=1)), d=[dict(e=3), dict(e=4)])
    assert [cfg.origin(p).line for p in ("a", "b.c", "d.1.e", "b.f.g")] == [1, 3, 7, 9]


def test_data_files_inherit_from_python_and_the_other_way_round(tmp_path):
    (tmp_path / "base.py").write_text("m = dict(a=1, b=[1, dict(c=2)])\nn = 3\n")
    (tmp_path / "a.yaml").write_text("_base_: base.py\nm: {a: 2}\nx: {{_base_.m.b}}\n")
    (tmp_path / "b.json").write_text('{"_base_": ["a.yaml"], "y": "n={{_base_.n}}", "m": {"q": 1}}')
    (tmp_path / "c.toml").write_text('_base_ = "b.json"\nz = "{{ _base_.n }}"\n[m]\na = 9\n')
    (tmp_path / "d.py").write_text("_base_ = 'c.toml'\nw = _base_.x[1].c\n")
    assert Config.fromfile(tmp_path / "d.py") == dict(
        m=dict(a=9, b=[1, dict(c=2)], q=1), n=3, x=[1, dict(c=2)], y="n=3", z=3, w=2
    )


def test_delete_works_in_yaml(tmp_path):
    (tmp_path / "base.yaml").write_text("m: {a: 1, b: 2}\n")
    (tmp_path / "child.yaml").write_text("_base_: ./base.yaml\nm: {_delete_: true, c: 3}\n")
    assert Config.fromfile(tmp_path / "child.yaml") == dict(m=dict(c=3))


def test_anchors_and_merge_keys_work():
    text = "a: &a {x: 1, y: 1}\nb: &b {y: 2}\nc: {<<: [*b, *a], z: 3}\nd: {<<: *a, x: 0}\n"
    cfg = Config.fromstring(text, ".yml")
    assert cfg.c == dict(x=1, y=2, z=3)
    assert cfg.d == dict(x=0, y=1)
    cfg.a.x = 9
    assert cfg.d.x == 0


def test_an_empty_yaml_file_is_an_empty_config():
    assert Config.fromstring("# nothing\n", ".yaml") == {}


@pytest.mark.parametrize(
    ("text", "suffix", "message"),
    [
        ("a: 1\nb: !x 2\n", ".yaml", "tag '!x' is not plain data (<string>.yaml:2)"),
        ("a: 1\n b: 2\n", ".yaml", "YAML: "),
        ('{"a": 1\n "b": 2}', ".json", "wanted ',' or '}'"),
        ('{"a": tru}', ".json", "wanted a value, got 'tru}' (<string>.json:1)"),
        ("a = \n", ".toml", "TOML: "),
        ("[1]", ".json", "a config is a dict, got list"),
    ],
)
def test_faults_say_what_was_wanted_and_where(text, suffix, message):
    with pytest.raises(ConfigError) as caught:
        Config.fromstring(text, suffix)
    assert message in str(caught.value)
