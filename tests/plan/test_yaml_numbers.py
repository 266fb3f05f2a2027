"""YAML 1.1 reads 1e-3 as a text: the value stays, and a plan says what to write."""

import hypothesis.strategies as st
import pytest
import yaml
from hypothesis import given

from loopwright.config import Config
from loopwright.plan import check
from loopwright.plan.yaml_numbers import as_yaml

RUN = """
train_cfg: {by_epoch: true, max_epochs: 3}
train_dataloader: {batch_size: 2, dataset: {type: X, scale: %s}}
optim_wrapper:
  optimizer: {type: SGD, lr: %s}
"""


def findings(text, tmp_path, name="run.yaml"):
    file = tmp_path / name
    file.write_text(text)
    return [f for f in check(Config.fromfile(file), imported=False) if "YAML" in f.message]


def test_an_error_about_such_a_text_says_how_the_number_is_written(tmp_path):
    (finding,) = findings(RUN % (1, "1e-3"), tmp_path)
    assert (finding.level, finding.path) == ("error", "optim_wrapper.optimizer.lr")
    assert finding.origin.endswith("run.yaml:5")
    assert finding.message == (
        "must be a number, got '1e-3', a text to YAML; as a number it is written 1.0e-3"
    )


def test_where_nothing_else_is_known_such_a_text_is_a_warning(tmp_path):
    (finding,) = findings(RUN % ("[2, 2.5E4]", 0.1), tmp_path)
    assert (finding.level, finding.path) == ("warning", "train_dataloader.dataset.scale.1")
    assert finding.message == "is '2.5E4', a text to YAML; as a number it is written 2.5e+4"


def test_the_value_is_what_every_reader_of_yaml_gives():
    assert Config.fromstring("lr: 1e-3\n", ".yaml").lr == yaml.safe_load("1e-3") == "1e-3"


@pytest.mark.parametrize("value", ["1.0e-3", "0.001", "r50e3x", "abc", "'1.5'", "1_000"])
def test_numbers_and_other_texts_are_not_spoken_of(value, tmp_path):
    assert findings(RUN % (value, 0.1), tmp_path) == []


def test_a_text_of_a_python_config_was_meant_as_one(tmp_path):
    assert findings("load_from = '1e-3'\n", tmp_path, "run.py") == []


@given(
    st.from_regex(r"\A[+-]?([0-9]{1,5}\.?[0-9]{0,5}|\.[0-9]{1,5})[eE][+-]?[0-9]{1,2}\Z"),
)
def test_what_is_suggested_is_the_number_that_was_written(text):
    assert yaml.safe_load(as_yaml(text)) == float(text)
