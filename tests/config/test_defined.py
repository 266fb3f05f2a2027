"""Functions, ``try``, ``globals()`` and the environment inside a config: interpreted, not run."""

import pytest

from loopwright.config import Config, ConfigError


def read(text):
    return Config.fromstring(text, ".py").to_dict()


def test_a_function_of_the_config_is_interpreted():
    cfg = read(
        "scale = 2\n"
        "def block(width, *more, depth=3, **rest):\n"
        "    '''A block.'''\n"
        "    sizes = [width * scale for _ in range(depth)]\n"
        "    for size in sizes:\n"
        "        if size > 100:\n"
        "            return 'wide'\n"
        "    return dict(sizes=sizes, more=more, **rest)\n"
        "a, b = block(1, 7, 8, depth=2, kind='x'), block(width=60)\n"
    )
    assert cfg == dict(scale=2, a=dict(sizes=[2, 2], more=(7, 8), kind="x"), b="wide")


def test_functions_call_themselves_and_each_other_and_close_over_names():
    cfg = read(
        "def fact(n):\n    return 1 if n < 2 else n * fact(n - 1)\n"
        "def adder(k):\n    def add(x):\n        return x + k\n    return add\n"
        "def plus(x):\n    return adder(10)(x) if False else adder2(x)\n"
        "adder2 = adder(5)\nx = [fact(5), plus(1)]\n"
    )
    assert cfg == dict(x=[120, 6])


def test_names_set_in_a_function_are_its_own():
    assert read("x = 1\ndef f():\n    x = 2\n    return x\ny = f()\n") == dict(x=1, y=2)
    with pytest.raises(ConfigError, match="'x' is used before it is set"):
        read("x = 1\ndef f():\n    x += 1\n    return x\ny = f()\n")


def test_a_comprehension_variable_does_not_hide_a_name_of_the_file():
    assert read("x = 1\ndef f():\n    y = [x for x in range(2)]\n    return x\nz = f()\n")["z"] == 1


@pytest.mark.parametrize(
    ("call", "fault"),
    [
        ("f(1, 2, 3)", r"takes 2 values, got 3"),
        ("f()", r"is given no 'a'"),
        ("f(1, a=2)", r"two values for 'a'"),
        ("f(1, dept=2)", r"has no 'dept'; did you mean 'depth'"),
    ],
)
def test_a_wrong_call_says_what_is_wrong(call, fault):
    with pytest.raises(ConfigError, match=fault):
        read(f"def f(a, depth=1):\n    return a\nx = {call}\n")


def test_a_function_can_be_handed_to_sorted_and_map():
    cfg = read("def f(x):\n    return -x\na = sorted([1, 3, 2], key=f)\nb = list(map(f, a))\n")
    assert cfg == dict(a=[3, 2, 1], b=[-3, -2, -1])


def test_a_function_is_inherited_and_sees_the_names_of_its_own_file(tmp_path):
    (tmp_path / "tools.py").write_text("k = 3\ndef times(x):\n    return [x] * k\n")
    (tmp_path / "a.py").write_text(
        "from mmengine.config import read_base\nwith read_base():\n    from .tools import times\n"
        "k = 1\nx = times('a')\n"
    )
    assert Config.fromfile(tmp_path / "a.py").to_dict() == dict(k=1, x=["a", "a", "a"])


def test_what_is_tried_is_taken_since_imports_do_not_fail():
    cfg = read(
        "try:\n    from nowhere import Net\nexcept ImportError:\n    Net = None\n"
        "try:\n    x = {}['k']\nexcept (KeyError, IndexError) as e:\n    x = 'none'\n"
        "else:\n    x = 'else'\nfinally:\n    y = 1\n"
    )
    assert cfg == dict(x="none", y=1)
    with pytest.raises(ConfigError, match="ZeroDivisionError"):
        read("try:\n    x = 1 / 0\nexcept KeyError:\n    x = 1\n")


def test_globals_and_locals_are_the_names_of_the_file():
    cfg = read(
        "a_sets, b_sets = [1], [2]\n"
        "sets = sum((v for k, v in locals().items() if k.endswith('_sets')), [])\n"
        "globals()['b_sets'].append(3)\nglobals()['made'] = 4\n"
        "for _name in ['a_sets']:\n    del globals()[_name]\n"
    )
    assert cfg == dict(b_sets=[2, 3], sets=[1, 2], made=4, _name="a_sets")


def test_the_environment_is_read_by_name_and_noted(monkeypatch):
    monkeypatch.setenv("LW_ROOT", "/data")
    monkeypatch.delenv("LW_NONE", raising=False)
    cfg = Config.fromstring(
        "import os\nimport os.path as osp\n"
        "root = osp.join(os.environ['LW_ROOT'], os.environ.get('LW_NONE', 'coco'))\n"
        "n = os.getenv('LW_NONE')\nthere = 'LW_ROOT' in os.environ, 'LW_NONE' not in os.environ\n",
        ".py",
    )
    assert cfg.to_dict() == dict(root="/data/coco", n=None, there=(True, True))
    assert cfg.env_variables == {"LW_ROOT": "/data", "LW_NONE": "coco"}
    with pytest.raises(ConfigError, match="environment variable 'LW_NONE' is not set"):
        read("import os\nx = os.environ['LW_NONE']\n")


def test_the_environment_can_be_barred(tmp_path):
    (tmp_path / "a.py").write_text("import os\nx = os.environ.get('HOME', 'y')\n")
    with pytest.raises(ConfigError, match=r"bars.*a\.py:2"):
        Config.fromfile(tmp_path / "a.py", use_environment_variables=False)


def test_what_only_the_system_knows_is_not_guessed():
    for text in ("sys.platform == 'linux'", "f'{os.name}'", "'%s' % sys.version"):
        with pytest.raises(ConfigError, match=r"the value of (sys|os)\.\w+ is outside"):
            read(f"import os, sys\nx = {text}\n")


def test_an_imported_name_in_a_text_is_its_last_word():
    cfg = read("from torch import nn\nx = f'{nn.ReLU}', str([nn.ReLU]), '%s' % nn.ReLU\n")
    assert cfg["x"] == ("ReLU", "[ReLU]", "ReLU")


def test_small_functions_of_data_are_known():
    cfg = read(
        "from itertools import product, chain\nfrom collections import OrderedDict\n"
        "a = [isinstance(v, (list, str)) for v in ([], 'x', 1)]\nb = chr(65) + str(ord('a'))\n"
        "c = list(product('ab', range(2)))\nd = list(chain([1], (2,)))\n"
        "e = OrderedDict(x=1)\nprint(a)\n"
    )
    assert cfg["a"] == [True, True, False]
    assert (cfg["b"], cfg["d"], cfg["e"]) == ("A97", [1, 2], dict(x=1))
    assert cfg["c"] == [("a", 0), ("a", 1), ("b", 0), ("b", 1)]


def test_a_loop_word_outside_a_loop_is_an_error():
    for word in ("break", "continue", "return 1"):
        with pytest.raises(ConfigError, match="outside a"):
            read(f"x = 1\n{word}\ny = 2\n")
