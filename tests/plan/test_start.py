"""What a run starts from is looked at before it starts: there, whole, readable, fitting."""

import shutil

import pytest
import torch

from loopwright.checkpoint import Store, WeightsError
from loopwright.checkpoint.outline import Outlined, outline
from loopwright.config import Config
from loopwright.plan import check, make_plan
from loopwright.runner import Runner

CONFIG = """
model = [dict(type='Flatten'), dict(type='Linear', in_features=64, out_features=3)]
loss = 'CrossEntropyLoss'
train_dataloader = dict(
    batch_size=6,
    dataset=dict(type='ToyClasses', length=12),
    sampler=dict(type='DefaultSampler', shuffle=True),
    collate_fn=dict(type='default_collate'),
)
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=2)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.1, momentum=0.9))
param_scheduler = None
default_hooks = dict(checkpoint=dict(type='CheckpointHook', interval=1, filename_tmpl='TEMPLATE'))
log_level = 'ERROR'
"""


def config(folder, *lines, template="epoch_{}"):
    file = folder / "config.py"
    file.write_text(CONFIG.replace("TEMPLATE", template) + "\n".join(lines))
    return Config.fromfile(file)


@pytest.fixture(scope="module", params=["epoch_{}", "epoch_{}.pth"])
def trained(request, tmp_path_factory):
    """A finished run, whose checkpoints are folders, then single files."""
    folder = tmp_path_factory.mktemp("run")
    cfg = config(folder, f"work_dir = {str(folder)!r}", template=request.param)
    Runner.from_cfg(cfg).train()
    return folder


@pytest.fixture
def run(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "run")


def newest(run):
    return next(path for path in run.iterdir() if path.name.startswith("epoch_2"))


def spoil(checkpoint):
    """Cut the last bytes off the file that holds most."""
    files = [f for f in checkpoint.rglob("*") if f.is_file()] or [checkpoint]
    largest = max(files, key=lambda file: file.stat().st_size)
    largest.write_bytes(largest.read_bytes()[:-200])


def findings(folder, *lines):
    """Those of a plan that concern the start, as (level, line of the file, message)."""
    plan = make_plan(config(folder, *lines))
    found = [f for f in plan.findings if f.path in ("resume", "load_from")]
    assert all(f.origin.startswith(str(folder)) or "config.py:" in f.origin for f in found)
    return [(f.level, f.message) for f in found]


def test_a_run_that_can_be_resumed_is_not_spoken_of(run, tmp_path):
    assert findings(tmp_path, f"work_dir = {str(run)!r}", "resume = True") == []
    assert findings(tmp_path, f"load_from = {str(newest(run))!r}", "resume = True") == []
    assert findings(tmp_path, f"resume = {str(newest(run))!r}") == []


def test_nothing_to_resume_is_a_note(tmp_path):
    ((level, told),) = findings(tmp_path, f"work_dir = {str(tmp_path / 'new')!r}", "resume = True")
    assert level == "note"
    assert "the run starts anew" in told


def test_a_damaged_newest_checkpoint_is_a_warning_and_a_damaged_only_one_an_error(run, tmp_path):
    spoil(newest(run))
    ((level, told),) = findings(tmp_path, f"work_dir = {str(run)!r}", "resume = True")
    assert level == "warning"
    assert "epoch_2" in told
    ((level, told),) = findings(tmp_path, f"load_from = {str(newest(run))!r}", "resume = True")
    assert level == "error"
    assert "epoch_2" in told


def test_weights_of_other_names_or_shapes_cannot_be_resumed(run, tmp_path):
    other = "model = [dict(type='Flatten'), dict(type='Linear', in_features=64, out_features=5)]"
    ((level, told),) = findings(tmp_path, other, f"work_dir = {str(run)!r}", "resume = True")
    assert level == "error"
    assert "1.weight: checkpoint [3, 64], model [5, 64]" in told
    with pytest.raises(WeightsError, match="fit"):
        Runner.from_cfg(
            config(tmp_path, other, f"work_dir = {str(run)!r}", "resume = True")
        ).train()


def test_weights_alone_cannot_be_resumed(tmp_path):
    torch.save({"1.weight": torch.zeros(3, 64), "1.bias": torch.zeros(3)}, tmp_path / "w.pth")
    lines = (f"load_from = {str(tmp_path / 'w.pth')!r}", "resume = True")
    ((level, told),) = findings(tmp_path, *lines)
    assert level == "error"
    assert "cannot be resumed" in told


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_foreign_file_that_fits_is_not_spoken_of_and_what_it_lacks_is_a_note(wrapped, tmp_path):
    weights = {"module.1.weight": torch.zeros(3, 64), "module.1.bias": torch.zeros(3)}
    for name in ("module.1.bias", None):
        torch.save({"state_dict": weights} if wrapped else weights, tmp_path / "w.pth")
        found = findings(tmp_path, f"load_from = {str(tmp_path / 'w.pth')!r}")
        if name is not None:
            assert found == []
            del weights[name]
    ((level, told),) = found
    assert level == "note"
    assert "1 missing in the checkpoint (1.* 1): 1.bias" in told


def test_a_foreign_file_of_which_nothing_fits_is_an_error(tmp_path):
    torch.save({"backbone.weight": torch.zeros(3, 64)}, tmp_path / "w.pth")
    (tmp_path / "link.pth").symlink_to("w.pth")
    ((level, told),) = findings(tmp_path, f"load_from = {str(tmp_path / 'link.pth')!r}")
    assert level == "error"
    assert "no weight fits this model" in told


class Evil:
    def __reduce__(self):
        return print, ("run",)


@pytest.mark.parametrize("kind", ["code", "cut", "text", "folder", "address"])
def test_what_cannot_be_read_is_an_error_also_for_train_which_makes_no_model(
    kind, tmp_path, capsys
):
    path = tmp_path / "w.pth"
    torch.save({"1.weight": torch.zeros(3, 64), "x": Evil() if kind == "code" else 0}, path)
    if kind == "cut":
        path.write_bytes(path.read_bytes()[:-300])
    elif kind == "text":
        path.write_text("version https://git-lfs.github.com/spec/v1\n")
    elif kind == "folder":
        path.unlink()
        path.mkdir()
    where = "https://example.org/w.pth" if kind == "address" else str(path)
    cfg = config(tmp_path, f"load_from = {where!r}")
    (found,) = [f for f in check(cfg) if f.level == "error"]
    assert found.path == "load_from"
    assert found.origin.endswith(f"config.py:{len(CONFIG.splitlines()) + 1}")
    assert where in found.message
    assert "run\n" not in capsys.readouterr().out


def test_a_missing_file_to_resume_from_says_the_nearest(tmp_path):
    (tmp_path / "epoch_12.pth").touch()
    ((level, told),) = findings(tmp_path, f"resume = {str(tmp_path / 'epoch_21.pth')!r}")
    assert level == "error"
    assert "epoch_12.pth" in told


def test_the_outline_has_the_shapes_of_what_loading_gives(run):
    state = outline(newest(run))
    assert state["state_dict"]["1.weight"] == Outlined((3, 64))
    assert state["progress"]["epoch"] == 2


def test_tied_weights_are_outlined_under_both_names(tmp_path):
    tied = torch.zeros(4, 2)
    path = Store(tmp_path).save("a", {"state_dict": {"in": tied, "out": tied}}, step=1)
    assert outline(path) == {"state_dict": {"in": Outlined((4, 2)), "out": Outlined((4, 2))}}
