"""Random values and programs for the property tests of configs."""

import keyword

from hypothesis import strategies as st

from loopwright.config import Deferred
from loopwright.config.functions import FUNCTIONS

RESERVED = {"filename", "text", "pretty_text", "env_variables"}
identifiers = st.from_regex(r"[a-z][a-z0-9_]{0,7}", fullmatch=True).filter(
    lambda name: not keyword.iskeyword(name) and name not in RESERVED and name not in FUNCTIONS
)
dotted = st.builds(".".join, st.lists(identifiers, min_size=1, max_size=3)).filter(
    lambda name: name.partition(".")[0] not in {"os", "io", "pty", "code", "http", "nt", "sys"}
)
names = st.builds(Deferred, dotted, identifiers)
floats = st.floats(allow_nan=False)
plain = st.none() | st.booleans() | st.integers() | floats | st.text(max_size=12)
braces = st.sampled_from(["{{fileDirname}}", "{{$A:b}}", "{{_base_.x}}", "'{{", "a\"{{'b"])
leaves = plain | braces | st.binary(max_size=6) | names
hashable = st.integers() | st.text(max_size=6) | st.tuples(st.integers(), st.text(max_size=3))


def extended(children):
    return (
        st.lists(children, max_size=4)
        | st.lists(children, max_size=3).map(tuple)
        | st.dictionaries(identifiers, children, max_size=4)
        | st.dictionaries(hashable, children, max_size=3)
        | st.sets(hashable, max_size=3)
    )


values = st.recursive(leaves, extended, max_leaves=20)
configs = st.dictionaries(identifiers, values, max_size=5)

option_values = st.recursive(
    plain,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(identifiers | st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=12,
)
option_paths = st.lists(
    identifiers | st.integers(0, 9).map(str) | st.sampled_from(["a.b", "x=y", "~z", " "]),
    min_size=1,
    max_size=4,
).map(tuple)

trees = st.recursive(
    st.integers(0, 3),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
).map(lambda value: value if isinstance(value, dict) else {"a": value})


# Programs: typed expressions as text, so that most of them run and some of them fail.
def joined(template, *parts):
    return st.tuples(*parts).map(lambda values: template.format(*values))


def expressions(inner):
    """Expressions of any kind built from smaller ones."""
    whole, text, items, table = (inner[kind] for kind in ("int", "str", "list", "dict"))
    return {
        "int": st.one_of(
            joined("({} + {})", whole, whole),
            joined("({} - {})", whole, whole),
            joined("({} * {})", whole, whole),
            joined("({} // {})", whole, whole),
            joined("({} % {})", whole, whole),
            joined("(-{})", whole),
            joined("({} if {} > {} else {})", whole, whole, whole, whole),
            joined("len({})", items),
            joined("max({}, {})", whole, whole),
            joined("sum([i for i in [1, 2, 3] if i < {}])", whole),
            joined("({} and {})", whole, whole),
            joined("({} < {} <= {})", whole, whole, whole),
            joined("round({} / 3, 2)", whole),
            joined("{}.get('k', {})", table, whole),
            joined("{}[{}]", items, whole),
        ),
        "str": st.one_of(
            joined("({} + {})", text, text),
            joined("str({})", whole),
            joined("f'{{{}}}-{{{}!r:>4}}'", whole, whole),
            joined("f'{{{}:03d}}'", whole),
            joined("{}.upper()", text),
            joined("{}.replace('a', {})", text, text),
            joined("'-'.join([str(x) for x in {}])", items),
            joined("{}[{}:{}]", text, whole, whole),
            joined("'{{}}/{{}}'.format({}, {})", text, whole),
            joined("('%s_%d' % ({}, {}))", text, whole),
        ),
        "list": st.one_of(
            joined("[{}, {}]", whole, text),
            joined("[{}, *{}]", table, items),
            joined("[x * 2 for x in {}]", items),
            joined("[(i, x) for i, x in enumerate({}) if i != {}]", items, whole),
            joined("[x + y for x in range(2) for y in range(x, {} % 4)]", whole),
            joined("({} + {})", items, items),
            joined("{}[{}:]", items, whole),
            joined("({} * 2)", items),
            joined("list(zip({}, {}))", items, items),
            joined("list(reversed({}))", items),
            joined("sorted({})", items),
            joined("list({}.keys())", table),
            joined("list(map(str, {}))", items),
            joined("list(filter(None, {}))", items),
            joined("sorted({}, key=str, reverse=True)", items),
        ),
        "dict": st.one_of(
            joined("dict(a={}, b={})", whole, items),
            joined("dict({}, k={})", table, whole),
            joined("{{{}: {}, 'k': {}}}", text, whole, items),
            joined("{{**{}, {}: {}}}", table, whole, text),
            joined("{{k: v for k, v in {}.items()}}", table),
            joined("{{x: {} for x in range({} % 3)}}", whole, whole),
            joined("dict([('p', {})])", whole),
            joined("dict.fromkeys({}, 0)", items),
        ),
    }


ATOMS = {
    "int": st.integers(-9, 9).map(str) | st.sampled_from(["i0", "i1", "True"]),
    "str": st.sampled_from(["'a'", "'ba'", "''", "s0", "s1"]),
    "list": st.sampled_from(["[]", "[1, 2, 3]", "l0", "l1"]),
    "dict": st.sampled_from(["{}", "dict(a=1)", "d0", "d1"]),
}
ONCE = {kind: ATOMS[kind] | made for kind, made in expressions(ATOMS).items()}
TWICE = {kind: ONCE[kind] | made for kind, made in expressions(ONCE).items()}
anything = st.one_of(*TWICE.values())
statements = st.one_of(
    joined("i0 = {}", TWICE["int"]),
    joined("s0 = {}", TWICE["str"]),
    joined("l0 = {}", TWICE["list"]),
    joined("d0 = {}", TWICE["dict"]),
    joined("i1 += {}", TWICE["int"]),
    joined("l1 += {}", TWICE["list"]),
    joined("l0 *= 2", st.just("")),
    joined("l1 = l0", st.just("")),
    joined("d1 = d0", st.just("")),
    joined("l0.append({})", anything),
    joined("l1.extend({})", TWICE["list"]),
    joined("d0['k'] = {}", anything),
    joined("d1.update({})", TWICE["dict"]),
    joined("d0.update(a={}, z={})", anything, anything),
    joined("d1.setdefault('q', {})", anything),
    joined("d0.pop('a', {})", anything),
    joined("i0, (s0, *l0) = {}, ({}, {}, 1)", TWICE["int"], TWICE["str"], anything),
    joined("for n in {}:\n    l1.append(n)\n    if len(l1) > 5:\n        break", TWICE["list"]),
    joined("for n in range(3):\n    if n == {}:\n        continue\n    i1 += n", TWICE["int"]),
    joined("for n in {}:\n    pass\nelse:\n    i0 = 7", TWICE["list"]),
    joined("if {}:\n    i0 = {}\nelse:\n    s1 = {}", anything, TWICE["int"], TWICE["str"]),
    joined("assert {} != 'never'", anything),
    joined("del d0[{}]", TWICE["str"]),
    joined("x = (y := {})", anything),
)
START = (
    "i0, i1 = 3, -2\ns0, s1 = 'abc', 'x'\nl0, l1 = [1, 2], ['u']\nd0, d1 = dict(a=1, k=[0]), {}\n"
)
programs = st.lists(statements, min_size=1, max_size=6).map(lambda s: START + "\n".join(s) + "\n")
