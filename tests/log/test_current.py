"""A running Runner's hub, logger and storage are the current ones, and only while it runs."""

import torch
from torch import nn

from loopwright.log import MessageHub, MMLogger, has_event_storage
from loopwright.runner import Runner


class Model(nn.Module):
    """One weight."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(1, 1)

    def train_step(self, data, optim_wrapper):
        loss = self.layer(torch.ones(2, 1)).square().mean()
        optim_wrapper.update_params(loss)
        MessageHub.get_current_instance().update_info("seen", True)
        return {"loss": loss.detach()}


def test_code_inside_a_run_finds_the_runs_own_hub_and_logger(tmp_path):
    runners = [
        Runner(
            model=Model(),
            work_dir=str(tmp_path / name),
            train_dataloader={"dataset": [1.0, 2.0], "batch_size": 1},
            train_cfg={"by_epoch": False, "max_iters": 2},
            optim_wrapper={"optimizer": {"type": "SGD", "lr": 0.1}},
            experiment_name="same",
        )
        for name in "ab"
    ]
    runners[1].train()
    assert runners[1].message_hub.get_info("seen") is True
    assert runners[0].message_hub.get_info("seen") is None
    assert not has_event_storage()
    assert not MMLogger.check_instance_created("same")


def test_a_level_set_later_holds_at_once(tmp_path):
    logger = MMLogger("levels", log_file=tmp_path / "x.log")
    logger.info("told")
    logger.setLevel("ERROR")
    logger.info("not told")
    logger.close()
    assert "told" in (tmp_path / "x.log").read_text()
    assert "not told" not in (tmp_path / "x.log").read_text()
