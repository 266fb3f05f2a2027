"""The text form: ``_base_`` chains, ``{{…}}``, and errors that say where."""

import pytest

from loopwright.config import Config, ConfigError, Deferred


@pytest.fixture
def folder(tmp_path):
    """Writes files given as keywords (``base="a = 1"`` → base.py) and reads one of them."""

    class Folder:
        path = tmp_path

        def write(self, **files):
            for name, text in files.items():
                (tmp_path / f"{name}.py").write_text(text)
            return self

        def read(self, name, **options):
            return Config.fromfile(tmp_path / f"{name}.py", **options)

    return Folder()


def test_a_value_shows_its_chain_through_three_files(folder):
    folder.write(
        a="model = dict(\n    lr=1,\n    name='a')\n",
        b="_base_ = 'a.py'\nmodel = dict(lr=2)\n",
        c="_base_ = ['b.py']\n\n\nmodel = dict(lr=3)\n",
    )
    cfg = folder.read("c").with_overrides(["model.lr=4"])
    chain = [(step.value, str(step.origin).rpartition("/")[2]) for step in cfg.why("model.lr")]
    assert chain == [(1, "a.py:2"), (2, "b.py:2"), (3, "c.py:4"), (4, "command line")]
    assert str(cfg.origin("model.name")).endswith("a.py:3")


def test_every_leaf_of_a_config_has_a_place(folder):
    from loopwright.config.provenance import walk_leaves

    folder.write(
        base="p = [dict(type='A', size=(1,\n 2)), dict(b=[])]\nd = {'x': {1: 2}}\n",
        child="_base_ = 'base.py'\nq = [*_base_.p, dict(c=3)]\nr = {{_base_.d}}\n"
        "_base_.d.x['y'] = 5\nfor i in range(2):\n    r['k%d' % i] = i\ns, (t, u) = 1, (2, 3)\n"
        "d = dict(**dict(w=1), v={k: k for k in 'ab'})\nd.setdefault('z', dict(o=1))\n"
        "d.update(dict(m=1), n=2)\nd['v'] |= dict(c=1)\n",
    )
    cfg = folder.read("child")
    for path, value in walk_leaves(cfg._cfg_dict):
        assert cfg.origin(path) is not None, (path, value)
    assert str(cfg.origin("p.0.size.1")).endswith("base.py:2")
    assert str(cfg.origin("r.k1")).endswith("child.py:6")
    assert str(cfg.origin("d.n")).endswith("child.py:10")


def test_two_bases_that_set_one_key_are_an_error_naming_both(folder):
    folder.write(a="\nx = 1\n", b="x = 2\n", c="_base_ = ['a.py',\n 'b.py']\n")
    with pytest.raises(ConfigError, match=r"two bases set 'x': .*a\.py:2 and .*b\.py:1.*c\.py:2"):
        folder.read("c")


def test_a_dict_over_a_value_says_where(folder):
    folder.write(a="m = dict(x=1)\n", b="_base_ = 'a.py'\nm = dict(\n  x=dict(y=1))\n")
    with pytest.raises(ConfigError, match=r"m\.x is a dict here but int \(1\).*b\.py:3"):
        folder.read("b")


def test_an_undefined_name_is_an_error_with_line_and_nearest(folder):
    folder.write(a="max_epochs = 3\ncfg = dict(\n    n=max_epoch)\n")
    with pytest.raises(ConfigError, match=r"'max_epoch' is not defined; did you mean 'max_epochs'"):
        folder.read("a")


@pytest.mark.parametrize("text", ["hash('a')", "bin(3)", "next([1])", "vars(dict())"])
def test_a_builtin_that_is_not_listed_is_said_to_be_out_of_reach(folder, text):
    folder.write(a=f"x = {text}\n")
    name = text.partition("(")[0]
    with pytest.raises(ConfigError, match=rf"'{name}' is outside .*--trust-config.*a\.py:1"):
        folder.read("a")


def test_an_error_in_a_base_says_who_inherits_it(folder):
    folder.write(a="x = y\n", b="\n_base_ = 'a.py'\n")
    with pytest.raises(ConfigError, match=r"a\.py:1") as caught:
        folder.read("b")
    assert any("b.py:2" in note for note in caught.value.__notes__)


def test_a_fault_inside_an_expression_tells_its_line(folder):
    folder.write(a="a = dict(\n  b=1,\n  c=[1, 2][5])\n")
    with pytest.raises(ConfigError, match=r"IndexError.*a\.py:3"):
        folder.read("a")


