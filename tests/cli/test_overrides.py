"""What a command line may set although the config's file does not say it."""

import pytest
from click.testing import CliRunner

from loopwright.cli.main import main
from loopwright.cli.overrides import overridden
from loopwright.config import Config, ConfigError


def test_a_section_that_every_run_has_needs_no_plus():
    cfg = overridden(Config({"model": {"type": "Net"}}), ["randomness.seed=3", "resume=true"])
    assert cfg.randomness == {"seed": 3}
    assert cfg.resume is True


def test_a_default_hook_that_the_file_does_not_name_needs_no_plus():
    cfg = Config({"default_hooks": {"timer": {"type": "IterTimerHook"}}})
    assert overridden(cfg, ["default_hooks.logger.interval=5"]).default_hooks == {
        "timer": {"type": "IterTimerHook"},
        "logger": {"interval": 5},
    }


@pytest.mark.parametrize(
    ("override", "meant"),
    [
        ("optim_wraper.optimizer.lr=1", "optim_wrapper.optimizer.lr"),
        ("optim_wrapper.optimzer.lr=1", "optim_wrapper.optimizer.lr"),
        ("default_hooks.loger.type=X", "default_hooks.logger.type"),
    ],
)
def test_a_misspelt_key_is_still_a_mistake(override, meant):
    cfg = Config(
        {
            "optim_wrapper": {"optimizer": {"lr": 0.1}},
            "default_hooks": {"logger": {"type": "LoggerHook"}},
        }
    )
    with pytest.raises(ConfigError, match=f"did you mean '{meant}'"):
        overridden(cfg, [override])


def test_a_misspelt_file_is_answered_with_the_nearest(tmp_path):
    (tmp_path / "config.py").write_text("a = 1")
    result = CliRunner().invoke(main, ["config", "show", str(tmp_path / "confg.py")])
    assert result.exit_code == 2
    assert "Did you mean" in result.output
    assert "config.py" in result.output
