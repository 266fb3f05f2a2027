"""Generators of hostile checkpoints: each writes a file or folder that attacks its reader.

Nothing here is stored as a binary; every case is built from bytes in the open.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from loopwright.checkpoint.manifest import FileNote, Manifest, seal, write_manifest
from loopwright.checkpoint.tensorfile import make_header

Make = Callable[[Path], Path]
CASES: dict[str, Make] = {}

GLOBALS = [
    "os system", "posix system", "nt system", "subprocess Popen", "subprocess check_output",
    "builtins eval", "builtins exec", "builtins compile", "builtins __import__", "builtins open",
    "builtins getattr", "builtins globals", "__builtin__ eval", "__builtin__ execfile",
    "importlib import_module", "runpy run_path", "shutil rmtree", "pty spawn", "sys exit",
    "os _exit", "ctypes CDLL", "socket socket", "webbrowser open", "code interact", "pickle loads",
    "_pickle loads", "marshal loads", "types CodeType", "types FunctionType", "functools partial",
    "operator attrgetter", "operator methodcaller", "copyreg _reconstructor", "torch load",
    "torch.hub load", "torch.storage _load_from_bytes", "torch.serialization load",
    "torch.jit load", "torch._utils _rebuild_wrapper_subclass", "torch.nn.modules.linear Linear",
    "numpy load", "numpy.f2py.crackfortran getlincoef",
    "loopwright.checkpoint.trusted load_trusted",
    "multiprocessing.connection Client", "bdb Bdb", "timeit timeit", "cProfile run",
]  # fmt: skip


def case(label: str) -> Callable[[Make], Make]:
    """Name a generator."""

    def keep(make: Make) -> Make:
        assert label not in CASES, label
        CASES[label] = make
        return make

    return keep


# -- builders -------------------------


def text(value: str) -> bytes:
    """A pickled string."""
    raw = value.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def whole(value: int) -> bytes:
    """A pickled integer of any size."""
    raw = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(raw)]) + raw


def numbers(*values: int) -> bytes:
    """A pickled tuple of integers."""
    return b"(" + b"".join(whole(value) for value in values) + b"t"


def torch_zip(pickle: bytes, storages: dict[str, bytes] | None = None) -> bytes:
    """A file as torch.save writes it, around any pickle."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("archive/data.pkl", pickle)
        archive.writestr("archive/byteorder", "little")
        for key, raw in (storages or {}).items():
            archive.writestr(f"archive/data/{key}", raw)
        archive.writestr("archive/version", "3\n")
    return out.getvalue()


def legacy(pickle: bytes) -> bytes:
    """The format of torch before 1.6 around any pickle."""
    head = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19." + b"\x80\x02M\xe9\x03."
    return head + b"\x80\x02}." + pickle + b"\x80\x02]."


def tensor(
    *, key: str = "0", numel: int = 4, offset: int = 0, size=(4,), stride=(1,), kind="FloatStorage"
) -> bytes:
    """A pickled tensor with whatever numbers."""
    storage = b"(" + text("storage") + b"ctorch\n" + kind.encode() + b"\n"
    storage += text(key) + text("cpu") + whole(numel) + b"tQ"
    args = b"(" + storage + whole(offset) + numbers(*size) + numbers(*stride)
    return b"ctorch._utils\n_rebuild_tensor_v2\n" + args + b"\x89}tR"


def pickled(body: bytes) -> bytes:
    """Protocol and stop around a body."""
    return b"\x80\x02" + body + b"."


def write(path: Path, raw: bytes) -> Path:
    """A file with these bytes."""
    path.write_bytes(raw)
    return path


def native(
    root: Path, files: dict[str, bytes], *, lies: dict[str, FileNote] | None = None, **changes
) -> Path:
    """A folder of ours with right sizes and digests around any content."""
    folder = root / "iter_1"
    folder.mkdir()
    notes = {}
    for name, raw in files.items():
        if "/" not in name:
            (folder / name).write_bytes(raw)
        notes[name] = FileNote(len(raw), hashlib.sha256(raw).hexdigest())
    notes.update(lies or {})
    fields = {"name": "iter_1", "step": 1, "sequence": 1, "save_id": "x", "files": notes, **changes}
    (folder / "MANIFEST.json").write_bytes(write_manifest(Manifest(**fields)))
    return folder


