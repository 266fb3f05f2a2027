"""Mutated manifests, headers, states and pickles end in typed errors, quickly, or load as data."""

from __future__ import annotations

import io
import json
import random
import resource
import time
import zipfile
from pathlib import Path

import pytest
import torch

from loopwright.checkpoint import CheckpointError
from loopwright.checkpoint.codec import decode_all, from_json, to_json
from loopwright.checkpoint.leaves import read_small_leaf
from loopwright.checkpoint.manifest import read_manifest, seal, write_manifest
from loopwright.checkpoint.rebuild import read_torch_file
from loopwright.checkpoint.state import pack
from loopwright.checkpoint.tensorfile import make_header, parse_header

from .hostile import BODY, NOTE, VARIANTS, legacy, pickled, tensor, torch_zip

QUICK, FULL = 3_000, 100_000
SLOWEST = 5.0
INTERESTING = (0, 1, 0x7F, 0x80, 0xFF, 0x2E, 0x28, 0x52, 0x62, 0x71)


def mutate(raw: bytes, random_: random.Random) -> bytes:
    """A few bytes changed, removed, repeated, moved or made extreme."""
    data = bytearray(raw)
    for _ in range(random_.choice((1, 1, 2, 4, 16))):
        if not data:
            break
        place = random_.randrange(len(data))
        kind = random_.randrange(7)
        if kind == 0:
            data[place] ^= 1 << random_.randrange(8)
        elif kind == 1:
            data[place] = random_.choice(INTERESTING)
        elif kind == 2:
            del data[place : place + random_.randint(1, 8)]
        elif kind == 3:
            data[place:place] = data[place : place + random_.randint(1, 16)]
        elif kind == 4:
            data[place : place + 4] = random_.choice((b"\xff\xff\xff\x7f", b"\xff" * 4, b"\0" * 4))
        elif kind == 5:
            other = random_.randrange(len(data))
            data[place : place + 8] = data[other : other + 8]
        else:
            del data[place:]
    return bytes(data)


def torch_bytes(modern: bool) -> bytes:
    out = io.BytesIO()
    state = {"state_dict": {"w": torch.ones(2, 3), "b": torch.zeros(3)[1:]}, "n": [1, 2.5, "x"]}
    torch.save(state, out, _use_new_zipfile_serialization=modern)
    return out.getvalue()


def state_bytes() -> bytes:
    state = {"a": (1, b"x", {2: 3.5}), "s": {1}, "c": 1j, "d": torch.float16, "i": 2**80}
    return to_json(pack(state).tree)


def body_bytes() -> bytes:
    return json.dumps({**BODY, "files": {"state.json": NOTE, "m.safetensors": NOTE}}).encode()


def read_body(raw: bytes) -> None:
    """A mutated body with a right seal, as an attacker would write it."""
    try:
        body = json.loads(raw)
        sealed = seal(body) if isinstance(body, dict) else raw
    except (ValueError, TypeError, RecursionError):
        sealed = raw
    manifest = read_manifest(sealed)
    assert write_manifest(manifest) == sealed or manifest.files is not None


def read_header(raw: bytes) -> None:
    slots, _ = parse_header(raw, len(raw) + 28)
    assert sum(slot.end - slot.start for slot in slots.values()) <= len(raw) + 28


def read_file(raw: bytes) -> None:
    read_torch_file(io.BytesIO(raw), "x")


def read_pickled(raw: bytes, size: int) -> None:
    read_file(torch_zip(raw, {"0": b"\0" * size}))


def golden_pickle() -> bytes:
    """The pickle inside MMEngine's own checkpoint."""
    path = Path(__file__).parents[1] / "golden" / "checkpoint" / "mmengine_0_10_7_epoch_2.pth"
    with zipfile.ZipFile(path) as archive:
        name = next(name for name in archive.namelist() if name.endswith("data.pkl"))
        return archive.read(name)


def body_of(raw: bytes) -> bytes:
    """A pickle without protocol and stop."""
    return raw.removeprefix(b"\x80\x02").removesuffix(b".")


TARGETS = {
    "manifest": (seal(dict(BODY)), read_manifest),
    "sealed body": (body_bytes(), read_body),
    "header": (make_header({"w": ("F32", [2, 3]), "b": ("U8", [4])}, metadata={"a": "b"})[0],
               read_header),
    "state": (state_bytes(), lambda raw: decode_all(from_json(raw), read_small_leaf)),
    "zip": (torch_bytes(True), read_file),
    "legacy": (torch_bytes(False), read_file),
    "tensor pickle": (pickled(tensor()), lambda raw: read_pickled(raw, 16)),
    "mmengine pickle": (golden_pickle(), lambda raw: read_pickled(raw, 0)),
    "hostile pickle": (pickled(b"(" + b"".join(map(body_of, VARIANTS.values())) + b"t"),
                       lambda raw: read_file(legacy(raw))),
}  # fmt: skip


def fuzz(name: str, count: int) -> tuple[int, float]:
    """How many of ``count`` mutants were refused, and the slowest reading in seconds."""
    raw, read = TARGETS[name]
    random_ = random.Random(name)
    refused, slowest = 0, 0.0
    for _ in range(count):
        mutant = mutate(raw, random_)
        start = time.thread_time()
        try:
            read(mutant)
        except CheckpointError:
            refused += 1
        slowest = max(slowest, time.thread_time() - start)
    return refused, slowest


@pytest.mark.parametrize("name", TARGETS)
def test_mutants_end_in_typed_errors(name):
    refused, slowest = fuzz(name, QUICK // len(TARGETS))
    assert refused > QUICK // len(TARGETS) // 10
    assert slowest < SLOWEST


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_a_hundred_thousand_mutants_end_in_typed_errors_in_bounded_memory(name, figure):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused, slowest = fuzz(name, FULL // len(TARGETS))
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    figure(f"{name}: {refused} of {FULL // len(TARGETS)} refused, slowest {slowest:.3f} s")
    assert slowest < SLOWEST
    assert grown < 512
