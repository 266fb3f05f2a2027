"""Every value says where it was written, whatever way it came to where it stands."""

import pickle

import pytest
from click.testing import CliRunner

from loopwright.cli.config import command
from loopwright.config import Config, ConfigError
from loopwright.config.provenance import walk_leaves

BASE = """\
lr = 0.1
milestones = [8,
              11]
pipeline = [
    dict(type='A'),
    dict(type='B', size=3),
]
head = dict(n=2,
            w=[1, 2])
"""
CHILD = """\
_base_ = './base.py'


def conv(n,
         k=3):
    return dict(type='Conv',
                n=n)


hooks = []
for name in ('x', 'y'):
    hooks.append(dict(
        name=name))
table = {n: dict(
             at=i)
         for i, n in enumerate('pq')}
rows = [dict(v=i)
        for i in range(2)]
rate = {{_base_.lr}}
milestones = [16,
              22]
pipeline = _base_.pipeline
pipeline[1].update(
    size=4)
head = dict(
    n=5,
    conv=conv(7))
late = {}
for key in ('p', 'q'):
    late[key] = 1
late['deep'] = dict(a=1)
late['deep']['a'] = 2
late.setdefault('s', 3)
grown = [1]
grown += [2]
spread = dict(**late,
              z=1)
"""


@pytest.fixture
def cfg(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "base.py").write_text(BASE)
    (tmp_path / "child.py").write_text(CHILD)
    return Config.fromfile("child.py")


def line_of(text, file="child.py"):
    """The place of the only line that holds a text."""
    lines = (CHILD if file == "child.py" else BASE).splitlines()
    (number,) = (i for i, line in enumerate(lines, 1) if text in line)
    return f"{file}:{number}"


def why(cfg, path):
    return [(step.value, str(step.origin)) for step in cfg.why(path)]


@pytest.mark.parametrize(
    ("path", "value", "text"),
    [
        ("hooks.1.name", "y", "name=name))"),
        ("table.q.at", 1, "at=i)"),
        ("rows.1.v", 1, "rows = [dict(v=i)"),
        ("rate", 0.1, "rate ="),
        ("head.conv.n", 7, "                n=n)"),
        ("late.q", 1, "late[key]"),
        ("late.s", 3, "setdefault"),
        ("spread.z", 1, "z=1"),
    ],
)
def test_a_value_made_by_a_program_has_the_line_that_wrote_it(cfg, path, value, text):
    assert why(cfg, path) == [(value, line_of(text))]


def test_a_chain_leads_from_the_base_through_the_child_to_the_command_line(cfg):
    new = cfg.with_overrides(["head.n=9"])
    assert why(new, "head.n") == [
        (2, "base.py:8"),
        (5, line_of("    n=5")),
        (9, "command line"),
    ]
    assert why(new, "head.w.1") == [(2, "base.py:9")]


def test_an_inherited_list_changed_in_place_remembers_what_it_was(cfg):
    assert why(cfg, "pipeline.1.size") == [(3, "base.py:6"), (4, line_of("    size=4)"))]
    assert why(cfg, "pipeline.0.type") == [("A", "base.py:5")]
    assert why(cfg, "late.deep.a") == [
        (1, line_of("dict(a=1)")),
        (2, line_of("late['deep']['a']")),
    ]


def test_an_element_of_a_list_has_its_own_chain(cfg):
    assert why(cfg, "milestones.1") == [(11, "base.py:3"), (22, line_of("              22]"))]
    new = cfg.with_overrides(["milestones.1=23", "milestones.1=24"])
    assert why(new, "milestones.0") == [(8, "base.py:2"), (16, line_of("milestones = [16"))]
    assert [value for value, _ in why(new, "milestones.1")] == [11, 22, 23, 24]
    assert str(new.origin("milestones.1")) == "command line"
    assert why(pickle.loads(pickle.dumps(new)), "milestones.1") == why(new, "milestones.1")


def test_elements_keep_their_places_when_others_are_added_or_deleted(cfg):
    new = cfg.with_overrides(["+milestones.2=30", "~milestones.0"])
    assert [str(new.origin(f"milestones.{i}")) for i in (0, 1)] == [
        line_of("              22]"),
        "command line",
    ]
    inner = cfg.with_overrides(["head.w.0=7"])
    assert [str(inner.origin(f"head.w.{i}")) for i in (0, 1)] == ["command line", "base.py:9"]


def test_a_list_that_grew_in_place_did_not_replace_itself(cfg):
    assert why(cfg, "grown") == [([1, 2], line_of("grown += [2]"))]


