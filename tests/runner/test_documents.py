"""The blocks of the users' documents run verbatim inside a config."""

import sys
from pathlib import Path

import pytest
import torch

from loopwright.config import Config
from loopwright.runner import Runner

HERE = Path(__file__).parent
BLOCKS = Path(__file__).parents[1] / "documents"

DATA = """
_data = dict(batch_size=4, num_workers=0, dataset=dict(type='{dataset}'),
             sampler=dict(type='DefaultSampler', shuffle=True),
             collate_fn=dict(type='default_collate'))
train_dataloader = _data
custom_imports = dict(imports=['toy_models'])
randomness = dict(seed=0)
"""
SEGMENTATION = (
    DATA.format(dataset="ToyMasks")
    + """
model = dict(type='ToySegmentor')
val_dataloader = test_dataloader = _data
val_evaluator = test_evaluator = dict(type='PixelAccuracy')
"""
)
RESNET = DATA.format(dataset="ToyClasses") + "model = dict(type='ToyResNet')\n"
EPOCHS = "train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=2)\n"


def block(name: str) -> str:
    return (BLOCKS / f"{name}.txt").read_text(encoding="utf-8")


@pytest.fixture
def train(tmp_path, monkeypatch):
    """Write a config of the given texts, read it, override it, train it."""
    monkeypatch.syspath_prepend(str(HERE))
    import toy_models  # noqa: F401  (registers the toy parts)

    def run(*texts: str, overrides: tuple[str, ...] = ()) -> Runner:
        file = tmp_path / "config.py"
        file.write_text("\n".join(texts), encoding="utf-8")
        cfg = Config.fromfile(str(file)).with_overrides(overrides)
        cfg["work_dir"] = str(tmp_path / "run")
        runner = Runner.from_cfg(cfg)
        runner.train()
        return runner

    return run


def test_the_segmentation_document_runs_as_written(train):
    runner = train(
        SEGMENTATION,
        block("segmentation_80k"),
        overrides=("train_cfg.max_iters=6", "train_cfg.val_interval=3"),
    )
    assert runner.iter == 6
    assert runner.epoch == 0
    rates = {g["lr"] for g in runner.optim_wrapper.optimizer.param_groups}
    assert len(rates) == 14, "14 depths: embedding, 12 blocks, head"
    pictures = list(Path(runner.work_dir, "vis_image").glob("val_*.png"))
    assert pictures, "SegVisualizationHook draws every validation batch"
    assert runner.store.names() == ["iter_6"], "CheckpointHook saves the last iteration"
    kinds = [type(hook).__name__ for hook in runner.hooks]
    assert kinds == [
        "RuntimeInfoHook",
        "FiniteLossHook",
        "IterTimerHook",
        "DistSamplerSeedHook",
        "SegVisualizationHook",
        "LoggerHook",
        "ParamSchedulerHook",
        "CheckpointHook",
    ]


def test_shallow_layers_learn_more_slowly_in_the_segmentation_document(train):
    runner = train(SEGMENTATION, block("segmentation_80k"), overrides=("train_cfg.max_iters=1",))
    scale = {
        name: group["lr_scale"]
        for group in runner.optim_wrapper.optimizer.param_groups
        for name in group["param_names"]
    }
    assert scale["backbone.pos_embed"] == pytest.approx(0.9**13)
    assert scale["backbone.blocks.0.mlp.weight"] == pytest.approx(0.9**12)
    assert scale["backbone.blocks.11.mlp.weight"] == pytest.approx(0.9)
    assert scale["decode_head.weight"] == 1


RTMDET = "max_epochs = 4\nbase_lr = 0.004\n"
IMPORTS = """
from torch.optim import AdamW
from mmengine.optim import CosineAnnealingLR, LinearLR, OptimWrapper
"""


def named(text: str) -> str:
    """The same block with names instead of class objects."""
    for kind in ("AdamW", "OptimWrapper", "LinearLR", "CosineAnnealingLR"):
        text = text.replace(f"type={kind},", f"type='{kind}',")
    return text