def state_json(tree: object) -> dict[str, bytes]:
    """A state.json with any tree."""
    return {"state.json": json.dumps({"save_id": "x", "state": tree}).encode()}


def with_tensors(tree: object, raw: bytes = b"\0" * 16) -> dict[str, bytes]:
    """A state.json beside four floats called w."""
    header, _ = make_header({"w": ("F32", [4])}, metadata={"save_id": "x"})
    return {**state_json(tree), "model.safetensors": header + raw}


def safetensors(header: object, data: bytes = b"", *, length: int | None = None) -> bytes:
    """A safetensors file around any header."""
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(raw) if length is None else length) + raw + data


# -- pickles that want to run something -------------------------

CONTAINERS = {"zip": torch_zip, "legacy": legacy, "bare": lambda pickle: pickle}


def _reducer(module: str, name: str, container: str) -> Make:
    call = f"c{module}\n{name}\n".encode() + b"(" + text("touch HACKED") + b"tR"
    return lambda root: write(root / "evil.pth", CONTAINERS[container](pickled(call)))


for _index, _pair in enumerate(GLOBALS):
    _module, _name = _pair.split()
    # All in the zip; in turn in the other two.
    for _kind in ("zip", ("legacy", "bare")[_index % 2]):
        case(f"reduce {_module}.{_name} in {_kind}")(_reducer(_module, _name, _kind))

VARIANTS = {
    "stack global": b"\x80\x04" + text("os") + text("system") + b"\x93" + text("id") + b"\x85R.",
    "inst": pickled(b"(" + text("id") + b"ios\nsystem\n"),
    "obj": pickled(b"(cos\nsystem\n" + text("id") + b"o"),
    "new object": pickled(b"cos\nsystem\n" + text("id") + b"\x85\x81"),
    "new object ex": b"\x80\x04cos\nsystem\n" + text("id") + b"\x85}\x92.",
    "extension": pickled(b"\x82\x01"),
    "persistent id by text": b"Pos.system\n.",
    "build with setstate": pickled(b"ccollections\nOrderedDict\n)R}" + text("__class__") + b"Ksb"),
    "dotted name": pickled(b"cbuiltins\nset.__class__.__base__\n)R"),
    "getattr on os": pickled(
        b"cbuiltins\ngetattr\n(ccollections\nOrderedDict\n" + text("x") + b"tR"
    ),
    "call a string": pickled(text("os.system") + text("id") + b"\x85R"),
    "ordered dict factory": pickled(b"ccollections\ndefaultdict\ncos\nsystem\n\x85R"),
    "nested torch blob": pickled(
        b"ctorch.storage\n_load_from_bytes\n" + b"B" + struct.pack("<I", 4) + b"PK\3\4\x85R"
    ),
    "tensor type": pickled(
        b"ctorch._tensor\n_rebuild_from_type_v2\n(cos\nsystem\ncos\nsystem\n" + b")}tR"
    ),
    "codec": pickled(b"c_codecs\nencode\n" + text("x") + text("zip") + b"\x86R"),
    "numpy object array": pickled(b"cnumpy\ndtype\n" + text("O8") + b"\x89\x88\x87R"),
    "numpy scalar of object": pickled(
        b"cnumpy.core.multiarray\nscalar\ncnumpy\ndtype\n" + text("O") + b"\x85RC\x08aaaaaaaa\x86R"
    ),
    "unhashable key": pickled(b"}]K\x01s"),
    "mark as value": pickled(b"(q\x00h\x00"),
    "stack underflow": pickled(b"RRRR"),
    "no stop": b"\x80\x02]",
    "empty": b"\x80\x02.",
    "protocol 9": b"\x80\x09N.",
}
for _label, _raw in VARIANTS.items():
    case(f"pickle {_label}")(lambda root, raw=_raw: write(root / "evil.pth", torch_zip(raw)))

# -- pickles that want memory or time -------------------------

