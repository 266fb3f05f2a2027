"""Foreign files read as data: equal to torch.load, with everything else refused by name."""

from __future__ import annotations

import collections
import io
import random
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from loopwright.checkpoint import Broken, Refused, find_state_dict, load_any

from .test_state import DTYPES, same

# Torch writes these into its legacy format, but cannot read them there itself.
NEW = {torch.uint16, torch.uint32, torch.uint64, torch.float8_e4m3fn, torch.float8_e5m2}
GOLDEN = Path(__file__).parents[1] / "golden" / "checkpoint"


def random_state(random_: random.Random, dtypes):
    """A nested state as programs save it, with shared storages and odd views."""
    base = torch.randint(0, 2, (random_.randint(1, 30),), generator=torch.Generator()).to(
        random_.choice(dtypes)
    )

    def tensor():
        kind = random_.randrange(6)
        if kind == 0:
            return base
        if kind == 1:
            return base[random_.randrange(len(base)) :: random_.randint(1, 3)]
        if kind == 2:
            return base[:0].reshape(0, 3)
        if kind == 3:
            return base[:1].expand(3, 2)
        if kind == 4 and base.is_floating_point() and base.element_size() > 1:
            return torch.nn.Parameter(base.clone(), requires_grad=random_.random() < 0.5)
        return torch.randn(2, random_.randint(0, 3), 2).permute(2, 0, 1)

    leaves = [
        tensor, tensor, tensor,
        lambda: random_.choice([None, True, False, 0, -1, 2**40, 2**70, -(2**33)]),
        lambda: random_.choice([0.5, float("inf"), -0.0, "text", "ünï\n", b"\0\xff"]),
        lambda: random_.choice([torch.Size([1, 2]), torch.float16, torch.device("cpu"), ()]),
    ]  # fmt: skip

    def value(depth):
        if depth > 3 or random_.random() < 0.5:
            return random_.choice(leaves)()
        items = [value(depth + 1) for _ in range(random_.randint(0, 4))]
        keys = [random_.choice([f"k{i}", i, f"layer.{i}.weight"]) for i in range(len(items))]
        made = dict(zip(keys, items))
        return random_.choice(
            [items, tuple(items), made, collections.OrderedDict(made), {"more": items}]
        )

    return {"top": value(0), "state_dict": collections.OrderedDict(w=tensor(), b=tensor())}


@pytest.mark.parametrize("modern", [True, False], ids=["zip", "legacy"])
def test_two_hundred_files_read_as_torch_reads_them(modern, tmp_path):
    path = tmp_path / "state.pth"
    dtypes = [dtype for dtype in DTYPES if modern or dtype not in NEW]
    for seed in range(100):
        state = random_state(random.Random(seed), dtypes)
        torch.save(state, path, _use_new_zipfile_serialization=modern)
        wanted = torch.load(path, weights_only=True)
        assert same(load_any(path), wanted), f"seed {seed}"


@pytest.mark.parametrize("modern", [True, False], ids=["zip", "legacy"])
def test_views_of_one_storage_share_memory_again(modern, tmp_path):
    base = torch.arange(10.0)
    torch.save([base[2:5], base.view(2, 5).t()], tmp_path / "s.pt",
               _use_new_zipfile_serialization=modern)  # fmt: skip
    part, whole = load_any(tmp_path / "s.pt")
    part.fill_(-1)
    assert (whole == -1).sum() == 3


def test_numpy_values_in_a_file_are_read_as_numpy_reads_them(tmp_path):
    state = {
        "array": np.arange(6, dtype=">i4").reshape(2, 3),
        "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "scalar": np.float32(1.5),
        "bool": np.array([True, False]),
        "text": np.array(["ab", "c"]),
        "empty": np.zeros((0, 3)),
        "zero-dim": np.array(7),
    }
    for protocol in (2, 4, 5):
        torch.save(state, tmp_path / "n.pth", pickle_protocol=protocol)
        found = load_any(tmp_path / "n.pth")
        for name, value in state.items():
            assert type(found[name]) is type(value), name
            assert np.array_equal(found[name], value), name


def test_a_checkpoint_of_mmengine_with_its_history_buffers():
    found = load_any(GOLDEN / "mmengine_0_10_7_epoch_2.pth")
    assert set(find_state_dict(found)) >= {"l.weight", "l.bias", "bn.running_mean"}
    assert found["meta"]["epoch"] == 2
    buffer = found["message_hub"]["log_scalars"]["train/loss"]
    assert buffer["type"] == "HistoryBuffer"
    assert buffer["log_history"].shape == buffer["count_history"].shape == (4,)
    assert found["optimizer"]["state"][0]["exp_avg"].shape == (2, 3)
    assert found["param_schedulers"][0]["milestones"] == collections.Counter({1: 1})
    assert found["ema_state_dict"]["steps"].item() == 4


def test_torch_itself_refuses_that_checkpoint():
    """The reason this reader exists; should torch learn to, this test says so."""
    import pickle

    with pytest.raises(pickle.UnpicklingError):
        torch.load(GOLDEN / "mmengine_0_10_7_epoch_2.pth", weights_only=True)


def test_a_bare_pickle_of_arrays_is_read(tmp_path):
    import pickle

    model = {"model": {"w": np.ones((2, 2), np.float32)}, "__author__": "Caffe2"}
    (tmp_path / "R-50.pkl").write_bytes(pickle.dumps(model, protocol=2))
    found = load_any(tmp_path / "R-50.pkl")
    assert found["__author__"] == "Caffe2"
    assert np.array_equal(find_state_dict(found)["w"], np.ones((2, 2)))


