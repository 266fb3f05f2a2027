"""Annotations as bytes."""

from pathlib import PurePosixPath

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from loopwright.data.encoding import Packed, decode, encode

keys = st.text(max_size=5) | st.integers() | st.booleans() | st.none()
leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary(max_size=8)
)
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(keys, inner, max_size=4)
    ),
    max_leaves=12,
)


def typed(value):
    if isinstance(value, dict):
        return {k: typed(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return type(value), [typed(item) for item in value]
    return type(value), value


@given(values)
def test_what_goes_in_comes_out_with_its_types(value):
    assert typed(decode(encode(value))) == typed(value)


def test_a_key_that_looks_like_our_tag_is_only_a_key():
    value = {"!": "tuple", "v": [1]}
    assert decode(encode(value)) == value
    assert decode(encode([{"!": 1}, (2,)])) == [{"!": 1}, (2,)]


@pytest.mark.parametrize("kind", ["uint8", "int64", "float16", "float32", "bool", "<U3"])
def test_arrays_keep_type_and_shape_and_can_be_written_to(kind):
    array = np.arange(6).reshape(2, 3).astype(kind)
    found = decode(encode({"a": array}))["a"]
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found, array)
    found[0, 0] = found[1, 1]


def test_scalars_tensors_sets_paths_and_special_numbers_survive():
    value = {
        "scalar": np.float32(1.5),
        "tensor": torch.tensor([[1, 2]]),
        "set": {3, 1},
        "path": PurePosixPath("a/b.jpg"),
        "nan": float("nan"),
        "inf": -float("inf"),
    }
    found = decode(encode(value))
    assert isinstance(found["scalar"], np.float32)
    assert torch.equal(found["tensor"], value["tensor"])
    assert (found["set"], found["path"], found["inf"]) == ({1, 3}, value["path"], -float("inf"))
    assert found["nan"] != found["nan"]


@pytest.mark.parametrize("value", [object(), lambda: 0, np.array([object()]), np.zeros(1, "i4,i4")])
def test_what_has_no_plain_form_is_refused(value):
    with pytest.raises(TypeError, match="serialize_data=False"):
        encode({"x": value})


def test_a_packed_list_is_a_list():
    infos = [{"id": i, "name": "ä" * i} for i in range(5)]
    packed = Packed(infos)
    assert len(packed) == 5
    assert [packed[i] for i in range(5)] == infos
    with pytest.raises(IndexError):
        packed[5]