BOMBS: dict[str, Callable[[], bytes]] = {
    "deep lists": lambda: pickled(b"]" * 300_000 + b"a" * 299_999),
    "deep tuples as a key": lambda: pickled(b"}" + b")" + b"\x85" * 300_000 + b"Ns"),
    "dag of lists": lambda: pickled(b"]q\0" + b"".join(b"](h\0h\0eq\0" for _ in range(64))),
    "list in itself": lambda: pickled(b"]q\0h\0a"),
    "dict in itself": lambda: pickled(b"}q\0K\x01h\0s"),
    "a string of 4 GB": lambda: pickled(b"X\xff\xff\xff\xffa"),
    "bytes of 2^63": lambda: b"\x80\x04\x8e" + struct.pack("<Q", 2**63) + b"a.",
    "bytearray of 10^12": lambda: b"\x80\x05\x96" + struct.pack("<Q", 10**12) + b".",
    "bytearray by call": lambda: pickled(b"cbuiltins\nbytearray\n" + whole(10**12) + b"\x85R"),
    "a number of 2 GB": lambda: pickled(b"\x8b\xff\xff\xff\x7f1"),
    "a long decimal": lambda: b"L" + b"9" * 100_000 + b"L\n.",
    "a frame of 2^63": lambda: b"\x80\x04\x95" + struct.pack("<Q", 2**63) + b"N.",
    "millions of sets": lambda: b"\x80\x04" + b"\x8f" * 3_000_000 + b".",
    "millions of lists": lambda: pickled(b"]" * 8_000_000),
    "millions of steps": lambda: pickled(b"N0" * 4_000_000 + b"N"),
    "colliding keys": lambda: pickled(
        b"}(" + b"".join(whole(k * (2**61 - 1)) + b"N" for k in range(1, 40_000)) + b"u"
    ),
    "memo of 2^32": lambda: pickled(b"Nr\xff\xff\xff\xff" * 100_000),
    "sets of strings": lambda: b"\x80\x04\x8f(" + text("a") * 500_000 + b"\x90.",
}
for _label, _bomb in BOMBS.items():
    case(f"bomb {_label}")(lambda root, bomb=_bomb: write(root / "evil.pth", torch_zip(bomb())))


# -- tensors that lie -------------------------

LIES = {
    "offset beyond": {"offset": 1},
    "offset of 2^62": {"offset": 2**62},
    "negative offset": {"offset": -4},
    "size beyond": {"size": (5,)},
    "size of 2^62": {"size": (2**62,)},
    "sizes that overflow": {"size": (2**32, 2**32), "stride": (0, 0)},
    "negative stride": {"stride": (-1,)},
    "stride of 2^62": {"size": (4,), "stride": (2**62,)},
    "negative size": {"size": (-4,)},
    "size and stride differ": {"stride": (1, 1)},
    "stretched to 10^12": {"size": (10**12,), "stride": (0,)},
    "stretched to 2^40 by 4": {"size": (2**20, 2**20), "stride": (0, 0)},
    "100 dimensions": {"size": (1,) * 100, "stride": (1,) * 100},
    "storage larger than its record": {"numel": 10**9},
    "storage of 2^62": {"numel": 2**62},
    "storage smaller than its record": {"numel": 1},
    "negative storage": {"numel": -1},
    "another type of storage": {"kind": "DoubleStorage"},
    "no such storage": {"key": "7"},
    "storage by path": {"key": "../../../../etc/passwd"},
    "storage by absolute path": {"key": "/etc/passwd"},
}  # fmt: skip
for _label, _lie in LIES.items():
    case(f"tensor {_label}")(
        lambda root, lie=_lie: write(
            root / "evil.pth", torch_zip(pickled(tensor(**lie)), {"0": b"\0" * 16})
        )
    )

# -- zip files that lie -------------------------

GOOD = torch_zip(pickled(tensor()), {"0": b"\0" * 16})


def patched(raw: bytes, sign: bytes, offset: int, new: bytes, *, nth: int = 0) -> bytes:
    """Overwrite bytes some way after the n-th sign."""
    place = -1
    for _ in range(nth + 1):
        place = raw.index(sign, place + 1)
    place += offset
    return raw[:place] + new + raw[place + len(new) :]