def test_safetensors_files_are_read(tmp_path):
    from safetensors.torch import save_file

    state = {"w": torch.randn(3, 2), "h": torch.ones(2).bfloat16(), "s": torch.tensor(1.0)}
    save_file(state, tmp_path / "m.safetensors", metadata={"format": "pt"})
    assert same(
        dict(sorted(load_any(tmp_path / "m.safetensors").items())), dict(sorted(state.items()))
    )


class Config:
    """A user's class, as many checkpoints hold one."""


def test_a_file_with_a_users_class_is_refused_by_the_classs_name(tmp_path):
    torch.save({"cfg": Config(), "w": torch.ones(1)}, tmp_path / "c.pth")
    with pytest.raises(Refused, match=r"c\.pth: the file wants .*test_foreign\.Config, which is"):
        load_any(tmp_path / "c.pth")


def test_the_trusted_door_opens_for_one_file_when_asked_and_checks_its_digest(tmp_path):
    import hashlib

    torch.save({"n": collections.namedtuple("P", "x")(1)._asdict(), "f": print}, tmp_path / "t.pth")
    with pytest.raises(Refused, match=r"__builtin__\.print"):
        load_any(tmp_path / "t.pth")
    assert load_any(tmp_path / "t.pth", trust_pickle=True)["f"] is print
    digest = hashlib.sha256((tmp_path / "t.pth").read_bytes()).hexdigest()
    assert load_any(tmp_path / "t.pth", trust_pickle=True, sha256=digest)["n"] == {"x": 1}
    with pytest.raises(Refused, match="wanted 0000"):
        load_any(tmp_path / "t.pth", trust_pickle=True, sha256="0000")


def test_a_truncated_and_a_damaged_file_are_told_apart_from_foreign_ones(tmp_path):
    torch.save({"w": torch.arange(100.0)}, tmp_path / "w.pth")
    raw = (tmp_path / "w.pth").read_bytes()
    (tmp_path / "cut.pth").write_bytes(raw[:-100])
    with pytest.raises(Broken, match=r"cut\.pth: no end of a zip file: cut short"):
        load_any(tmp_path / "cut.pth")
    place = raw.index(torch.arange(100.0).numpy().tobytes()) + 50
    (tmp_path / "flip.pth").write_bytes(raw[:place] + bytes([raw[place] ^ 4]) + raw[place + 1 :])
    with pytest.raises(Broken, match="its checksum differs"):
        load_any(tmp_path / "flip.pth")


def archive(name):
    """A zip file with one member."""
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as file:
        file.writestr(name, b"content")
    return raw.getvalue()


def tarred(name):
    """A tar file with one member."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as file:
        file.addfile(tarfile.TarInfo(name))
    return raw.getvalue()


@pytest.mark.parametrize(
    ("raw", "phrase"),
    [
        (b"", "an empty file"),
        (b"<!DOCTYPE html><html>404", "an HTML page: the download answered"),
        (b"  <html><body>sign in", "an HTML page: the download answered"),
        (b"\xef\xbb\xbf<?xml version='1.0'?><Error>AccessDenied", "error answer of a storage"),
        (b'{"message": "Not Found"}', "a JSON document"),
        (b"[1, 2, 3]", "a JSON document"),
        (b"\xff\xd8\xff\xe0 jpeg", "a JPEG picture"),
        (b"\x89PNG\r\n\x1a\n", "a PNG picture"),
        (b"GIF89a", "a GIF picture"),
        (b"%PDF-1.7", "a PDF document"),
        (b"\x1f\x8b\x08\0", "a gzip archive: unpack it first"),
        (b"BZh91AY", "a bzip2 archive"),
        (b"\xfd7zXZ\0", "an xz archive"),
        (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
        (b"Rar!\x1a\x07", "a rar archive"),
        (b"\x28\xb5\x2f\xfd\x04", "a zstd archive"),
        (b"\x89HDF\r\n", "HDF5"),
        (b"GGUF\x03\0\0\0", "a GGUF file"),
        (b"\x93NUMPY\x01\0v\0", "a .npy array"),
        (archive("arr_0.npy"), "a numpy .npz archive"),
        (archive("word/document.xml"), "an office document"),
        (archive("META-INF/MANIFEST.MF"), "a Java archive"),
        (archive("model.weights.h5"), "a Keras model"),
        (archive("holiday.txt"), "a zip archive of other things"),
        (b"PK\x05\x06" + bytes(18), "an empty zip archive"),
        (tarred("readme.txt"), "a tar archive (first member 'readme.txt')"),
        (b"\x7fELF\x02\x01", "a program"),
        (b"MZ\x90\0", "a Windows program"),
        (b"#!/bin/sh\nrm -rf /", "a script"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"\0" * 100, "a file of zeros"),
        (b"hello world", "a text beginning 'hello world'"),
        (b"\xde\xad\xbe\xef", "nothing known (first bytes de ad be ef)"),
    ],
)
def test_what_is_no_checkpoint_is_said_in_words(raw, phrase, tmp_path):
    (tmp_path / "x.pth").write_bytes(raw)
    with pytest.raises(Refused, match="looks like") as caught:
        load_any(tmp_path / "x.pth")
    assert phrase in str(caught.value)


def test_a_missing_file_suggests_the_nearest(tmp_path):
    (tmp_path / "epoch_12.pth").write_bytes(b"")
    with pytest.raises(Exception, match=r"epoch_21\.pth does not exist; did you mean 'epoch_12"):
        load_any(tmp_path / "epoch_21.pth")


def test_weights_are_found_where_programs_put_them():
    weights = {"w": torch.ones(1)}
    assert find_state_dict({"state_dict": weights, "meta": {}}) is weights
    assert find_state_dict({"model": weights, "iteration": 1}) is weights
    assert find_state_dict(weights) is weights
    with pytest.raises(Exception, match="the checkpoint has the keys epoch"):
        find_state_dict({"epoch": 1})