def test_merging_a_dict_of_options_into_a_list_says_so(cfg):
    cfg.merge_from_dict({"pipeline.1.size": 9})
    assert why(cfg, "pipeline.1.size")[-2:] == [
        (4, line_of("    size=4)")),
        (9, "merge_from_dict"),
    ]


def test_every_leaf_of_a_config_and_of_its_overrides_has_a_place(cfg):
    new = cfg.with_overrides(["+a.b=[1,{c: 2}]", "milestones=[1]", "+pipeline.0.x=(1,2)"])
    for path in ("a.b.0", "a.b.1.c", "milestones.0", "pipeline.0.x.1"):
        assert str(new.origin(path)) == "command line"


def test_differences_tell_the_place_of_each_side(cfg):
    text = Config.diff(cfg, cfg.with_overrides(["milestones.1=23", "~head.n"]))
    assert f"milestones.1\n  - 22  ({line_of('              22]')})\n  + 23  (command line)" in text
    assert f"head.n\n  - 5  ({line_of('    n=5')})\n  + —" in text


def test_a_key_with_a_dot_is_told_as_it_is_written_on_the_command_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.py").write_text("keys = {\n    'norm.a': dict(mult=0),\n    'it\\'s': 1}\n")
    cfg = Config.fromfile("a.py")
    path = "keys.'norm.a'.mult"
    assert path in dict(walk_leaves(cfg._cfg_dict))
    assert why(cfg, path) == [(0, "a.py:2")]
    text = Config.diff(cfg, cfg.with_overrides([f"{path}=2"]))
    assert text == f"{path}\n  - 0  (a.py:2)\n  + 2  (command line)"
    shown = CliRunner().invoke(command, ["show", "a.py", "--origins"])
    assert shown.output == f'{path} = 0  (a.py:2)\nkeys."it\'s" = 1  (a.py:3)\n'


def lines(value, origin):
    """The line of each element of a list."""
    return [origin.item(i, len(value)).line for i in range(len(value))]


@pytest.mark.parametrize(
    ("change", "values", "places"),
    [
        ("w[1] = 9", [1, 9, 3], [2, 5, 4]),
        ("w[-1] = 9", [1, 2, 9], [2, 3, 5]),
        ("w.append(4)", [1, 2, 3, 4], [2, 3, 4, 5]),
        ("w.insert(0, 4)", [4, 1, 2, 3], [5, 2, 3, 4]),
        ("w.extend([4,\n 5])", [1, 2, 3, 4, 5], [2, 3, 4, 5, 6]),
        ("w += [4,\n 5]", [1, 2, 3, 4, 5], [2, 3, 4, 5, 6]),
        ("w.pop(0)", [2, 3], [3, 4]),
        ("del w[1]", [1, 3], [2, 4]),
        ("w[:2] = [7]", [7, 3], [5, 4]),
        ("w.reverse()", [3, 2, 1], [4, 3, 2]),
        ("w.clear()\nw.append(4)", [4], [6]),
        ("w.remove(1)", [2, 3], [1, 1]),
        ("w.sort()", [1, 2, 3], [1, 1, 1]),
        ("w.remove(1)\nw.append(4)", [2, 3, 4], [1, 1, 6]),
    ],
)
def test_an_element_that_was_changed_in_place_has_the_line_that_changed_it(change, values, places):
    cfg = Config.fromstring(f"w = [1,\n2,\n3,\n4][:3]\n{change}\n", ".py")
    assert cfg.w == values
    cfg = Config.fromstring(f"w = [\n1,\n2,\n3]\n{change}\n", ".py")
    assert cfg.w == values
    assert lines(cfg.w, cfg.origin("w")) == places


def test_an_element_remembers_what_it_replaced():
    cfg = Config.fromstring("a = dict(w=[1,\n 2])\na['w'][1] = 5\na.w[1] = 6\n", ".py")
    assert [(step.value, step.origin.line) for step in cfg.why("a.w.1")] == [(2, 2), (5, 3), (6, 4)]


def test_a_long_list_is_read_quickly_and_its_elements_lie_where_it_does():
    cfg = Config.fromstring("w = []\nfor i in range(5000):\n    w.append(i)\n", ".py")
    assert cfg.w == list(range(5000))
    assert cfg.origin("w.4999").line == 1


def test_a_place_outside_a_list_is_refused():
    with pytest.raises(ConfigError, match=r"w\.3: no element 3 in a list of 3"):
        Config.fromstring("w = [1, 2, 3]", ".py").origin("w.3")