DIRECTORY = b"PK\x01\x02"
END = b"PK\x05\x06"
ZIPS: dict[str, Callable[[], bytes]] = {
    "size of 4 GB": lambda: patched(GOOD, DIRECTORY, 20, b"\xfe\xff\xff\xff" * 2, nth=2),
    "packed size differs": lambda: patched(GOOD, DIRECTORY, 20, b"\x01\0\0\0", nth=2),
    "method deflate": lambda: patched(GOOD, DIRECTORY, 10, b"\x08\0"),
    "encrypted": lambda: patched(GOOD, DIRECTORY, 8, b"\x01\0"),
    "record over another": lambda: patched(GOOD, DIRECTORY, 42, b"\0\0\0\0", nth=2),
    "record beyond the end": lambda: patched(GOOD, DIRECTORY, 42, b"\xff\xff\xff\x7f", nth=2),
    "zip64 without its record": lambda: patched(GOOD, DIRECTORY, 42, b"\xff\xff\xff\xff", nth=2),
    "65534 records": lambda: patched(GOOD, END, 8, b"\xfe\xff" * 2),
    "zip64 end without a place": lambda: patched(GOOD, END, 8, b"\xff\xff" * 2),
    "directory beyond the end": lambda: patched(GOOD, END, 16, b"\xff\xff\xff\x7f"),
    "directory of 4 GB": lambda: patched(GOOD, END, 12, b"\xfe\xff\xff\xff"),
    "another disk": lambda: patched(GOOD, END, 4, b"\x07\0"),
    "checksum wrong": lambda: patched(GOOD, DIRECTORY, 16, b"\1\2\3\4", nth=2),
    "payload changed": lambda: patched(GOOD, b"archive/data/0", 14, b"\xff"),
    "two pickles": lambda: _zip_of({"a/data.pkl": b"N.", "b/data.pkl": b"N."}),
    "a name twice": lambda: _zip_of_pairs([("a/data.pkl", b"N."), ("a/data.pkl", b"N.")]),
    "no pickle": lambda: _zip_of({"a/readme.txt": b"hello"}),
    "a deflate bomb": lambda: _zip_of({"a/data.pkl": b"\0" * 5_000_000}, zipfile.ZIP_DEFLATED),
    "torchscript": lambda: _zip_of({"m/data.pkl": b"N.", "m/constants.pkl": b"N."}),
    "npz": lambda: _zip_of({"arr_0.npy": b"\x93NUMPY"}),
    "big-endian": lambda: _zip_of({"a/data.pkl": b"N.", "a/byteorder": b"big"}),
    "a name that is no text": lambda: patched(GOOD, DIRECTORY, 46, b"\xff\xfe"),
    "cut in the directory": lambda: GOOD[:-40],
    "behind a shell script": lambda: b"#!/bin/sh\ntouch HACKED\n" + GOOD,
}


def _zip_of(files: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    return _zip_of_pairs(list(files.items()), method)


def _zip_of_pairs(files: list[tuple[str, bytes]], method: int = zipfile.ZIP_STORED) -> bytes:
    import warnings

    out = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(out, "w", method) as archive:
        warnings.simplefilter("ignore")
        for name, raw in files:
            archive.writestr(name, raw)
    return out.getvalue()


for _label, _zip in ZIPS.items():
    case(f"zip {_label}")(lambda root, make=_zip: write(root / "evil.pth", make()))

# -- safetensors -------------------------


def slot(shape=(4,), start: int = 0, end: int = 16, dtype: object = "F32") -> dict:
    """One header entry with whatever numbers."""
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [start, end]}


