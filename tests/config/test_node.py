"""ConfigDict and Config: access, changes, copies."""

import copy
import pickle

import pytest

from loopwright.config import Config, ConfigDict, ConfigError, Deferred, Origin, origin_of


def read(tmp_path, text, name="c.py"):
    path = tmp_path / name
    path.write_text(text)
    return Config.fromfile(path)


def test_keys_are_attributes_and_dicts_inside_lists_are_too():
    cfg = ConfigDict(a=dict(b=[dict(c=1)], d=(dict(e=2),)))
    assert cfg.a.b[0].c == 1
    assert cfg.a.d[0].e == 2
    assert cfg == {"a": {"b": [{"c": 1}], "d": ({"e": 2},)}}


def test_a_missing_key_is_a_key_error_or_an_attribute_error_with_the_nearest():
    cfg = ConfigDict(optimizer=1)
    with pytest.raises(KeyError, match="did you mean 'optimizer'"):
        cfg["optimzer"]
    with pytest.raises(AttributeError, match="did you mean 'optimizer'"):
        _ = cfg.optimzer
    with pytest.raises(KeyError, match="did you mean"):
        del cfg["optimzer"]
    with pytest.raises(AttributeError, match="did you mean"):
        del cfg.optimzer
    assert getattr(cfg, "x", 3) == 3
    assert not hasattr(cfg, "x")
    assert cfg.get("x") is None


def test_pop_of_a_missing_key_is_an_error_unless_a_default_is_given():
    cfg = ConfigDict(lr=1)
    assert cfg.pop("lrr", None) is None
    assert cfg.pop("lr") == 1
    with pytest.raises(KeyError):
        cfg.pop("lr")


def test_update_merges_dicts_and_merge_knows_delete():
    cfg = ConfigDict(a=dict(x=1, y=2), b=1)
    cfg.update(dict(a=dict(y=3)), b=dict(z=1))
    assert cfg == dict(a=dict(x=1, y=3), b=dict(z=1))
    cfg.merge(dict(a=dict(_delete_=True, q=1)))
    assert cfg.a == dict(q=1)


def test_or_merges_into_a_new_config():
    one, two = ConfigDict(a=dict(x=1)), dict(a=dict(y=2))
    assert one | two == dict(a=dict(x=1, y=2))
    assert two | one == dict(a=dict(x=1, y=2))
    assert one == dict(a=dict(x=1))
    one |= two
    assert one == dict(a=dict(x=1, y=2))


def test_what_is_put_in_becomes_a_config():
    cfg = ConfigDict()
    cfg.a = dict(b=1)
    cfg["c"] = [dict(d=1)]
    cfg.setdefault("e", dict(f=1))
    assert (cfg.a.b, cfg.c[0].d, cfg.e.f) == (1, 1, 1)
    assert type(cfg.to_dict()["a"]) is dict


def test_a_method_cannot_be_shadowed_by_an_attribute():
    cfg = ConfigDict()
    with pytest.raises(AttributeError, match=r"cfg\['items'\]"):
        cfg.items = 1
    cfg["items"] = 1
    assert cfg["items"] == 1


def test_copies_and_pickles_keep_values_and_places(tmp_path):
    cfg = read(
        tmp_path, "from torch.nn import ReLU\n\na = dict(\n  b=[1,\n    2], c=dict(type=ReLU))\n"
    )
    cfg.merge_from_dict({"a.d": 3})
    for other in (copy.deepcopy(cfg), pickle.loads(pickle.dumps(cfg)), cfg.copy()):
        assert other == cfg
        assert other.a.c.type == Deferred("torch.nn", "ReLU")
        assert str(other.origin("a.c.type")).endswith("c.py:5")
        assert str(other.origin("a.d")) == "merge_from_dict"
        assert str(other.origin("a.b.1")).endswith("c.py:5")
        assert other.filename == cfg.filename
    deep = copy.deepcopy(cfg)
    deep.a.b.append(3)
    assert cfg.a.b == [1, 2]


def test_a_shallow_copy_shares_what_is_inside():
    cfg = ConfigDict(a=dict(b=1))
    other = cfg.copy()
    other.a.b = 2
    other.c = 1
    assert cfg == dict(a=dict(b=2))


