"""CfgNode: keys are fixed, kinds are kept, files and lists are merged whole or not at all."""

import copy
import pickle

import pytest

from loopwright.config import ConfigError, origin_of
from loopwright.trainer import CfgNode, configurable, get_cfg, global_cfg, set_global_cfg
from loopwright.trainer.cfgnode import FrozenError, UnknownKeyError


def solver():
    return CfgNode(
        {"SOLVER": {"BASE_LR": 0.1, "STEPS": (30,), "NAME": "SGD", "AMP": False}, "SEED": -1}
    )


def test_a_file_is_merged_over_its_base_and_texts_become_what_they_write(tmp_path):
    (tmp_path / "configs").mkdir()
    (tmp_path / "base.yaml").write_text("SOLVER:\n  BASE_LR: 1e-3\n  NAME: Adam\nSEED: 4\n")
    (tmp_path / "configs" / "run.yaml").write_text(
        "_BASE_: ../base.yaml\nSOLVER:\n  STEPS: (60, 80)\n  AMP: True\n"
    )
    cfg = solver()
    cfg.merge_from_file(tmp_path / "configs" / "run.yaml")
    assert cfg.SOLVER == {"BASE_LR": 0.001, "STEPS": (60, 80), "NAME": "Adam", "AMP": True}
    assert cfg.SEED == 4
    assert origin_of(cfg.SOLVER, "STEPS").line == 3
    assert origin_of(cfg.SOLVER, "NAME").file.endswith("base.yaml")


