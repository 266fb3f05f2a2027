"""A reader of the pickle language that builds inert data: it imports nothing and calls nothing.

About sixty opcodes over a stack. What they mean stands in `constructors`; all else is `Refused`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from loopwright.checkpoint import constructors
from loopwright.checkpoint.errors import Broken, Refused
from loopwright.checkpoint.inert import Global

MEMORY = 192 << 20
MAX_STEPS = 4_000_000
SMALL, CONTAINER, SET = 64, 96, 256
MAX_INT_BYTES = 1024


def read_pickle(data: bytes | memoryview, start: int = 0) -> tuple[Any, int]:
    """The value described at ``start`` and where the description ends.

    `Refused` names a global that is not on the list; `Broken` is for damage.

    >>> read_pickle(b"\\x80\\x02}q\\x00X\\x01\\x00\\x00\\x00aK\\x01s.")[0]
    {'a': 1}
    >>> read_pickle(b"cos\\nsystem\\n(S'true'\\ntR.")
    Traceback (most recent call last):
    ...
    loopwright.checkpoint.errors.Refused: the file wants os.system, which is not data
    """
    machine = _Machine(memoryview(data), start)
    try:
        return machine.run(), machine.place
    except (IndexError, struct.error, UnicodeError, ValueError, TypeError, KeyError) as error:
        raise Broken(f"a damaged pickle at byte {machine.place}: {type(error).__name__}") from error
    except (RecursionError, OverflowError, MemoryError) as error:
        raise Broken(f"a pickle made to break readers, at byte {machine.place}") from error


class _Mark:
    """Where a group of stack entries begins."""


MARK = _Mark()


class _Machine:
    """Stack, memo and place of one reading; a budget bounds the memory it may describe."""

    def __init__(self, data: memoryview, start: int) -> None:
        self.data, self.place = data, start
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.left = MEMORY

    def run(self) -> Any:
        """Follow opcodes until STOP."""
        for _ in range(MAX_STEPS):
            code = self.data[self.place]
            self.place += 1
            if code == 0x2E:
                return self.pop()
            step = STEPS.get(code)
            if step is None:
                raise Refused(f"the pickle opcode {bytes([code])!r}, which no data needs")
            step(self)
        raise Refused(f"a pickle of more than {MAX_STEPS} steps")

    # -- bytes ----------------------------------------------------------------------------------

    def take(self, count: int) -> memoryview:
        """The next bytes, all of them."""
        end = self.place + count
        if count < 0 or end > len(self.data):
            raise Broken(f"a pickle cut short: {count} bytes wanted at {self.place}")
        taken = self.data[self.place : end]
        self.place = end
        return taken

    def number(self, form: str) -> int:
        """A little-endian number."""
        return int(struct.unpack(form, self.take(struct.calcsize(form)))[0])

    def line(self) -> str:
        """Text up to the next newline (old protocols)."""
        end = self.place
        while self.data[end] != 0x0A:
            end += 1
            if end - self.place > 4096:
                raise Broken("a line without end")
        text = bytes(self.data[self.place : end]).decode("utf-8")
        self.place = end + 1
        return text

    # -- stack ----------------------------------------------------------------------------------

    def push(self, value: Any, cost: int = SMALL) -> None:
        """Put a value on the stack and its cost on the bill."""
        self.left -= cost
        if self.left < 0:
            raise Refused(f"a pickle that describes more than {MEMORY >> 20} MB of objects")
        self.stack.append(value)

    def pop(self) -> Any:
        """The value on top."""
        value = self.stack.pop()
        if value is MARK:
            raise Broken("a pickle out of balance")
        return value

    def group(self) -> list[Any]:
        """Everything since the last mark."""
        for place in range(len(self.stack) - 1, -1, -1):
            if self.stack[place] is MARK:
                found = self.stack[place + 1 :]
                del self.stack[place:]
                return found
        raise Broken("a pickle out of balance")

    def top(self, kind: type | tuple[type, ...]) -> Any:
        """The value on top, left there, of the kind wanted."""
        value = self.stack[-1]
        if not isinstance(value, kind):
            raise Broken(f"a {type(value).__name__} where a container was wanted")
        return value

    # -- steps that need more than a line --------------------------------------------------------

    def text(self, form: str) -> None:
        """Unicode of a given length."""
        size = self.number(form)
        self.push(str(self.take(size), "utf-8", "surrogatepass"), SMALL + 4 * size)

    def raw(self, form: str) -> None:
        """Bytes of a given length."""
        size = self.number(form)
        self.push(bytes(self.take(size)), SMALL + size)

    def old_text(self, form: str) -> None:
        """Python 2 strings: bytes that may be text; latin-1 keeps them all."""
        size = self.number(form)
        self.push(str(self.take(size), "latin-1"), SMALL + 4 * size)

    def quoted(self) -> None:
        """The quoted string of protocol 0, without escapes."""
        text = self.line()
        if len(text) < 2 or text[0] != text[-1] or text[0] not in "'\"" or "\\" in text:
            raise Broken("a string that is not simply quoted")
        self.push(text[1:-1], SMALL + len(text))

    def long(self, form: str) -> None:
        """A whole number of some bytes."""
        size = self.number(form)
        if size > MAX_INT_BYTES:
            raise Refused(f"a number of {size} bytes")
        self.push(int.from_bytes(self.take(size), "little", signed=True))

    def long_line(self) -> None:
        """A decimal number in text."""
        self.push(int(self.line().rstrip("L")))

    def int_line(self) -> None:
        """A decimal number, or the truth values of protocol 0."""
        text = self.line()
        self.push({"00": False, "01": True}.get(text) if text in ("00", "01") else int(text))

    def tuple_of(self, count: int) -> None:
        """The last few values as a tuple."""
        items = [self.pop() for _ in range(count)]
        self.push(tuple(reversed(items)), SMALL + 8 * count)

    def dict_of_group(self) -> None:
        """Alternating keys and values."""
        made: dict[Any, Any] = {}
        self._fill(made, self.group())
        self.push(made, CONTAINER)

    def set_item(self) -> None:
        """One entry of the dict below."""
        value, key = self.pop(), self.pop()
        self._fill(self.top(dict), [key, value])

    def set_items(self) -> None:
        """Many entries of the dict below."""
        items = self.group()
        self._fill(self.top(dict), items)

    def _fill(self, target: dict[Any, Any], items: list[Any]) -> None:
        if len(items) % 2:
            raise Broken("a key without a value")
        for place in range(0, len(items), 2):
            target[constructors.check_key(items[place])] = items[place + 1]
        self.left -= CONTAINER * len(items)

    def append(self) -> None:
        """One more value in the list below."""
        value = self.pop()
        self.top(list).append(value)

    def appends(self) -> None:
        """More values in the list below."""
        items = self.group()
        self.top(list).extend(items)

    def add_items(self) -> None:
        """More members in the set below."""
        items = [constructors.check_key(item) for item in self.group()]
        self.top(set).update(items)
        self.left -= CONTAINER * len(items)

    def global_line(self) -> None:
        """A name in two lines of text."""
        module = self.line()
        self._mention(module, self.line())

    def global_stack(self) -> None:
        """A name from the stack."""
        name, module = self.pop(), self.pop()
        if type(name) is not str or type(module) is not str:
            raise Refused("a global whose name is no text")
        self._mention(module, name)

    def _mention(self, module: str, name: str) -> None:
        if not constructors.known(module, name):
            raise Refused(f"the file wants {module[:100]}.{name[:100]}, which is not data")
        self.push(Global(module, name))

    def reduce(self) -> None:
        """What a constructor on the list describes."""
        args, function = self.pop(), self.pop()
        if type(args) is not tuple:
            raise Broken("a call without a tuple of arguments")
        self.push(constructors.call(function, args), SET)

    def new_object(self) -> None:
        """An object of a class on the list."""
        args, kind = self.pop(), self.pop()
        if type(args) is not tuple:
            raise Broken("an object without a tuple of arguments")
        self.push(constructors.make_object(kind, args), SET)

    def build(self) -> None:
        """Fill the object below."""
        state = self.pop()
        constructors.build(self.stack[-1], state)

    def recall(self, key: int) -> None:
        """A value noted before."""
        self.push(self.memo[key], 8)

    def note(self, key: int) -> None:
        """Note the value on top."""
        self.left -= CONTAINER
        value = self.stack[-1]
        if value is MARK:
            raise Broken("a mark noted as a value")
        self.memo[key] = value

    def frame(self) -> None:
        """A length that only helps streams; it must fit."""
        if self.number("<Q") > len(self.data) - self.place:
            raise Broken("a frame longer than the file")


def _protocol(machine: _Machine) -> None:
    version = machine.number("<B")
    if version > 5:
        raise Broken(f"pickle protocol {version}")


def _frozenset(machine: _Machine) -> None:
    machine.push(frozenset(constructors.check_key(item) for item in machine.group()), SET)


def _drop_group(machine: _Machine) -> None:
    machine.group()


def _again(machine: _Machine) -> None:
    machine.push(machine.top(object), 8)


STEPS: dict[int, Callable[[_Machine], Any]] = {
    ord("\x80"): _protocol,
    ord("\x95"): _Machine.frame,
    ord("("): lambda m: m.push(MARK, 8),
    ord("0"): _Machine.pop,
    ord("1"): _drop_group,
    ord("2"): _again,
    ord("N"): lambda m: m.push(None, 8),
    ord("\x88"): lambda m: m.push(True, 8),
    ord("\x89"): lambda m: m.push(False, 8),
    ord("I"): _Machine.int_line,
    ord("J"): lambda m: m.push(m.number("<i")),
    ord("K"): lambda m: m.push(m.number("<B"), 8),
    ord("M"): lambda m: m.push(m.number("<H")),
    ord("L"): _Machine.long_line,
    ord("\x8a"): lambda m: m.long("<B"),
    ord("\x8b"): lambda m: m.long("<i"),
    ord("F"): lambda m: m.push(float(m.line())),
    ord("G"): lambda m: m.push(struct.unpack(">d", m.take(8))[0]),
    ord("S"): _Machine.quoted,
    ord("T"): lambda m: m.old_text("<i"),
    ord("U"): lambda m: m.old_text("<B"),
    ord("V"): lambda m: m.push(m.line(), SMALL + 4096),
    ord("X"): lambda m: m.text("<I"),
    ord("\x8c"): lambda m: m.text("<B"),
    ord("\x8d"): lambda m: m.text("<Q"),
    ord("B"): lambda m: m.raw("<I"),
    ord("C"): lambda m: m.raw("<B"),
    ord("\x8e"): lambda m: m.raw("<Q"),
    ord("\x96"): lambda m: m.push(bytearray(m.take(m.number("<Q"))), SET),
    ord("]"): lambda m: m.push([], CONTAINER),
    ord("l"): lambda m: m.push(m.group(), CONTAINER),
    ord("}"): lambda m: m.push({}, CONTAINER),
    ord("d"): _Machine.dict_of_group,
    ord("\x8f"): lambda m: m.push(set(), SET),
    ord("\x90"): _Machine.add_items,
    ord("\x91"): _frozenset,
    ord(")"): lambda m: m.push((), 8),
    ord("t"): lambda m: m.push(tuple(m.group()), CONTAINER),
    ord("\x85"): lambda m: m.tuple_of(1),
    ord("\x86"): lambda m: m.tuple_of(2),
    ord("\x87"): lambda m: m.tuple_of(3),
    ord("a"): _Machine.append,
    ord("e"): _Machine.appends,
    ord("s"): _Machine.set_item,
    ord("u"): _Machine.set_items,
    ord("c"): _Machine.global_line,
    ord("\x93"): _Machine.global_stack,
    ord("R"): _Machine.reduce,
    ord("\x81"): _Machine.new_object,
    ord("b"): _Machine.build,
    ord("Q"): lambda m: m.push(constructors.make_storage(m.pop()), SET),
    ord("g"): lambda m: m.recall(int(m.line())),
    ord("h"): lambda m: m.recall(m.number("<B")),
    ord("j"): lambda m: m.recall(m.number("<I")),
    ord("p"): lambda m: m.note(int(m.line())),
    ord("q"): lambda m: m.note(m.number("<B")),
    ord("r"): lambda m: m.note(m.number("<I")),
    ord("\x94"): lambda m: m.note(len(m.memo)),
}
