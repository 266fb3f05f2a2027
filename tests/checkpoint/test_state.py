"""States come back as they were: types, bits, sharing."""

from __future__ import annotations

import collections
import math
import struct

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from loopwright.checkpoint import StateError, Store, pack
from loopwright.checkpoint.codec import from_json, to_json
from loopwright.checkpoint.state import nonfinite, snapshot, unpack_packed
from loopwright.checkpoint.tensors import chunks_of

DTYPES = [
    torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.uint16,
    torch.uint32, torch.uint64, torch.float16, torch.bfloat16, torch.float32, torch.float64,
    torch.complex64, torch.complex128, torch.float8_e4m3fn, torch.float8_e5m2,
]  # fmt: skip


def same(a, b) -> bool:
    """Equal in type and to the last bit, through all containers."""
    if type(a) is not type(b):
        return False
    if isinstance(a, torch.Tensor):
        raw = [
            t.detach().resolve_conj().flatten().clone(memory_format=torch.contiguous_format)
            for t in (a, b)
        ]
        raw = [t.view(torch.uint8) if t.numel() else t for t in raw]
        alike = (a.dtype, a.shape, a.requires_grad) == (b.dtype, b.shape, b.requires_grad)
        return alike and torch.equal(*raw)
    if isinstance(a, np.ndarray):
        return (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())
    if isinstance(a, np.generic):
        return a.dtype == b.dtype and a.tobytes() == b.tobytes()
    if isinstance(a, dict):
        keys = [(type(k), k) for k in a] == [(type(k), k) for k in b]
        return keys and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float):
        return struct.pack("<d", a) == struct.pack("<d", b) or (math.isnan(a) and math.isnan(b))
    return a == b


def round_trip(state, folder, suffix=""):
    store = Store(folder)
    store.save(f"x{suffix}", state, step=1)
    return store.load().state


plain = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.binary(max_size=5),
    st.complex_numbers(allow_nan=False),
    st.integers(-5, 5).map(np.int16),
    st.floats(width=32).map(np.float32),
    st.floats().map(np.float64),
)
small_keys = st.one_of(
    st.text(max_size=4), st.integers(-(2**59), 2**59), st.booleans(), st.just("$"), st.none()
)
tensors = st.builds(
    lambda shape, dtype, seed: torch.randint(
        0, 2, shape, generator=torch.Generator().manual_seed(seed)
    ).to(dtype),
    st.lists(st.integers(0, 3), max_size=3),
    st.sampled_from(DTYPES),
    st.integers(0, 9),
)
arrays = st.builds(
    lambda shape, dtype: np.ones(shape, dtype),
    st.lists(st.integers(0, 3), max_size=3).map(tuple),
    st.sampled_from(["f4", ">f8", "i2", "?", "c16", "U3", "S2", "M8[s]", "f2", ">u4"]),
)
states = st.recursive(
    plain | tensors | arrays,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(small_keys, inner, max_size=3),
        st.dictionaries(small_keys, inner, max_size=2).map(collections.OrderedDict),
        st.sets(st.integers(0, 9) | st.text(max_size=2), max_size=3),
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(states)
def test_every_state_comes_back_equal_in_type_and_bits(state):
    packed = pack(state)
    packed.tree = from_json(to_json(packed.tree))
    assert same(unpack_packed(packed), state)


@settings(max_examples=40, deadline=None)
@given(states)
def test_through_a_file_of_either_kind_too(tmp_path_factory, state):
    folder = tmp_path_factory.mktemp("states")
    assert same(round_trip(state, folder), state)
    assert same(round_trip(state, folder / "single", ".pth"), state)


@pytest.mark.parametrize("suffix", ["", ".pth"])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_every_dtype_in_every_layout(dtype, suffix, tmp_path):
    base = torch.arange(24).reshape(2, 3, 4) % 2
    state = {
        "plain": base.to(dtype),
        "transposed": base.to(dtype).permute(2, 0, 1),
        "strided": base.to(dtype)[:, ::2, 1:3],
        "expanded": base.to(dtype)[0, 0, :1].expand(5),
        "scalar": base.to(dtype)[1, 2, 3],
        "one of a strided view": base.to(dtype)[0, ::3, 0],
        "empty": base.to(dtype)[:0],
    }
    assert same(round_trip(state, tmp_path, suffix), state)


@pytest.mark.parametrize("suffix", ["", ".pth"])
def test_special_numbers_keep_their_bits(suffix, tmp_path):
    odd = torch.tensor([0.0, -0.0, float("inf"), float("-inf"), 5e-324], dtype=torch.float64)
    nan = torch.tensor([0x7FF8DEADBEEF0001, -1], dtype=torch.int64).view(torch.float64)
    state = {"odd": odd, "nan": nan, "numbers": [-0.0, 5e-324, float("inf"), float("nan"), 2**100]}
    assert same(round_trip(state, tmp_path, suffix), state)


def test_a_tensor_found_twice_is_stored_once_and_shared_again(tmp_path):
    weight = torch.randn(3, 3)
    state = {"model": {"embed": weight, "head": weight, "alias": weight.view(3, 3)}}
    assert list(pack(state).groups["model"]) == ["embed"]
    for suffix in ("", ".pth"):
        model = round_trip(state, tmp_path / f"s{suffix}", suffix)["model"]
        model["embed"].zero_()
        assert model["head"].sum() == 0
        assert model["alias"].sum() == 0


def test_views_of_one_storage_come_back_equal_without_the_rest_of_it(tmp_path):
    base = torch.randn(1000)
    state = {"views": [base[:10], base[5:15], base[::100]]}
    store = Store(tmp_path)
    path = store.save("few", state, step=1)
    single = store.save("few.pth", state, step=2)
    assert same(store.load("few").state, state)
    assert same(store.load("few.pth").state, state)
    assert (path / "views.safetensors").stat().st_size < 1000
    assert single.stat().st_size < 4000


def test_lazy_conjugates_and_negatives_keep_their_values(tmp_path):
    numbers = torch.tensor([1 + 2j, 3 - 4j])
    state = {"conj": numbers.conj(), "neg": numbers.conj().imag}
    for suffix in ("", ".pth"):
        back = round_trip(state, tmp_path / f"s{suffix}", suffix)
        assert back["conj"].tolist() == [1 - 2j, 3 + 4j]
        assert back["neg"].tolist() == [-2.0, 4.0]


def test_parameters_and_requires_grad_come_back(tmp_path):
    state = {
        "p": torch.nn.Parameter(torch.ones(2)),
        "frozen": torch.nn.Parameter(torch.ones(2), requires_grad=False),
        "leaf": torch.ones(2, requires_grad=True),
    }
    for suffix in ("", ".pth"):
        assert same(round_trip(state, tmp_path / f"s{suffix}", suffix), state)


def test_a_models_state_dict_keeps_its_metadata(tmp_path):
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2))
    for suffix in ("", ".pth"):
        back = round_trip({"state_dict": model.state_dict()}, tmp_path / f"s{suffix}", suffix)
        assert type(back["state_dict"]) is collections.OrderedDict
        assert back["state_dict"]._metadata["1"] == {"version": 2}


