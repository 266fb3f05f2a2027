"""What a config asks for is paid before it is done: each of these took minutes, or all memory."""

import warnings

import pytest

from loopwright.config import Config, ConfigError
from loopwright.trainer import LazyConfig

SHARED = "a = [0]\n" + "a = [a, a]\n" * 60
NESTED = "a = (0,)\n" + "a = (a, a)\n" * 60
DICTS = "a = dict(x=1)\n" + "a = dict(x=a, y=a)\n" * 60
OWN = "from mmengine import ConfigDict\nc = ConfigDict()\n"


@pytest.mark.parametrize(
    "text",
    [
        "import math\nx = math.prod([2**4000] * 200000) > 0\n",
        f"x = pow(3, 0x{'f' * 200000}, 0x{'f' * 200000}) > 1\n",
        "x = len(('\\u4e00' * 500000 + '\\u4e01' * 400000).encode('punycode'))\n",
        "x = len(('\\u00e9' * 900000).encode('idna'))\n",
        "x = len(('\\ufbf9' * 10**6).encode('ascii', 'namereplace'))\n",
        "x = ('a' * 10**6).rfind('ab' + 'a' * (5 * 10**5))\n",
        "x = ('a' * 10**6).rpartition('ab' + 'a' * (5 * 10**5))\n",
        "x = ('a' * 4 * 10**5).rsplit('ab' + 'a' * 10**5)\n",
        "x = ('\\u0101' * 9 * 10**5).strip('\\u0201' * 9 * 10**5 + '\\u0101')\n",
        "s = '{{' * 400000\nx = [len(s.format()) for i in range(10**4)]\n",
        (
            "for i in range(10**5):\n    try:\n        q = format('', 'a' * 10**5)\n"
            "    except ValueError:\n        pass\n"
        ),
        "b = b'a' * (10**6 - 1)\nx = sorted([b + b'a', b + b'b'] * 50000)\n",
        (
            "k = 'a' * (10**6 - 1)\nd = {k + 'b': 1}\ne = {k + 'b': 1}\n"
            "x = [d == e for i in range(50000)]\n"
        ),
        "t = tuple(range(100000))\nd = {1: 1}\nx = len([d.get(t) for i in range(30000)])\n",
        "t = (int,) * 100000\nx = len([isinstance('', t) for i in range(30000)])\n",
        "import os\ns = 'a/' * 450000\nx = len([len(os.path.abspath(s)) for i in range(50000)])\n",
        "def f():\n    return 1\n" + "    b = 1\n" * 5000 + "x = [f() for i in range(200000)]\n",
        NESTED + "d = {1: 1}\nx = d.get(a)\na = 1\n",
        NESTED + "d = {1: 1}\ndel d[a]\na = 1\n",
        NESTED + "x = len(dict.fromkeys([a]))\na = 1\n",
        OWN + SHARED + "c.x = a\na = 1\n",
        OWN + SHARED + "c.setdefault('x', a)\na = 1\n",
        OWN + DICTS + "c.merge(dict(q=a))\na = 1\n",
        OWN + DICTS + "x = ConfigDict(q=[a])\na = 1\n",
        SHARED.replace("a", "_base_"),
        "_base_ = [(a := [0]), " + ", ".join(["(a := [a, a])"] * 60) + "]\n",
        SHARED + "x = isinstance(1, (a,))\n",
        SHARED + "x = map(a, [1])\n",
        SHARED + "x = sorted([1], key=a)\n",
        SHARED + "x = getattr(1, a)\n",
        SHARED + "assert False, a\n",
        "import os\n" + SHARED + "x = os.environ.get(a)\n",
        "x = range(10**30)\n",
        "x = [range(10**9)]\n",
        "x = ['a' * 10**6] * 400\n",
    ],
    ids=lambda text: text[-40:],
)
def test_it_is_refused_before_it_is_done(text):
    with pytest.raises(ConfigError):
        Config.fromstring(text, ".py")


@pytest.mark.parametrize("text", ["x = float('a' * 10**6)\n", "d = {}\nx = d['a' * 10**6]\n"])
def test_an_error_is_short_however_long_the_value(text):
    with pytest.raises(ConfigError) as caught:
        Config.fromstring(text, ".py")
    assert len(str(caught.value)) < 2000


def test_what_configs_do_with_texts_still_works():
    text = (
        "import math\nname = 'a/b_c.py'.rsplit('/', 1)[-1].rstrip('.py')\n"
        "raw = 'é'.encode()\nplain = 'a'.encode('ascii', errors='ignore')\n"
        "many = '{}-{:>3}{{}}'.format('x', 1)\nall = math.prod([2, 3], start=2)\n"
        "left = pow(3, 5, 7)\nlast = 'abcb'.rfind('b', 0, 3)\n"
    )
    cfg = Config.fromstring(text, ".py")
    assert cfg.to_dict() == {
        "name": "b_c",
        "raw": "é".encode(),
        "plain": b"a",
        "many": "x-  1{}",
        "all": 12,
        "left": 5,
        "last": 1,
    }


def test_brackets_in_a_long_toml_text_cost_no_time():
    assert Config.fromstring("a = '''\n" + "[\n" * 300_000 + "'''\n", ".toml").a.count("[") > 1


@pytest.mark.parametrize("text", ["a: [" + "a," * 1_900_000 + "]\n", "-\n" * 1_900_000])
def test_yaml_of_millions_of_values_is_refused_before_they_are_made(text):
    with pytest.raises(ConfigError):
        Config.fromstring(text, ".yaml")


def test_ten_thousand_odd_escapes_are_read_without_a_word():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Config.fromstring("x = '\\d'\n" * 10_000, ".py").x == "\\d"


def test_a_template_may_not_make_a_text_grow_without_end(tmp_path):
    (tmp_path / "base.json").write_text('{"x": "' + "y" * 100_000 + '"}')
    path = tmp_path / "a.yaml"
    path.write_text('_base_: ./base.json\na: "' + "{{_base_.x}}" * 3_000 + '"\n')
    with pytest.raises(ConfigError, match="stands for"):
        Config.fromfile(path)


def test_a_base_is_not_copied_by_the_thousand(tmp_path):
    (tmp_path / "big.py").write_text("x = [[i] for i in range(5000)]\n")
    lines = "".join(f"    from .big import x as y{n}\n" for n in range(2000))
    (tmp_path / "a.py").write_text("with read_base():\n" + lines)
    with pytest.raises(ConfigError, match="evaluation steps"):
        Config.fromfile(tmp_path / "a.py")


@pytest.mark.parametrize("text", [SHARED, DICTS, "a = []\na.append(a)\n"], ids=["a", "b", "c"])
def test_a_lazy_config_of_shared_parts_is_bounded_too(tmp_path, text):
    (tmp_path / "a.py").write_text(text)
    with pytest.raises(ConfigError):
        LazyConfig.load(str(tmp_path / "a.py"))


def test_lazy_files_that_import_each_other_over_and_over_are_refused(tmp_path):
    for number in range(30):
        (tmp_path / f"w{number}.py").write_text(f"from .w{number + 1} import x\n" * 3)
    (tmp_path / "w30.py").write_text("x = 1\n")
    with pytest.raises(ConfigError, match="too many files"):
        LazyConfig.load(str(tmp_path / "w0.py"))