HEADERS: dict[str, Callable[[], bytes]] = {
    "header of 10^12": lambda: safetensors(b"{" + b" " * 20, length=10**12),
    "header of 2^64": lambda: safetensors(b"{" + b" " * 20, length=2**64 - 1),
    "overlap": lambda: safetensors({"a": slot(), "b": slot()}, b"\0" * 32),
    "gap": lambda: safetensors({"a": slot(), "b": slot(start=20, end=36)}, b"\0" * 36),
    "too little data": lambda: safetensors({"a": slot()}, b"\0" * 8),
    "too much data": lambda: safetensors({"a": slot()}, b"\0" * 80),
    "shape of 2^62": lambda: safetensors({"a": slot(shape=(2**62,))}, b"\0" * 16),
    "shape that overflows": lambda: safetensors({"a": slot(shape=(2**62, 4, 0, 2**62), end=0)}),
    "negative shape": lambda: safetensors({"a": slot(shape=(-2, -2))}, b"\0" * 16),
    "negative offsets": lambda: safetensors({"a": slot(start=-16, end=0)}, b"\0" * 16),
    "offsets backwards": lambda: safetensors({"a": slot(start=16, end=0)}, b"\0" * 16),
    "a float shape": lambda: safetensors({"a": slot(shape=(4.0,))}, b"\0" * 16),
    "a true shape": lambda: safetensors({"a": slot(shape=(True, 4))}, b"\0" * 16),
    "unknown dtype": lambda: safetensors({"a": slot(dtype="EVIL")}, b"\0" * 16),
    "dtype is a list": lambda: safetensors({"a": slot(dtype=["F32"])}, b"\0" * 16),
    "a key twice": lambda: safetensors(
        b'{"a":' + json.dumps(slot()).encode() + b',"a":' + json.dumps(slot()).encode() + b"}",
        b"\0" * 16,
    ),
    "nested 10^5 deep": lambda: safetensors(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    "NaN": lambda: safetensors(b'{"a":NaN}'),
    "a number of 10^5 digits": lambda: safetensors(b'{"a":' + b"9" * 100_000 + b"}"),
    "metadata of numbers": lambda: safetensors({"__metadata__": {"a": 1}}),
    "100 dimensions": lambda: safetensors({"a": slot(shape=(1,) * 100, end=4)}, b"\0" * 4),
    "an entry too many": lambda: safetensors({"a": {**slot(), "x": 1}}, b"\0" * 16),
    "a million empty lists": lambda: safetensors(b'{"a":[' + b"[]," * 1_000_000 + b"[]]}"),
}
for _label, _header in HEADERS.items():
    case(f"safetensors {_label}")(
        lambda root, make=_header: write(root / "evil.safetensors", make())
    )

# -- folders of ours -------------------------

LEAF = {"$": "tensor", "file": "model", "name": "w"}
TREES: dict[str, object] = {
    "unknown kind": {"$": "os.system", "v": "id"},
    "kind is a list": {"$": ["tensor"]},
    "no such tensor": {**LEAF, "name": "x"},
    "tensor by path": {**LEAF, "file": "../../etc/passwd"},
    "tensor name is a dict": {**LEAF, "name": {}},
    "raw dtype that does not fit": {**LEAF, "dtype": "complex128", "shape": [9]},
    "raw dtype by name": {**LEAF, "dtype": "load", "shape": [4]},
    "array of objects": {**LEAF, "$": "ndarray", "dtype": "|O", "shape": [2]},
    "array with a field": {**LEAF, "$": "ndarray", "dtype": "i4,i4", "shape": [2]},
    "array dtype of 10^9": {**LEAF, "$": "ndarray", "dtype": "(1000000000,)f8", "shape": [1]},
    "array of 10^12": {**LEAF, "$": "ndarray", "dtype": "<f4", "shape": [10**12]},
    "empty array of 10^9": {**LEAF, "$": "ndarray", "dtype": "<U0", "shape": [10**9]},
    "scalar of objects": {"$": "npscalar", "dtype": "|O", "v": "AAAAAAAAAAA="},
    "scalar of 10^6 bytes": {"$": "npscalar", "dtype": "|S999999", "v": "AAAA"},
    "dtype load": {"$": "dtype", "v": "load"},
    "dtype hub": {"$": "dtype", "v": "hub.load"},
    "device of nonsense": {"$": "device", "v": "x" * 100_000},
    "size of text": {"$": "size", "v": ["a"]},
    "bytes that are no base64": {"$": "bytes", "v": "***"},
    "float of text": {"$": "float", "v": "__import__('os')"},
    "int of text": {"$": "int", "v": "zz"},
    "set of lists": {"$": "set", "v": [[1]]},
    "dict with a dict as key": {"$": "dict", "v": [[{}, 1]]},
    "pairs of three": {"$": "dict", "v": [[1, 2, 3]]},
    "colliding keys": {"$": "dict", "v": [[k * (2**61 - 1), 0] for k in range(1, 4)]},
    "counter of text": {"$": "counter", "v": [["a"]]},
    "no value": {"$": "tuple"},
}
for _label, _tree in TREES.items():
    case(f"state {_label}")(lambda root, tree=_tree: native(root, with_tensors(tree)))


def _deep(depth: int) -> bytes:
    return b'{"save_id":"x","state":' + b"[" * depth + b"]" * depth + b"}"


@case("state nested 10^5 deep")
def _(root: Path) -> Path:
    return native(root, {"state.json": _deep(100_000)})


@case("state nested 900 deep")
def _(root: Path) -> Path:
    return native(root, {"state.json": _deep(900)})


@case("state of 40 MB")
def _(root: Path) -> Path:
    return native(root, {"state.json": b" " * (40 << 20)})


@case("state of another save")
def _(root: Path) -> Path:
    return native(root, {"state.json": b'{"save_id":"y","state":1}'})


@case("state is a list")
def _(root: Path) -> Path:
    return native(root, {"state.json": b"[]"})


@case("tensors of another save")
def _(root: Path) -> Path:
    header, _ = make_header({"w": ("F32", [4])}, metadata={"save_id": "y"})
    return native(root, {**state_json(LEAF), "model.safetensors": header + b"\0" * 16})


@case("no state at all")
def _(root: Path) -> Path:
    return native(root, {})


def manifest(root: Path, raw: bytes) -> Path:
    """A folder with these bytes as its manifest."""
    folder = root / "iter_1"
    folder.mkdir()
    (folder / "state.json").write_bytes(b"{}")
    (folder / "MANIFEST.json").write_bytes(raw)
    return folder


BODY = {
    "format": "loopwright-checkpoint", "version": 1, "name": "iter_1", "step": 1, "sequence": 1,
    "save_id": "x", "made_by": {}, "meta": None, "files": {},
}  # fmt: skip
NOTE = {"size": 2, "sha256": "0" * 64}
BODIES: dict[str, dict] = {
    "file by path": {"files": {"../../etc/passwd": NOTE}},
    "file by absolute path": {"files": {"/etc/passwd": NOTE}},
    "file is the manifest": {"files": {"MANIFEST.json": NOTE}},
    "file with a NUL": {"files": {"a\0b": NOTE}},
    "file that is hidden": {"files": {".ssh": NOTE}},
    "file of a negative size": {"files": {"a": {**NOTE, "size": -1}}},
    "file of a true size": {"files": {"a": {**NOTE, "size": True}}},
    "digest of text": {"files": {"a": {**NOTE, "sha256": "x"}}},
    "files as a list": {"files": []},
    "version 999": {"version": 999},
    "step of text": {"step": "1"},
    "another format": {"format": "evil"},
    "10^5 files": {"files": {f"f{k}": NOTE for k in range(100_000)}},
    "a file that is not there": {"files": {"state.json": NOTE, "gone.safetensors": NOTE}},
    "wrong digest": {"files": {"state.json": NOTE}},
}
for _label, _change in BODIES.items():
    case(f"manifest {_label}")(
        lambda root, change=_change: manifest(root, seal({**BODY, **change}))
    )

RAW_MANIFESTS = {
    "empty": b"",
    "no JSON": b"not json",
    "a list": b"[]",
    "nested 10^5 deep": b"[" * 100_000,
    "a wrong seal": seal(BODY).replace(b'"step":1', b'"step":2'),
    "spaces added": seal(BODY).replace(b'"step":1', b'"step": 1'),
    "a number of 10^6 digits": b'{"sha256":"x","a":' + b"9" * 1_000_000 + b"}",
    "zeros": b"\0" * 1000,
}
for _label, _raw in RAW_MANIFESTS.items():
    case(f"manifest of {_label}")(lambda root, raw=_raw: manifest(root, raw))


@case("shard is a link to a file outside")
def _(root: Path) -> Path:
    secret = write(root.parent / "secret", b"\0" * 16)
    folder = native(root, with_tensors(LEAF))
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").symlink_to(secret)
    return folder


@case("manifest is a link to a file outside")
def _(root: Path) -> Path:
    folder = native(root, with_tensors(LEAF))
    os.rename(folder / "MANIFEST.json", root.parent / "elsewhere.json")
    (folder / "MANIFEST.json").symlink_to(root.parent / "elsewhere.json")
    return folder


@case("shard is a link to a device")
def _(root: Path) -> Path:
    folder = native(root, with_tensors(LEAF))
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").symlink_to("/dev/zero")
    return folder


@case("shard is a pipe")
def _(root: Path) -> Path:
    folder = native(root, with_tensors(LEAF))
    (folder / "model.safetensors").unlink()
    os.mkfifo(folder / "model.safetensors")
    return folder


@case("manifest is a pipe")
def _(root: Path) -> Path:
    folder = native(root, with_tensors(LEAF))
    (folder / "MANIFEST.json").unlink()
    os.mkfifo(folder / "MANIFEST.json")
    return folder


@case("shard is a folder")
def _(root: Path) -> Path:
    folder = native(root, with_tensors(LEAF))
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").mkdir()
    return folder


@case("the checkpoint itself is a pipe")
def _(root: Path) -> Path:
    os.mkfifo(root / "evil.pth")
    return root / "evil.pth"


@case("shard with a header of 10^12 and a right digest")
def _(root: Path) -> Path:
    raw = safetensors(b"{" + b" " * 64, length=10**12)
    return native(root, {**state_json(LEAF), "model.safetensors": raw})


@case("a torch.distributed checkpoint")
def _(root: Path) -> Path:
    folder = root / "dcp"
    folder.mkdir()
    write(folder / ".metadata", pickled(b"cos\nsystem\n" + text("touch HACKED") + b"\x85R"))
    return folder


def sealed(pickle: bytes) -> bytes:
    """A single file of ours with a right seal around any pickle."""
    raw = torch_zip(pickle)
    fields = {"name": "iter_1.pth", "step": 1, "sequence": 1, "save_id": "x"}

    def comment(body: bytes) -> bytes:
        note = FileNote(len(body), hashlib.sha256(body).hexdigest())
        return write_manifest(Manifest(files={"data": note}, **fields))

    length = len(comment(raw))
    body = raw[:-2] + struct.pack("<H", length)
    return body + comment(body)


for _label in ("os system", "builtins eval", "torch.storage _load_from_bytes"):
    _call = (
        f"c{_label.split()[0]}\n{_label.split()[1]}\n".encode() + text("touch HACKED") + b"\x85R"
    )
    case(f"a right seal around {_label}")(
        lambda root, call=_call: write(root / "iter_1.pth", sealed(pickled(call)))
    )


@case("a right seal around a wrong array")
def _(root: Path) -> Path:
    leaf = b"}(" + text("$") + text("ndarray") + text("dtype") + text("|O") + text("shape") + b"]"
    leaf += text("v") + b"Nu"
    return write(root / "iter_1.pth", sealed(pickled(leaf)))


# -- files that are something else -------------------------

OTHERS = {
    "empty": b"",
    "one byte": b"\x80",
    "html": b"<!DOCTYPE html><html><body>404 Not Found</body></html>",
    "json": b'{"error": "no such model"}',
    "xml": b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>",
    "jpeg": b"\xff\xd8\xff\xe0" + b"\0" * 100,
    "png": b"\x89PNG\r\n\x1a\n" + b"\0" * 100,
    "gzip": b"\x1f\x8b" + b"\0" * 100,
    "hdf5": b"\x89HDF\r\n\x1a\n" + b"\0" * 100,
    "gguf": b"GGUF" + b"\0" * 100,
    "elf": b"\x7fELF" + b"\0" * 100,
    "git lfs pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
    "zeros": b"\0" * 4096,
    "noise": bytes(np.random.default_rng(0).integers(0, 256, 4096, dtype=np.uint8)),
    "text": b"just some words\n",
    "tar": b"sys_info" + b"\0" * 249 + b"ustar  \0" + b"\0" * 2000,
    "legacy cut short": legacy(pickled(b"}"))[:30],
    "legacy without storages": legacy(pickled(tensor())),
    "python source": b"import os\nos.system('touch HACKED')\n",
}
for _label, _raw in OTHERS.items():
    case(f"other {_label}")(lambda root, raw=_raw: write(root / "evil.pth", raw))


@case("other a real file cut in the middle")
def _(root: Path) -> Path:
    torch.save({"w": torch.ones(1000)}, root / "evil.pth")
    raw = (root / "evil.pth").read_bytes()
    return write(root / "evil.pth", raw[: len(raw) // 2])