def test_a_syntax_error_tells_its_line(folder):
    folder.write(a="a = 1\nb = dict(\n")
    with pytest.raises(ConfigError, match=r"syntax error.*a\.py:2"):
        folder.read("a")


def test_a_byte_order_mark_and_windows_line_ends_are_fine(tmp_path):
    (tmp_path / "a.py").write_bytes(b"\xef\xbb\xbfa = 1\r\nb = '''x\r\ny'''\r\n")
    assert Config.fromfile(tmp_path / "a.py") == dict(a=1, b="x\ny")


def test_environment_variables_are_filled_in_and_remembered(folder, monkeypatch):
    monkeypatch.setenv("LOOPWRIGHT_N", "7")
    folder.write(a="a = {{'$LOOPWRIGHT_N:1'}}\nb = '{{$LOOPWRIGHT_N:1}}-{{$LOOPWRIGHT_NONE:x}}'\n")
    cfg = folder.read("a")
    assert cfg == dict(a=7, b="7-x")
    assert cfg.env_variables == {"LOOPWRIGHT_N": "7", "LOOPWRIGHT_NONE": "x"}


def test_an_environment_variable_without_value_and_default_is_an_error(folder):
    folder.write(a="\na = '{{$LOOPWRIGHT_NONE:}}'\n")
    with pytest.raises(ConfigError, match=r"'LOOPWRIGHT_NONE' is not set .*a\.py:2"):
        folder.read("a")


def test_an_environment_variable_cannot_bring_code_in(folder, monkeypatch):
    monkeypatch.setenv("LOOPWRIGHT_N", "__import__('os').system('true')")
    folder.write(a="a = {{'$LOOPWRIGHT_N:1'}}\n")
    with pytest.raises(ConfigError, match="trust-config"):
        folder.read("a")


def test_a_deprecated_config_warns_with_what_to_use(folder):
    folder.write(a="_deprecation_ = dict(expected='b.py', reference='http://x')\nq = 1\n")
    with pytest.warns(DeprecationWarning, match=r"a\.py is deprecated, use b\.py, see http://x"):
        assert folder.read("a") == dict(q=1)
    folder.write(b="_base_ = 'a.py'\n")
    with pytest.warns(DeprecationWarning, match=r"a\.py is deprecated"):
        assert folder.read("b") == dict(q=1)


def test_a_script_among_configs_is_read_but_its_functions_cannot_be_kept(folder):
    folder.write(
        a="import argparse\n\ndef main(x=1):\n    return argparse\n\n"
        "if __name__ == '__main__':\n    main()\n",
        b="def f():\n    pass\nx = dict(f=f)\n",
    )
    assert folder.read("a") == {}
    with pytest.raises(ConfigError, match=r"x\.f is the function 'f': outside .*--trust-config"):
        folder.read("b")


def test_reading_shares_nothing_between_keys(folder):
    folder.write(
        a="p = [dict(x=1)]\nq = dict(p=p)\n", b="_base_ = 'a.py'\nr = _base_.p\ns = dict(r=r)\n"
    )
    cfg = folder.read("b")
    cfg.s.r[0].x = 2
    assert (cfg.p[0].x, cfg.q.p[0].x, cfg.r[0].x) == (1, 1, 1)


def test_the_text_holds_every_file_that_was_read(folder):
    folder.write(a="x = 1\n", b="_base_ = 'a.py'\ny = 2\n")
    text = folder.read("b").text
    assert text.index("y = 2") < text.index("x = 1")


def test_trust_runs_what_is_out_of_reach_and_keeps_the_rest_as_data(folder):
    folder.write(
        base="a = dict(b=1)\n",
        child="_base_ = 'base.py'\nimport json\nfrom collections import OrderedDict\n"
        "def f(x):\n    return x * 2\n\nm = dict(n=f({{_base_.a.b}}),\n  t=[dict(u=1)])\n"
        "k = json.loads('[1]')\nclass_ = dict(type=OrderedDict)\ns = 'x{{_base_.a.b}}'\n",
    )
    with pytest.raises(ConfigError, match=r"'json\.loads' is outside .*--trust-config"):
        folder.read("child")
    cfg = folder.read("child", trust=True)
    assert cfg.m == dict(n=2, t=[dict(u=1)])
    assert (cfg.a.b, cfg.k, cfg.s) == (1, [1], "x1")
    assert cfg.class_.type.__name__ == "OrderedDict"
    assert set(cfg) == {"a", "m", "k", "class_", "s"}
    assert str(cfg.origin("m.t.0.u")).endswith("child.py:8")