def test_the_weights_file_is_an_ordinary_safetensors_file(tmp_path):
    from safetensors.torch import load_file

    model = torch.nn.Linear(3, 2)
    path = Store(tmp_path).save("epoch_1", {"state_dict": model.state_dict()}, step=1)
    found = load_file(path / "state_dict.safetensors")
    assert set(found) == {"weight", "bias"}
    assert torch.equal(found["weight"], model.weight)


def test_a_single_file_is_an_ordinary_torch_file(tmp_path):
    state = {"state_dict": torch.nn.Linear(3, 2).state_dict(), "meta": {"epoch": 3}}
    path = Store(tmp_path).save("epoch_1.pth", state, step=1)
    for mmap in (False, True):
        found = torch.load(path, weights_only=True, mmap=mmap)
        assert same(dict(found["state_dict"]), dict(state["state_dict"]))
        assert found["meta"] == {"epoch": 3}


def test_names_that_collide_are_told_apart(tmp_path):
    state = {
        "m": {"a": {"b": torch.zeros(1)}, "a.b": torch.ones(1)},
        "m.a.b": torch.full((1,), 2.0),
    }
    assert same(round_trip(state, tmp_path), state)


class Custom:
    """Something that is no data."""


@pytest.mark.parametrize(
    ("state", "place"),
    [
        ({"hooks": [1, {"x": Custom()}]}, r"state\.hooks\[1\]\.x is .*Custom"),
        ({"f": len}, r"state\.f is builtins\.builtin_function"),
        ({"a": np.array([Custom()])}, r"state\.a: arrays of object"),
        ({"s": torch.eye(2).to_sparse()}, r"state\.s is torch\.sparse_coo"),
        ({"m": torch.empty(2, device="meta")}, r"state\.m is on the meta device"),
        ({2**61: 1}, "beyond any index"),
    ],
    ids=["object", "function", "object array", "sparse", "meta", "huge key"],
)
def test_what_is_no_data_is_named_with_its_place(state, place, tmp_path):
    with pytest.raises(StateError, match=place):
        Store(tmp_path).save("x", state, step=1)
    assert Store(tmp_path).names() == []


def test_a_state_that_contains_itself_is_an_error():
    loop: list = []
    loop.append(loop)
    with pytest.raises(StateError, match="its own member"):
        pack({"loop": loop})


def test_saving_changes_nothing_in_the_state(tmp_path):
    state = {"w": torch.ones(2, requires_grad=True), "d": {"k": [1, (2,)]}, "n": np.arange(3)}
    before = {"w": state["w"].detach().clone(), "d": {"k": [1, (2,)]}, "n": np.arange(3)}
    Store(tmp_path).save("x", state, step=1)
    assert same(state["w"].detach(), before["w"])
    assert state["w"].requires_grad
    assert same({k: state[k] for k in "dn"}, {k: before[k] for k in "dn"})


def test_a_snapshot_does_not_follow_later_changes():
    weight = torch.zeros(3)
    shot = snapshot(pack({"w": weight, "n": np.zeros(2)}))
    weight.fill_(9.0)
    assert unpack_packed(shot)["w"].tolist() == [0.0, 0.0, 0.0]


def test_the_same_state_is_the_same_bytes():
    def raw():
        generator = torch.Generator().manual_seed(0)
        state = {"m": {"w": torch.randn(4, generator=generator)}, "s": {"b", "a", "c"}}
        packed = pack(state)
        parts = [bytes(c) for c in chunks_of(packed.groups["m"], save_id="x")]
        return to_json(packed.tree), parts

    assert raw() == raw()


def test_nonfinite_names_the_tensors_that_are_bad():
    bad = torch.tensor([1.0, float("inf")]).to(torch.bfloat16)
    assert nonfinite({"m": {"a": bad, "b": torch.ones(1)}, "i": torch.ones(1).long()}) == ["m.a"]
