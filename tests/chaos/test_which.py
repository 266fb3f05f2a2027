"""Which checkpoint a resume takes, from where, and what it says of those it does not take."""

import os

import pytest
import torch
from lives import digests, make
from test_faults import Poison
from test_memory import no_memory
from toy import Net, loader, spec

from loopwright.build.order import prepare
from loopwright.checkpoint import CheckpointError, Store, load_any
from loopwright.hooks import NonFiniteLossError

SHORT = {"type": "EpochBasedTrainLoop", "max_epochs": 2}


def plain(folder, finite="stop", **checkpoint):
    """Saves every two iterations; nothing validated; said to a log file."""
    hooks = {
        "logger": {"type": "LoggerHook", "interval": 2},
        "checkpoint": {"type": "CheckpointHook", "interval": 2, "by_epoch": False, **checkpoint},
        "finite_loss": {"type": "FiniteLossHook", "policy": finite},
    }
    changes = {"val_cfg": None, "val_dataloader": None, "val_evaluator": None, "train_cfg": SHORT}
    return spec(folder, **changes, default_hooks=hooks, log_level="INFO")


def said(folder):
    return "".join(path.read_text() for path in sorted(folder.glob("*/*.log")))


class Late(Net):
    """A loss of NaN in iteration 9, whatever the batch; nothing in batch norm is spoiled."""

    def forward(self, inputs, data_samples=None, mode="tensor"):
        losses = super().forward(inputs, data_samples, mode)
        self.calls = getattr(self, "calls", 0) + 1
        return {"loss": losses["loss"] * float("nan")} if self.calls == 10 else losses


def test_after_a_nan_the_last_good_checkpoint_is_resumed_and_the_newer_one_named(tmp_path):
    config = plain(tmp_path)
    with pytest.raises(NonFiniteLossError):
        make({**config, "model": Late()}).train()
    assert {"iter_8", "crash_iter_9"} <= set(Store(tmp_path).names())
    again = make(plain(tmp_path))
    again.load_or_resume()
    assert again.iter == 8
    text = said(tmp_path)
    assert "crash_iter_9 (iteration 9) is newer but not taken: it was saved after NonFinite" in text
    assert "policy='rollback'" in text
    again.train()
    assert (again.iter, "crash_iter_9" in Store(tmp_path).names()) == (12, False)


def test_the_advice_leads_past_the_batch_that_stopped_the_run(tmp_path):
    data = {"train_dataloader": {**loader(0, train=True), "dataset": Poison()}}
    with pytest.raises(NonFiniteLossError):
        make({**plain(tmp_path), **data}).train()
    again = make({**plain(tmp_path, "rollback"), **data})
    next(h for h in again.hooks if hasattr(h, "max_rollbacks")).max_rollbacks = 99
    again.train()
    assert again.iter == 12
    assert again.left_out


def test_the_newer_one_can_be_taken_by_name(tmp_path):
    with pytest.raises(NonFiniteLossError):
        make({**plain(tmp_path), "model": Late()}).train()
    again = make({**plain(tmp_path), "resume": str(tmp_path / "crash_iter_9")})
    again.load_or_resume()
    assert again.iter == 9
    assert "saved after an error, whose iteration comes again: NonFiniteLossError" in said(tmp_path)


def test_after_another_error_no_work_is_lost(tmp_path):
    class Failing(Late):
        def forward(self, inputs, data_samples=None, mode="tensor"):
            if getattr(self, "calls", 0) == 9:
                raise no_memory()
            return super().forward(inputs, data_samples, mode)

    with pytest.raises(torch.OutOfMemoryError):
        make({**plain(tmp_path), "model": Failing()}).train()
    again = make(plain(tmp_path))
    again.load_or_resume()
    assert again.iter == 9
    assert "OutOfMemoryError" in said(tmp_path)


def test_another_folders_checkpoint_begins_this_folders_log(tmp_path, caplog):
    make({**plain(tmp_path / "one"), "resume": False}).train()
    runner = make({**plain(tmp_path / "two"), "resume": False})
    runner.resume(str(tmp_path / "one" / "iter_10"))
    runner.train()
    assert "its last lines are lost" not in caplog.text
    assert f"the log of {tmp_path / 'two'} begins" in said(tmp_path / "two")
    lines = (tmp_path / "two" / "metrics.jsonl").read_text().splitlines()
    assert lines == (tmp_path / "one" / "metrics.jsonl").read_text().splitlines()[-len(lines) :]


class Inited(Net):
    """Initialised when the run begins, not when the model is built."""

    def __init__(self):
        super().__init__()
        self.init_cfg = {"type": "Constant", "layer": "Linear", "val": 0.5}


