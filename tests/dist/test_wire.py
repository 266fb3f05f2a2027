import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from loopwright.dist import UnsendableError, decode, encode

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary(max_size=16),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text() | st.integers(), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(plain)
def test_what_is_sent_arrives(value):
    found = decode(encode(value))
    assert found == value
    assert repr(found) == repr(value)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int64, torch.bool])
def test_tensors_of_every_type_arrive(dtype):
    tensor = torch.arange(6).reshape(2, 3).to(dtype)
    found = decode(encode([tensor.t(), torch.empty(0, 4, dtype=dtype), tensor[0, 0]]))
    assert torch.equal(found[0], tensor.t())
    assert (found[1].shape, found[1].dtype) == ((0, 4), dtype)
    assert found[2].shape == ()


def test_arrays_and_their_numbers_arrive():
    found = decode(encode({"box": np.ones((2, 4), np.float32), "score": np.float64(0.5)}))
    assert found["box"].dtype == np.float32
    assert found["score"] == 0.5
    assert type(found["score"]) is np.float64


def test_what_arrives_can_be_written_to():
    decode(encode(torch.zeros(2))).add_(1)
    decode(encode(np.zeros(2)))[0] = 1


def test_an_object_of_another_kind_is_named_with_its_place():
    with pytest.raises(UnsendableError, match=r"value\.samples\[1\]\.extra is a builtins\.object"):
        encode({"samples": [1, {"extra": object()}]})


def test_bytes_that_were_cut_are_an_error():
    with pytest.raises(ValueError, match="not an encoded object"):
        decode(encode("hello")[:6] + b"\xff\xff")


def test_a_tensor_of_an_unknown_type_is_an_error():
    tree = json.dumps({"\0": "tensor", "dtype": "save", "shape": [1], "at": [0, 1]}).encode()
    with pytest.raises(ValueError, match="'save' is no tensor type"):
        decode(len(tree).to_bytes(8, "little") + tree + b"\0")