@pytest.mark.parametrize("form", ["classes", "names"])
def test_the_rtmdet_document_runs_in_both_type_forms(train, form):
    parts = [RTMDET, block("rtmdet_optimizer"), block("rtmdet_scheduler")]
    texts = [IMPORTS, *parts] if form == "classes" else [named(p) for p in parts]
    data = RESNET.replace("_data = dict(", "_data = dict(").replace("ToyClasses", "ToyClasses")
    runner = train(
        *texts,
        data,
        EPOCHS.replace("max_epochs=2", "max_epochs=max_epochs"),
    )
    assert runner.epoch == 4
    groups = runner.optim_wrapper.optimizer.param_groups
    assert {g["weight_decay"] for g in groups} == {0.0, 0.05}
    assert type(runner.optim_wrapper.optimizer) is torch.optim.AdamW
    assert [s.by_epoch for s in runner.param_schedulers] == [False, False]


def test_the_plain_optimizer_of_the_rtmdet_document_runs_inside_a_wrapper(train):
    block_text = block("rtmdet_plain_optimizer")
    runner = train(
        IMPORTS, RTMDET, block_text, "optim_wrapper = dict(optimizer=optimizer)", RESNET, EPOCHS
    )
    assert runner.optim_wrapper.optimizer.param_groups[0]["lr"] == 0.004


def test_two_hundred_epochs_are_what_the_document_says(train):
    runner = train(
        RESNET,
        block("selfsup_epochs_200"),
        block("selfsup_optim_wrapper"),
        overrides=("train_cfg.max_epochs=2",),
    )
    assert runner.epoch == 2
    text = block("selfsup_epochs_200")
    assert Config.fromstring(text, ".py").train_cfg.max_epochs == 200


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("selfsup_optim_wrapper", "OptimWrapper"),
        ("selfsup_amp", "AmpOptimWrapper"),
        ("selfsup_mae", "OptimWrapper"),
        ("selfsup_simclr", "OptimWrapper"),
    ],
)
def test_every_optim_wrapper_of_the_selfsup_document_trains(train, name, kind):
    runner = train(RESNET, EPOCHS, block(name))
    assert type(runner.optim_wrapper).__name__ == kind
    assert runner.iter == 6


def test_lars_leaves_out_what_simclr_says(train):
    runner = train(RESNET, EPOCHS, block("selfsup_simclr"))
    excluded = {
        name
        for group in runner.optim_wrapper.optimizer.param_groups
        if group.get("lars_exclude")
        for name in group["param_names"]
    }
    assert excluded == {
        "backbone.conv1.bias",
        "backbone.bn1.weight",
        "backbone.bn1.bias",
        "backbone.downsample.0.bias",
        "backbone.downsample.1.weight",
        "backbone.downsample.1.bias",
        "head.bias",
    }


def test_the_scheduler_of_the_selfsup_document_warms_up_then_decays(train):
    runner = train(
        RESNET,
        block("selfsup_sgd") + "optim_wrapper = dict(optimizer=optimizer)",
        block("selfsup_scheduler_400"),
        "train_cfg = dict(by_epoch=True, max_epochs=400)",
        overrides=(
            "train_cfg.max_epochs=4",
            "param_scheduler.0.end=2",
            "param_scheduler.1.begin=2",
            "param_scheduler.1.T_max=2",
            "param_scheduler.1.end=4",
        ),
    )
    assert runner.iter == 12
    assert runner.optim_wrapper.get_lr()["lr"][0] < 0.01


@pytest.mark.parametrize(
    ("name", "place"), [("selfsup_custom_hooks", 1), ("selfsup_custom_hooks_priority", 0)]
)
def test_the_documents_own_hook_runs_with_its_imports_answered(train, tmp_path, name, place):
    from loopwright import compat

    compat.install("mmengine")
    file = tmp_path / "new_hook.py"
    file.write_text(block("selfsup_new_hook"), encoding="utf-8")
    sys.path.insert(0, str(tmp_path))
    try:
        runner = train(
            "a_value = 2\nb_value = 5\n",
            block(name),
            RESNET,
            EPOCHS,
            block("selfsup_optim_wrapper"),
            "custom_imports = dict(imports=['toy_models', 'new_hook'])",
        )
    finally:
        sys.path.remove(str(tmp_path))
        sys.modules.pop("new_hook", None)
        compat.uninstall("mmengine")
    assert runner.model.hyper_parameter == 2 * 5 + 5
    order = [type(hook).__name__ for hook in runner.hooks]
    assert (order.index("NewHook") < order.index("IterTimerHook")) == (place == 0)