def test_a_resume_before_the_run_keeps_weights_and_learning_rate(tmp_path):
    first = make({**plain(tmp_path / "one"), "model": Inited(), "resume": False})
    first.train()
    again = make({**plain(tmp_path / "two"), "model": Inited(), "resume": False})
    again.resume(str(tmp_path / "one" / "iter_10"))
    again.train()
    found, wanted = digests(again), digests(first)
    parts = ("weights", "ema", "optimizer", "schedules", "counters")
    assert {part: found[part] for part in parts} == {part: wanted[part] for part in parts}


def test_weights_loaded_before_the_run_are_where_it_starts(tmp_path):
    weights = {"net.0.weight": torch.full((16, 8), 0.25)}
    torch.save(weights, tmp_path / "part.pth")
    runner = make({**plain(tmp_path / "run"), "model": Inited(), "resume": False})
    runner.load_checkpoint(str(tmp_path / "part.pth"))
    prepare(runner)
    assert torch.equal(runner.model.net[0].weight, weights["net.0.weight"])
    assert bool((runner.model.net[4].weight == 0.5).all())


def test_another_folders_checkpoint_is_not_written_on_an_earlier_runs_log(tmp_path):
    make({**plain(tmp_path / "one"), "resume": False}).train()
    make({**plain(tmp_path / "two"), "resume": False}).train()
    config = {**plain(tmp_path / "two"), "resume": str(tmp_path / "one" / "iter_10")}
    make(config).train()
    assert (tmp_path / "two" / "earlier_1" / "iter_10").is_dir()
    assert len((tmp_path / "two" / "metrics.jsonl").read_text().splitlines()) == 1


def test_a_run_that_saves_elsewhere_resumes_from_there(tmp_path):
    config = plain(tmp_path / "run", out_dir=str(tmp_path / "disk"))
    elsewhere = tmp_path / "disk" / "run"
    with pytest.raises(NonFiniteLossError):
        make({**config, "model": Late()}).train()
    assert Store(elsewhere).names() == ["iter_2", "iter_4", "iter_6", "iter_8"]
    again = make(config)
    again.train()
    assert f"resumed from {elsewhere / 'iter_8'}" in said(tmp_path / "run")
    assert Store(elsewhere).newest().step == 12
    assert Store(tmp_path / "run").names() == [], "the crash one is of no use any more"


def test_a_fresh_run_sets_aside_what_lies_elsewhere_too(tmp_path):
    config = {**plain(tmp_path / "run", out_dir=str(tmp_path / "disk")), "resume": False}
    for _ in range(2):
        make(config).train()
    assert (tmp_path / "disk" / "run" / "earlier_1" / "iter_12").is_dir()
    assert Store(tmp_path / "disk" / "run").newest().step == 12


def test_weights_alone_are_no_run_to_resume(tmp_path):
    torch.save(Net().state_dict(), tmp_path / "weights.pth")
    runner = make({**plain(tmp_path / "run"), "resume": str(tmp_path / "weights.pth")})
    with pytest.raises(CheckpointError, match=r"weights.pth does not hold the state of a run"):
        runner.train()


@pytest.mark.parametrize("name", ["iter_{}", "iter_{}.pth"])
def test_published_copies_hold_the_keys_alone_and_are_never_resumed(tmp_path, name):
    config = plain(tmp_path, filename_tmpl=name, published_keys=["state_dict", "meta", "no_such"])
    make(config).train()
    (path,) = (tmp_path / "published").glob("*.pth")
    assert path.name.startswith("iter_12-")
    plainly = torch.load(path, weights_only=True)
    assert set(plainly) >= {"state_dict", "meta"}
    assert "optimizer" not in plainly
    found = load_any(path)
    whole = Store(tmp_path).load().state["state_dict"]
    assert all(torch.equal(value, found["state_dict"][key]) for key, value in whole.items())
    assert "has no 'no_such'" in said(tmp_path)
    assert Store(tmp_path).newest().step == 12
    assert not any("-" in entry for entry in Store(tmp_path).names())


def test_a_run_that_saves_at_a_remote_address_resumes_from_there(tmp_path):
    pytest.importorskip("fsspec")
    where = f"memory://{tmp_path.name}"
    config = plain(tmp_path / "run", out_dir=where, published_keys="state_dict")
    with pytest.raises(NonFiniteLossError):
        make({**config, "model": Late()}).train()
    again = make(config)
    again.train()
    assert f"resumed from {where}/run/iter_8" in said(tmp_path / "run")
    assert again.stores[where].newest().step == 12
    assert len(list((tmp_path / "run" / "published").glob("iter_12-*.pth"))) == 1


def test_a_run_whose_checkpoints_are_all_damaged_does_not_start_anew_in_silence(tmp_path):
    make(plain(tmp_path, max_keep_ckpts=1)).train()
    for name in Store(tmp_path).names():
        path = next((tmp_path / name).glob("*.safetensors"))
        os.truncate(path, 100)
    with pytest.raises(CheckpointError, match="no whole checkpoint"):
        make(plain(tmp_path)).train()