def test_trust_shows_faults_of_the_file_with_their_line(folder):
    folder.write(a="x = 1\nwith open('/nowhere/at/all') as f:\n    pass\n")
    with pytest.raises(ConfigError, match=r"FileNotFoundError.*a\.py:2"):
        folder.read("a", trust=True)


def test_trust_reads_lazy_bases_too(folder):
    folder.write(
        base="a = dict(b=1)\n",
        child="with read_base():\n    from .base import *\n"
        "a.update(dict(c=sorted([2, 1], key=abs)))\n",
    )
    assert folder.read("child", trust=True).a == dict(b=1, c=[1, 2])


def test_imported_names_are_values_but_not_keys(folder):
    folder.write(
        a="from torch.optim import AdamW as A\nimport torch.nn as nn\nimport torch\n"
        "x = dict(type=A, l=[nn.ReLU, torch.nn.functional.relu])\ny = A\n"
    )
    cfg = folder.read("a")
    assert list(cfg) == ["x", "y"]
    assert cfg.y == cfg.x.type == Deferred("torch.optim", "AdamW")
    assert [name.dotted for name in cfg.x.l] == ["torch.nn.ReLU", "torch.nn.functional.relu"]


def test_a_fragment_with_undefined_names_is_an_error_not_a_guess(folder):
    folder.write(a="optimizer = dict(\n    type=AdamW,\n    lr=base_lr,\n)\n")
    with pytest.raises(ConfigError, match=r"'AdamW' is not defined.*a\.py:2"):
        folder.read("a")


def test_keys_of_inherited_dicts_may_be_asked_for_by_name(tmp_path):
    (tmp_path / "base.py").write_text("hooks = [1]\nmodel = dict(neck=dict(n=2))\n")
    (tmp_path / "child.py").write_text(
        "_base_ = 'base.py'\n"
        "fresh = dict(p=1)\n"
        "has = [hasattr(_base_, 'hooks'), hasattr(_base_, 'nope'), hasattr(_base_.model, 'neck'),\n"
        "       hasattr(fresh, 'p'), hasattr(fresh, 'update'), hasattr([], 'append')]\n"
        "got = [getattr(_base_, 'hooks', []) + [2], getattr(_base_, 'nope', 3),\n"
        "       getattr(_base_.model.neck, 'n'), getattr(fresh, 'p', 'no')]\n"
    )
    cfg = Config.fromfile(tmp_path / "child.py")
    assert cfg.has == [True, False, True, False, True, True]
    assert cfg.got == [[1, 2], 3, 2, "no"]
    (tmp_path / "child.py").write_text("_base_ = 'base.py'\nx = getattr(_base_, 'hook')\n")
    with pytest.raises(ConfigError, match=r"no attribute 'hook'; did you mean 'hooks'\?"):
        Config.fromfile(tmp_path / "child.py")


def test_of_several_bases_set_one_after_the_other_the_first_counts_as_in_mmengine(tmp_path):
    (tmp_path / "one.py").write_text("a = 1\n")
    text = "_base_ = 'one.py'\nb = _base_.a\n_base_ = 'nowhere.py'\nc = _base_.a\n"
    (tmp_path / "child.py").write_text(text)
    assert Config.fromfile(tmp_path / "child.py")._cfg_dict == dict(a=1, b=1, c=1)


@pytest.mark.parametrize("gone", ["del math, f", "globals().pop('math')\ndel f"])
def test_an_import_and_a_function_may_be_deleted_again(tmp_path, gone):
    text = f"import math\ndef f(x):\n    return math.floor(x)\na = f(2.5)\n{gone}\n"
    (tmp_path / "base.py").write_text(text)
    (tmp_path / "child.py").write_text("_base_ = 'base.py'\nb = _base_.a\n")
    assert Config.fromfile(tmp_path / "child.py")._cfg_dict == dict(a=2, b=2)
    (tmp_path / "lazy.py").write_text("with read_base():\n    from .base import *\nb = a\n")
    assert Config.fromfile(tmp_path / "lazy.py")._cfg_dict == dict(a=2, b=2)
