"""Random configs: a few files that inherit from one another, in the pure-Python or text form.

``program(seed, form)`` is a mapping of file names to texts; ``child.py`` is the one to read.
``record_programs.py`` compares them with MMEngine and records its values.
"""

from __future__ import annotations

import os
import random

IMPORTS = {
    "from torch.optim import AdamW, SGD": ["AdamW", "SGD"],
    "from torch.optim import Adam as Plain": ["Plain"],
    "import torch.nn as nn": ["nn.Conv2d", "nn.functional.relu"],
    "import torch": ["torch.nn.ReLU", "torch.bfloat16"],
    "from torch.nn import (\n    BatchNorm2d,\n    LayerNorm as LN,\n)": ["BatchNorm2d", "LN"],
    "from torch.utils.data import default_collate": ["default_collate"],
}
KEYS = ("a", "b", "lr", "type", "x")
KINDS = ("int", "str", "list", "dict", "steps", "tuple")


class Writer:
    """Writes one file, keeping count of which names hold what."""

    def __init__(self, rng: random.Random, names: dict[str, str], classes: list[str]) -> None:
        self.rng = rng
        self.names = dict(names)  # name -> kind
        self.inherited = set(names)
        self.classes = list(classes)
        self.lines: list[str] = []

    def pick(self, *options):
        return self.rng.choice(options)

    def of(self, kind):
        """Something that holds a value of ``kind``, or none: a name, ``_base_.x``."""
        found = [name for name, held in self.names.items() if held == kind]
        return self.rng.choice(found) if found else None

    def target(self, kind, *, inherited=None):
        """A name that may be changed: in the text form, what the file has set itself."""
        found = [
            name
            for name, held in self.names.items()
            if held == kind and inherited in (None, name in self.inherited) and "_" not in name
        ]
        return self.rng.choice(found) if found else None

    def value(self, kind, depth=0):
        """An expression of ``kind``."""
        name = self.of(kind)
        if name and self.rng.random() < 0.3:
            return name
        if depth > 1:
            return getattr(self, f"_{kind}_atom")()
        return self.rng.choice(getattr(self, f"_{kind}")(depth + 1))

    def any(self, depth):
        if self.classes and self.rng.random() < 0.15:
            return self.rng.choice(self.classes)
        return self.value(self.rng.choice(KINDS), depth)

    def _int_atom(self):
        return self.pick("0", "1", "2", "7", "-3", "0.5", "1e-3", "True", "(None or 4)")

    def _str_atom(self):
        return self.pick("'a'", "'res_net'", "''", "'b-c'", "'k.v'")

    def _list_atom(self):
        return self.pick("[]", "[1, 2, 3]", "['u', 'v']", "[(1, 2), None]")

    def _tuple_atom(self):
        return self.pick("()", "(1,)", "('p', 0.1)")

    def _dict_atom(self):
        return self.pick(
            "dict()", "{}", "dict(a=1)", "{'type': 'T', 'x': [1]}", "dict(b=dict(x=1))"
        )

    def _steps_atom(self):
        return self.pick("[dict(a=1)]", "[dict(type='S', x=2), dict(b=dict(lr=1))]")

    def _int(self, d):
        def i(kind):
            return self.value(kind, d)

        s, items, table = self.value("str", d), self.value("list", d), self.value("dict", d)
        return [
            self._int_atom(),
            f"({i('int')} + {i('int')})",
            f"({i('int')} * {i('int')})",
            f"({i('int')} - {i('int')})",
            f"-{self._int_atom()}",
            f"({i('int')} if {i('int')} else {i('int')})",
            f"len({items})",
            f"len({s})",
            f"{table}.get('a', {i('int')})",
            f"max({i('int')}, 2)",
            f"sum([k for k in range(4) if k != {i('int')}])",
            f"({i('int')} == {i('int')})",
            f"('a' in {table})",
            f"(not {items})",
            f"int({i('int')})",
        ]

    def _str(self, d):
        s, i = self.value("str", d), self.value("int", d)
        s_atom, i_atom = self._str_atom(), self._int_atom()
        return [
            self._str_atom(),
            f"({s} + {self.value('str', d)})",
            f'f"{{{i_atom}}}_{{{s_atom}!r:>5}}"',
            f'f"v{{len({self._list_atom()}):02d}}"',
            f'f"{{{self.of("str") or s_atom}}}.{{{self.of("int") or i_atom}}}"',
            f'f"{{{self.of("dict") or 1}}}"',
            f"str({i})",
            f"{s}.upper()",
            f"{s}.replace('a', 'bb')",
            f"'/'.join([str(k) for k in {self.value('list', d)}])",
            f"'{{}}-{{n}}'.format({i}, n={s})",
            f"'%s|%s' % ({s}, {i})",
            f"{s}[1:]",
            f"{s}[::-1]",
            f"{s}.split('_')[0]",
            f"({s} * 2)",
        ]

    def _list(self, d):
        items, table = self.value("list", d), self.value("dict", d)
        return [
            self._list_atom(),
            f"[{self.any(d)}, {self.any(d)}]",
            f"[{self.any(d)}, *{items}]",
            f"({items} + {self.value('list', d)})",
            f"{items}[1:]",
            f"{items}[::-1]",
            f"({items} * 2)",
            f"[k for k in {items} if k]",
            f"[(n, k) for n, k in enumerate({items})]",
            "[[n] * m for n in range(2) for m in range(n + 1)]",
            f"list({table})",
            f"list({table}.keys())",
            f"[v for k, v in {table}.items() if k != 'a']",
            f"sorted({table})",
            f"list(zip({items}, range(9)))",
            f"list(reversed({items}))",
            f"[n ** 2 for n in range({self.rng.randint(0, 4)})]",
        ]

    def _tuple(self, d):
        return [
            self._tuple_atom(),
            f"({self.any(d)},)",
            f"tuple({self.value('list', d)})",
            f"({self.value('int', d)}, {self.value('str', d)})",
            f"({self.value('tuple', d)} + (1,))",
        ]

    def _dict(self, d):
        table, key = self.value("dict", d), self.rng.choice(KEYS)
        return [
            self._dict_atom(),
            f"dict({key}={self.any(d)}, z={self.any(d)})",
            f"dict(a={self.any(d)}, **{self._dict_atom().replace('a=', 'q=')})",
            f"{{'{key}': {self.any(d)}, 'y': {self.value('dict', d)}}}",
            f"{{**{table}, '{key}': {self.any(d)}}}",
            f"dict({table}, w={self.any(d)})",
            f"{{k: {self.any(d)} for k in ('a', 'c')}}",
            f"dict([('{key}', {self.any(d)})])",
            f"dict(type={self.any(d)}, _delete_=True, a={self.any(d)})",
            f"({table} or dict(n=0))",
            f"{{str(k): v for k, v in enumerate({self.value('list', d)})}}",
            f"{table}.copy()",
            f"({table} | {self.value('dict', d)})",
            f"({table}.copy() | dict(b={self.value('dict', d)}))",
            f"dict.fromkeys(['a', 'lr'], {self.any(d)})",
        ]

    def _steps(self, d):
        steps = self.value("steps", d)
        return [
            self._steps_atom(),
            f"[{self.value('dict', d)}, dict(type={self.any(d)})]",
            f"[dict(a=n, b={self.any(d)}) for n in range(2)]",
            f"[*{steps}, {self.value('dict', d)}]",
            f"{steps}[:1]",
            f"({steps} + [dict(x={self.any(d)})])",
            f"[dict(s, n=n) for n, s in enumerate({steps})]",
            f"[s for s in {steps} if s.get('a', 1)]",
        ]

    def new(self, kind):
        """A name for a value of ``kind``: a new one, or one that is taken from what is there."""
        old = self.target(kind)
        stem = "pipe" if kind == "steps" else kind[0]
        name = old if old and self.rng.random() < 0.25 else f"{stem}{self.rng.randint(0, 4)}"
        self.names[name] = kind
        return name

    def statement(self):
        kind = self.rng.choice(KINDS)
        choice = self.rng.random()
        if choice < 0.35:
            text = self.value(kind)
            self.lines.append(f"{self.new(kind)} = {text}")
        elif choice < 0.45 and (name := self.of(kind) or "").startswith("_base_"):
            taken = "{{" + name + "}}"
            made = self.pick(taken, f"dict(k={taken})", f"[{taken}]")
            self.lines.append(f"z{len(self.lines)} = {made}")
        else:
            made = self.rng.choice(self.CHANGES)
            line = made(self)
            if line:
                self.lines.append(line)

    def _target(self):
        """A dict to change: attributes of inherited dicts only, as the form asks."""
        name = self.target("dict", inherited=self.pick(True, True, None))
        return name, name in self.inherited

    def change_key(self):
        name, shared = self._target()
        if name is None:
            return ""
        key = self.rng.choice(KEYS)
        place = f"{name}.{key}" if shared and self.pick(True, False) else f"{name}['{key}']"
        return f"{place} = {self.any(0)}"

    def change_deep(self):
        name, shared = self._target()
        if name is None:
            return ""
        inner = f"{name}.b" if shared else f"{name}['b']"
        return self.pick(
            f"if isinstance({name}.get('b'), dict):\n    {inner}['x'] = {self.any(0)}",
            f"if 'b' in {name} and isinstance({inner}, dict):\n    {inner}.update(x={self.any(0)})",
            f"{name}.setdefault('b', {self.value('dict')})",
        )

    def change_update(self):
        name, _ = self._target()
        if name is None:
            return ""
        return self.pick(
            f"{name}.update({self.value('dict')})",
            f"{name}.update(dict(b=dict(y={self.any(0)})))",
            f"{name}.update(lr={self.any(0)}, b={self.value('dict')})",
            f"{name}.update(dict(_delete_=True, a={self.any(0)}))",
            f"{name}.update(b=dict(_delete_=True, k={self.any(0)}))",
            f"{name} |= {self.value('dict')}",
            f"{name} = {name} | dict(b={self.value('dict')})",
            f"{name} = dict(b={self.value('dict')}) | {name}",
            f"{name} = {name}.copy()\n{name}.update(b={self.value('dict')})",
            f"{name} |= dict(b=dict(y={self.any(0)}))",
        )

    def change_drop(self):
        name, shared = self._target()
        if name is None:
            return ""
        lines = [
            f"if 'a' in {name}:\n    del {name}['a']",
            f"{name}.pop('x', None)",
            f"u{len(self.names)} = {name}.pop('lr', {self.any(0)})",
        ]
        if shared:
            lines += [f"if 'a' in {name}:\n    del {name}.a", f"{name}.pop('nope')"]
        return self.rng.choice(lines)

    def change_list(self):
        name = self.target(self.pick("list", "steps"))
        if name is None:
            return ""
        element = self.any(0) if self.names[name] == "list" else self.value("dict")
        return self.pick(
            f"{name}.append({element})",
            f"{name}.insert(0, {element})",
            f"{name}.extend([{element}])",
            f"{name} += [{element}]",
            f"{name}[:1] = [{element}, {element}]",
            f"if {name}:\n    {name}[0] = {element}",
            f"if {name}:\n    {name}[-1] = {element}",
            f"if {name}:\n    del {name}[0]",
            f"if len({name}) > 1:\n    {name}.pop(1)",
            f"{name}.reverse()",
            f"del {name}[1:]",
        )

    def change_steps(self):
        name = self.target("steps")
        if name is None:
            return ""
        return self.pick(
            f"for n, s in enumerate({name}):\n    s['n'] = n\ndel n, s",
            f"for s in {name}:\n    s.update(k={self.any(0)})\ndel s",
            f"for s in {name}:\n    if s.get('type') == 'S':\n        s['hit'] = {self.any(0)}\n"
            f"        break\nelse:\n    {name}.append(dict(miss=1))",
            f"if {name}:\n    {name}[0].update(dict(b=dict(v={self.any(0)})))",
        )

    def change_number(self):
        name, text = self.target("int"), self.target("str")
        return self.pick(
            f"{name} += {self.value('int')}" if name else "",
            f"{name} *= 2" if name else "",
            f"{text} += {self.value('str')}" if text else "",
        )

    def unpack(self):
        text = self.pick(
            f"i8, s8 = {self.value('int')}, {self.value('str')}\nl8 = []",
            f"(i8, s8), l8 = ({self.value('int')}, {self.value('str')}), {self.value('list')}",
            f"i8, *l8 = [{self.value('int')}, {self.any(0)}, {self.any(0)}]\ns8 = ''",
            f"i8 = i9 = {self.value('int')}\ns8, l8 = 'c', list(range(3))",
        )
        self.names |= {"i8": "int", "s8": "str", "l8": "list"}
        return text

    def alias(self):
        kind = self.pick("dict", "list", "steps")
        name = self.target(kind)
        if name is None:
            return ""
        other = self.pick("v1", "v2")
        self.names[other] = kind
        self.inherited -= {other}
        if name in self.inherited:
            self.inherited |= {other}
        return f"{other} = {name}"

    def branch(self):
        one, more = self.value("int"), self.value("int")
        text = self.pick(
            f"if {one} > {more}:\n    i7 = {one}\nelif {more}:\n    i7 = {more}\nelse:\n    i7 = 0",
            f"i7 = 0\nwhile i7 < 3:\n    i7 += 1\n    if i7 == {one}:\n        continue",
            f"i7 = 1\nfor k, v in {self.value('dict')}.items():\n    i7 += len(k)\n    last = v",
        )
        self.names["i7"] = "int"
        return text

    def forget(self):
        name = self.target(self.pick("int", "str", "tuple"))
        if name is None:
            return ""
        self.names.pop(name)
        return f"del {name}"

    def function(self):
        text = (
            f"def make(a, *rest, b={self.value('int')}, **more):\n"
            f"    out = dict(a=a, b=b, rest=list(rest))\n"
            f"    for k in more:\n        out[k] = [more[k], {self.value('int')}]\n"
            f"    return out\n"
            f"d9 = make({self.any(0)}, {self.value('int')}, x={self.any(0)})"
        )
        self.names["d9"] = "dict"
        self.inherited -= {"d9"}
        return text

    CHANGES = (
        change_key,
        change_key,
        change_deep,
        change_update,
        change_update,
        change_drop,
        change_list,
        change_list,
        change_steps,
        change_number,
        unpack,
        alias,
        branch,
        forget,
        function,
    )

    def write(self, count):
        for _ in range(count):
            self.statement()