def test_a_file_and_its_base_are_read_without_a_config(tmp_path):
    (tmp_path / "base.yaml").write_text("SOLVER:\n  BASE_LR: 0.5\n  NAME: Adam\n")
    (tmp_path / "run.yaml").write_text("_BASE_: base.yaml\nSOLVER:\n  NAME: SGD\n")
    found = CfgNode.load_yaml_with_base(tmp_path / "run.yaml")
    assert found == {"SOLVER": {"BASE_LR": 0.5, "NAME": "SGD"}}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("SOLVER:\n  BASE_LT: 1.0", r"no key SOLVER\.BASE_LT; did you mean 'BASE_LR'\?.*yaml:2"),
        ("SOLVR: {}", r"no key SOLVR; did you mean 'SOLVER'"),
        ("SEED: [1]", r"SEED must be a int \(it is -1\), got \[1\].*yaml:1"),
        ("SOLVER: 3", r"SOLVER must be keys of its own"),
        ("SOLVER:\n  AMP: 1", r"SOLVER\.AMP must be a bool"),
        ("SEED: !!python/name:os.system ''", "no plain data|not plain data"),
        ("_BASE_: here.yaml", "goes in a circle"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place_and_nothing_is_taken(tmp_path, text, said):
    (tmp_path / "here.yaml").write_text(f"{text}\n")
    cfg = solver()
    with pytest.raises(ConfigError, match=said):
        cfg.merge_from_file(tmp_path / "here.yaml")
    assert cfg == solver()


def test_a_list_that_is_wrong_at_its_end_changes_nothing():
    cfg = solver()
    with pytest.raises(UnknownKeyError, match=r"SOLVER\.NAMES.*did you mean 'NAME'.*command line"):
        cfg.merge_from_list(["SEED", "3", "SOLVER.NAMES", "x"])
    assert cfg.SEED == -1
    with pytest.raises(KeyError):
        cfg.merge_from_list(["SOLVR.NAME", "x"])
    with pytest.raises(ConfigError, match="by turns"):
        cfg.merge_from_list(["SEED"])


def test_numbers_lists_and_none_fit_where_they_mean_the_same():
    cfg = solver()
    cfg.merge_from_list(["SOLVER.BASE_LR", 1, "SOLVER.STEPS", "10,20", "SOLVER.NAME", "None"])
    assert (cfg.SOLVER.BASE_LR, type(cfg.SOLVER.BASE_LR)) == (1.0, float)
    assert cfg.SOLVER.STEPS == (10, 20)
    assert cfg.SOLVER.NAME is None


def test_a_frozen_config_does_not_change_and_its_clone_is_apart():
    cfg = solver()
    cfg.freeze()
    for change in (
        lambda: setattr(cfg.SOLVER, "BASE_LR", 1.0),
        lambda: cfg.merge_from_list(["SEED", 1]),
        lambda: cfg.merge_from_other_cfg({"SEED": 1}),
        lambda: cfg.pop("SEED") if False else cfg.__delitem__("SEED"),
    ):
        with pytest.raises(FrozenError, match="frozen"):
            change()
    assert cfg == solver()
    other = cfg.clone()
    assert other.is_frozen()
    other.defrost()
    other.SOLVER.BASE_LR = 9.0
    assert cfg.SOLVER.BASE_LR == 0.1
    assert copy.deepcopy(cfg) == pickle.loads(pickle.dumps(cfg)) == cfg


def test_new_keys_come_by_assignment_or_where_they_are_allowed():
    cfg = solver()
    cfg.MODEL = CfgNode({"WIDTH": 3})
    cfg.merge_from_list(["MODEL.WIDTH", "4"])
    cfg.set_new_allowed(True)
    cfg.merge_from_other_cfg({"MODEL": {"DEPTH": 2}, "EXTRA": {"A": 1}})
    assert cfg.MODEL == {"WIDTH": 4, "DEPTH": 2}
    assert cfg.EXTRA.A == 1


def test_keys_of_former_times_are_named_or_ignored():
    cfg = solver()
    cfg.register_renamed_key("SOLVER.LR", "SOLVER.BASE_LR")
    cfg.register_deprecated_key("SOLVER.OLD")
    cfg.merge_from_other_cfg({"SOLVER": {"OLD": 3}})
    assert cfg == solver()
    with pytest.raises(KeyError, match=r"SOLVER\.LR is SOLVER\.BASE_LR now"):
        cfg.merge_from_list(["SOLVER.LR", 1.0])


def test_what_was_dumped_is_merged_back(tmp_path):
    cfg = get_cfg()
    cfg.merge_from_list(["SOLVER.STEPS", "(5, 7)", "DATASETS.TRAIN", "('a',)"])
    (tmp_path / "config.yaml").write_text(cfg.dump())
    other = get_cfg()
    other.merge_from_file(tmp_path / "config.yaml")
    assert other == cfg
    assert other.SOLVER.STEPS == (5, 7)


def test_keys_of_the_model_zoo_are_named_as_such():
    with pytest.raises(KeyError, match=r"MODEL\.ROI_HEADS is a key of detectron2's model zoo"):
        get_cfg().merge_from_list(["MODEL.ROI_HEADS.NUM_CLASSES", 3])
    cfg = get_cfg()
    cfg.MODEL.ROI_HEADS = CfgNode({"NUM_CLASSES": 80})
    cfg.merge_from_list(["MODEL.ROI_HEADS.NUM_CLASSES", "3"])
    assert cfg.MODEL.ROI_HEADS.NUM_CLASSES == 3


def test_a_key_that_is_no_key_is_an_attribute_error_with_the_nearest():
    with pytest.raises(AttributeError, match="did you mean 'OUTPUT_DIR'"):
        get_cfg().OUTPUT_DIRS  # noqa: B018
    with pytest.raises(AttributeError, match="is a method of CfgNode"):
        get_cfg().clone = 3


def test_two_configs_share_nothing():
    first, second = get_cfg(), get_cfg()
    first.SOLVER.MAX_ITER = 3
    first.MODEL.PIXEL_MEAN.append(1.0)
    assert (second.SOLVER.MAX_ITER, len(second.MODEL.PIXEL_MEAN)) == (40000, 3)


def test_the_global_config_holds_what_it_was_set_to():
    set_global_cfg(CfgNode({"A": {"B": 1}}))
    assert global_cfg.A.B == 1
    set_global_cfg(CfgNode())
    assert global_cfg == {}


def test_a_constructor_takes_a_config_or_its_arguments():
    class Head:
        @configurable
        def __init__(self, width, *, name="head"):
            self.made = width, name

        @classmethod
        def from_config(cls, cfg, extra):
            return {"width": cfg.WIDTH + extra}

    cfg = CfgNode({"WIDTH": 8})
    assert Head(cfg, 1).made == (9, "head")
    assert Head(cfg, extra=2, name="box").made == (10, "box")
    assert Head(width=3).made == (3, "head")

    class Bare:
        @configurable
        def __init__(self, width): ...

    with pytest.raises(TypeError, match="Bare needs a classmethod from_config"):
        Bare(cfg)

    @configurable(from_config=lambda cfg: {"a": cfg.WIDTH})
    def double(a):
        return 2 * a

    assert (double(cfg), double(4)) == (16, 8)