def test_a_key_set_by_a_program_has_no_place(tmp_path):
    cfg = read(tmp_path, "a = 1\nb = 2\n")
    cfg.a = 3
    assert cfg.origin("a") is None
    assert origin_of(cfg._cfg_dict, "b") == Origin(str(tmp_path / "c.py"), 2)
    assert origin_of({"b": 1}, "b") is None


def test_a_config_behaves_as_a_mapping():
    cfg = Config(dict(a=1, b=dict(c=2)))
    assert (len(cfg), list(cfg), "a" in cfg, cfg["b"].c) == (2, ["a", "b"], True, 2)
    del cfg.a
    cfg["d"] = dict(e=1)
    assert cfg.d.e == 1
    assert {**cfg} == dict(b=dict(c=2), d=dict(e=1))
    assert cfg == dict(b=dict(c=2), d=dict(e=1))
    assert cfg.to_dict() == dict(b=dict(c=2), d=dict(e=1))
    assert cfg.filename is None
    with pytest.raises(TypeError, match="a config is a dict"):
        Config([1])
    with pytest.raises(KeyError, match="reserved"):
        Config(dict(text=1))
    with pytest.raises(AttributeError, match="belongs to Config"):
        cfg.filename = "x"


def test_a_path_that_is_not_there_is_an_error_with_the_nearest(tmp_path):
    cfg = read(tmp_path, "a = dict(size=[1, 2])\n")
    with pytest.raises(ConfigError, match=r"did you mean 'a\.size'"):
        cfg.origin("a.sise")
    with pytest.raises(ConfigError, match="no element 2 in a list of 2"):
        cfg.origin("a.size.2")


def test_a_copy_shares_dicts_and_never_lists(tmp_path):
    cfg = ConfigDict(steps=[1, dict(n=1)], inner=dict(k=[1]))
    other = cfg.copy()
    other.steps.append(2)
    other.steps[1].n = 5
    other.inner.k.append(2)
    assert cfg == dict(steps=[1, dict(n=5)], inner=dict(k=[1, 2]))
    assert copy.copy(cfg).steps is not cfg.steps
    (tmp_path / "base.py").write_text("m = dict(l=[1, dict(n=1)], d=dict(k=[1]))\n")
    (tmp_path / "child.py").write_text(
        "_base_ = 'base.py'\nx = _base_.m.copy()\nx.l.append(2)\nx.l[1].n = 5\nx.d.k.append(3)\n"
        "own = dict(l=[1])\ncopied = own.copy()\ncopied['l'].append(2)\nm = _base_.m\n"
    )
    read = Config.fromfile(tmp_path / "child.py")
    assert read.x == dict(l=[1, dict(n=5), 2], d=dict(k=[1, 3]))
    assert read.m == dict(l=[1, dict(n=5)], d=dict(k=[1, 3]))
    assert read.own == dict(l=[1, 2])


def test_what_is_put_into_a_config_stays_the_callers_own():
    given, shared = [1], ConfigDict(z=1)
    cfg = Config(dict(b=dict()))
    cfg.new = given
    cfg.b.update(new=given)
    cfg.merge_from_dict(dict(b=dict(more=given)))
    cfg.part = shared
    given.append(2)
    shared.z = 2
    assert cfg == dict(b=dict(new=[1], more=[1]), new=[1], part=dict(z=1))


def test_lists_that_are_laid_over_a_dict_or_set_by_default_stay_the_same_ones(tmp_path):
    (tmp_path / "base.py").write_text("m = dict(d=dict(a=1))\np = [1, [2]]\n")
    (tmp_path / "child.py").write_text(
        "with read_base():\n    from .base import *\n"
        "x = m | dict(y=p, d=dict(b=p))\n"
        "own = dict(a=1)\nown.setdefault('z', p)\n"
        "m.setdefault('z', p)\nturned = dict(y=p) | m\n"
        "p.append(3)\np[1].append(4)\n"
    )
    cfg = Config.fromfile(tmp_path / "child.py")
    new, old = [1, [2, 4], 3], [1, [2]]
    assert cfg.x == dict(d=dict(a=1, b=new), y=new)
    assert cfg.own == dict(a=1, z=new)
    assert cfg.m == dict(d=dict(a=1), z=old)
    assert cfg.turned == dict(y=old, z=old, d=dict(a=1))