def program(seed: int, form: str = "read_base") -> dict[str, str]:
    """The files of one random program in the form ``read_base`` or ``text``."""
    rng = random.Random(f"{form} {seed}")
    files: dict[str, str] = {}
    known: dict[str, tuple[dict[str, str], list[str]]] = {}
    order = ["parts/low.py", "base.py", "child.py"]
    if rng.random() < 0.5:
        order.insert(1, "parts/mid.py")
    for name in order:
        if form == "text":
            lines, names = _bases(rng, name, known)
            classes: list[str] = []
        else:
            lines, names, classes = _read_bases(rng, name, known)
            for text in rng.sample(list(IMPORTS), rng.randint(0, 2)):
                lines.append(text)
                classes += IMPORTS[text]
        writer = Writer(rng, names, classes)
        writer.write(rng.randint(3, 8))
        files[name] = "\n".join([*lines, *writer.lines]) + "\n"
        names = {key.removeprefix("_base_."): kind for key, kind in writer.names.items()}
        known[name] = names, writer.classes
    return files


def _bases(rng, name, known):
    """The head of a file in the text form: ``_base_``, and what it offers."""
    if not known or (name == "base.py" and rng.random() < 0.3):
        return [], {}
    chosen = rng.sample(list(known), rng.randint(1, min(2, len(known))))
    paths = [os.path.relpath(other, os.path.dirname(name) or ".") for other in chosen]
    text = repr(paths[0]) if len(paths) == 1 and rng.random() < 0.5 else repr(paths)
    names = {key: kind for other in chosen for key, kind in known[other][0].items()}
    return [f"_base_ = {text}"], {f"_base_.{key}": kind for key, kind in names.items()}


