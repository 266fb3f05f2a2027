"""What a config changes of the hooks that every run has."""

import pytest

from loopwright.build.default_hooks import DEFAULT_HOOKS, completed
from loopwright.build.hooks import build_hook, hook_configs
from loopwright.config import Config
from loopwright.config.provenance import origin_of
from loopwright.plan import make_plan


def test_an_argument_without_a_type_changes_the_default_and_leaves_the_rest():
    said = dict(hook_configs({"checkpoint": {"max_keep_ckpts": 2}}, None))
    assert said["default_hooks.checkpoint"] == {
        "type": "CheckpointHook",
        "interval": 1,
        "max_keep_ckpts": 2,
    }
    assert list(said) == [f"default_hooks.{name}" for name in DEFAULT_HOOKS]


def test_a_type_replaces_the_default_whole():
    given = {"type": "CheckpointHook", "by_epoch": False}
    assert completed("checkpoint", given) is given


def test_completing_mutates_no_config_and_keeps_where_it_was_written():
    cfg = Config.fromstring("default_hooks = dict(\n    logger=dict(interval=7))", ".py")
    whole = completed("logger", cfg.default_hooks.logger)
    assert whole == {"interval": 7, "type": "LoggerHook"}
    assert cfg.default_hooks.logger == {"interval": 7}
    assert origin_of(whole, "interval") == origin_of(cfg.default_hooks.logger, "interval")


def test_a_default_hook_can_be_given_another_priority_alone():
    cfg = dict(hook_configs({"timer": {"priority": "LOW"}}, None))["default_hooks.timer"]
    assert build_hook(cfg)[1] == 70


@pytest.mark.parametrize(
    ("hooks", "expected"),
    [
        ("dict(checkpoint=dict(interval=2))", (2, 4)),
        ("dict(logger=dict(interval=9))", (1, 2, 3, 4)),
    ],
)
def test_the_plan_completes_them_as_the_run_does(hooks, expected):
    text = f"train_cfg = dict(by_epoch=True, max_epochs=4)\ndefault_hooks = {hooks}"
    plan = make_plan(Config.fromstring(text, ".py"), with_model=False, with_data=False)
    assert not [f for f in plan.findings if f.level == "error"]
    assert plan.facts.checkpoints == expected
    assert {h.name for h in plan.hooks} >= {"CheckpointHook", "LoggerHook"}