def _read_bases(rng, name, known):
    """The head of a file in the pure-Python form: what it imports under ``with read_base():``."""
    names: dict[str, str] = {}
    classes: list[str] = []
    if not known or (name == "base.py" and rng.random() < 0.3):
        return [], names, classes
    lines = ["from mmengine.config import read_base", "with read_base():"]
    for other in rng.sample(list(known), rng.randint(1, min(2, len(known)))):
        module = _module(name, other)
        theirs, their_classes = known[other]
        plain = [c for c in their_classes if "." not in c]
        if rng.random() < 0.6 or not theirs:
            lines.append(f"    from {module} import *")
            names |= theirs
            classes += their_classes
            continue
        for taken in rng.sample(list(theirs), min(2, len(theirs))):
            alias = rng.choice(["", f" as {taken}x"])
            lines.append(f"    from {module} import {taken}{alias}")
            names[f"{taken}x" if alias else taken] = theirs[taken]
        if plain and rng.random() < 0.5:
            lines.append(f"    from {module} import {plain[0]}")
            classes.append(plain[0])
    return lines, names, classes


def _module(name: str, other: str) -> str:
    """The relative module of ``other`` as seen from ``name``."""
    inside, below = name.startswith("parts/"), other.startswith("parts/")
    stem = other.removesuffix(".py").replace("/", ".")
    return f".{stem.removeprefix('parts.')}" if inside and below else f".{stem}"
