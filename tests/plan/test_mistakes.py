"""Sixty mistakes put into a valid config: each is found, at its line, with the right word."""

from pathlib import Path

import pytest

from loopwright.config import Config
from loopwright.plan import make_plan

WHOLE = (Path(__file__).parent / "whole.txt").read_text()

# what stands there, what is written instead, the right word (None: there is none to suggest)
TYPOS = [
    ("param_scheduler = [", "param_schedulers = [", "param_scheduler"),
    ("train_dataloader = dict(", "train_dataloder = dict(", "train_dataloader"),
    ("optim_wrapper = dict(", "optim_wraper = dict(", "optim_wrapper"),
    ("default_hooks = dict(", "default_hook = dict(", "default_hooks"),
    ("custom_hooks = [", "custom_hook = [", "custom_hooks"),
    ("val_evaluator = dict(", "val_evaluater = dict(", "val_evaluator"),
    ("env_cfg = dict(", "env_cgf = dict(", "env_cfg"),
    ("randomness = dict(", "randomnes = dict(", "randomness"),
    ("train_cfg = dict(", "train_cgf = dict(", "train_cfg"),
    ("val_cfg = dict(", "val_cgf = dict(", "val_cfg"),
    ("auto_scale_lr = dict(", "autoscale_lr = dict(", "auto_scale_lr"),
    ("'ToyResNet'", "'ToyResnet'", "ToyResNet"),
    ("'ToyClasses'", "'ToyClases'", "ToyClasses"),
    ("'DefaultSampler', shuffle=True", "'DefaultSampeler', shuffle=True", "DefaultSampler"),
    ("'Accuracy'", "'Acuracy'", "Accuracy"),
    ("'SGD'", "'SDG'", "SGD"),
    ("'LinearLR'", "'LinaerLR'", "LinearLR"),
    ("'MultiStepLR'", "'MultistepLR'", "MultiStepLR"),
    ("'EpochBasedTrainLoop'", "'EpochBasedTrainingLoop'", "EpochBasedTrainLoop"),
    ("'ValLoop'", "'ValLop'", "ValLoop"),
    ("'IterTimerHook'", "'IterTimeHook'", "IterTimerHook"),
    ("'LoggerHook'", "'LogerHook'", "LoggerHook"),
    ("'CheckpointHook'", "'CheckpiontHook'", "CheckpointHook"),
    ("'SegVisualizationHook'", "'SegVisualisationHook'", "SegVisualizationHook"),
    ("'CurvesHook'", "'CurveHook'", "CurvesHook"),
    ("batch_size=4,\n    num_workers", "batchsize=4,\n    num_workers", "batch_size"),
    ("num_workers=0", "num_worker=0", "num_workers"),
    ("persistent_workers=False", "persistent_worker=False", "persistent_workers"),
    ("collate_fn=dict", "colate_fn=dict", "collate_fn"),
    ("shuffle=True", "shufle=True", "shuffle"),
    ("length=12", "lenght=12", "length"),
    ("momentum=0.9", "momentun=0.9", "momentum"),
    ("weight_decay=0.0001", "weightdecay=0.0001", "weight_decay"),
    ("accumulative_counts=1", "accumulative_count=1", "accumulative_counts"),
    ("paramwise_cfg=dict", "paramwise_cgf=dict", "paramwise_cfg"),
    ("norm_decay_mult=0.0", "norm_decay_mul=0.0", "norm_decay_mult"),
    ("clip_grad=dict", "clip_grads=dict", "clip_grad"),
    ("max_norm=1.0", "max_nrom=1.0", "max_norm"),
    ("start_factor=0.001", "start_facter=0.001", "start_factor"),
    ("milestones=[8, 11]", "milestone=[8, 11]", "milestones"),
    ("max_epochs=max_epochs", "max_epoch=max_epochs", "max_epochs"),
    ("val_interval=2", "val_intervall=2", "val_interval"),
    ("val_begin=1", "val_begn=1", "val_begin"),
    ("logger=dict", "loger=dict", "logger"),
    ("interval=2)", "intervl=2)", "interval"),
    ("save_best=", "savebest=", "save_best"),
    ("max_keep_ckpts=3", "max_keep_ckpt=3", "max_keep_ckpts"),
    ("priority='LOWEST'", "priority='LOWESTT'", "LOWEST"),
    ("cudnn_benchmark=False", "cudnn_benchmrk=False", "cudnn_benchmark"),
    ("seed=0", "sede=0", "seed"),
    ("base_batch_size=4", "base_batchsize=4", "base_batch_size"),
    ("'accuracy/top1'", "'accuracy/top-1'", "accuracy/top1"),
    ("type='default_collate'", "type='defualt_collate'", "default_collate"),
    ("priority='LOWEST'", "priorty='LOWEST'", "'priority'"),
    ("'SGD'", "'Sgd'", "did you mean 'SGD'"),
    ("begin=0, end=3", "begn=0, end=3", "'begin'"),
    ("by_epoch=False, begin", "by_epochs=False, begin", "'by_epoch'"),
    ("max_epochs=max_epochs", "max_iters=max_epochs", "takes 'max_epochs' instead"),
    ("lr_mult=2.0", "lr_mul=2.0", "'lr_mult'"),
    ("weight_decay=0.0001),", "weight_decay=0.0001), _delet_=True,", "'_delete_'"),
]
WRONG = [
    ("lr=0.01", "lr='1e-2'", "must be"),
    ("max_epochs=max_epochs", "max_epochs='12'", "whole number"),
    ("batch_size=4,\n    num", "batch_size='4',\n    num", "whole number"),
    ("weight_decay=0.0001", "weight_decay=-0.1", "must not be negative"),
    ("env_cfg = dict(cudnn_benchmark=False)", "env_cfg = 3", "must be a dict"),
    ("interval=2)", "interval='2')", "whole number"),
    ("topk=(1, 5)", "topk='1'", "must be"),
    ("draw=False", "draw='no'", "True or False"),
    ("accumulative_counts=1", "accumulative_counts=0", "at least 1"),
    ("val_interval=2", "val_interval=0", "at least 1"),
    ("persistent_workers=False", "persistent_workers='no'", "True or False"),
    ("deterministic=False", "deterministic='no'", "True or False"),
    ("cudnn_benchmark=False", "cudnn_benchmark='off'", "True or False"),
    ("enable=False", "enable='no'", "True or False"),
    ("base_batch_size=4", "base_batch_size=0", "at least 1"),
    ("enable=False", "enable='no'", "True or False"),
    ("topk=(1, 5)", "topk=(1, '5')", "a list of whole numbers"),
    ("topk=(1, 5)", "topk=(0, 5)", "must be positive"),
    ("val_begin=1", "dynamic_intervals=[3, 1]", "pairs of a start and an interval"),
    ("val_begin=1", "dynamic_intervals=[(3, '1')]", "pairs of a start and an interval"),
    ("momentum=0.9", "momentum=0.0, nesterov=True", "Nesterov"),
    ("save_best='accuracy/top1'", "save_best='auto', rule='max'", "'greater' or 'less'"),
    ("max_norm=1.0", "type='nrom', max_norm=1.0", "did you mean 'norm'"),
    ("lr=0.01", "lr=float('nan')", "finite"),
    ("batch_size=4,\n    num", "drop_last=True, batch_size=40,\n    num", "an epoch has no batch"),
    ("length=12", "length=0", "has no samples"),
    ("begin=0, end=3", "begin='a', end=3", "must be"),
    ("type='LinearLR'", "type=5", "a name or a class"),
]
UNREACHABLE = [
    ("milestones=[8, 11]", "milestones=[8, 16]", "milestone 16"),
    ("end=12)", "end=24)", "ends at epoch 24"),
    ("val_interval=2", "val_interval=20", "run ends at epoch 12"),
    ("interval=1, save_best", "interval=50, save_best", "run ends at epoch 12"),
    ("persistent_workers=False", "persistent_workers=True", "no effect with num_workers=0"),
    ("base_batch_size=4", "base_batch_size=16", "auto_scale_lr is off"),
    ("'head': dict", "'haed': dict", "haed"),
    ("val_begin=1", "val_begin=30", "run ends at epoch 12"),
    ("val_begin=1", "dynamic_intervals=[(6, 1), (20, 3)]", "begins at 20"),
    ("interval=1, save_best", "save_begin=20, save_best", "run ends at epoch 12"),
    (
        "type='CurvesHook', priority='LOWEST'",
        "type='EarlyStoppingHook', monitor='accuracy/top1', patience=6",
        "only 6 validations",
    ),
    (
        "type='CurvesHook', priority='LOWEST'",
        "type='EMAHook', momentum=0.9999",
        "forgets the average",
    ),
]


def plan_of(text, tmp_path):
    file = tmp_path / "spoiled.py"
    file.write_text(text)
    return make_plan(Config.fromfile(str(file)), imported=True)


def spoiled(old, new):
    assert WHOLE.count(old) >= 1, old
    text = WHOLE.replace(old, new, 1)
    line = WHOLE[: WHOLE.index(old)].count("\n") + 1
    return text, line


def test_the_config_is_valid_before_it_is_spoiled(tmp_path):
    plan = plan_of(WHOLE, tmp_path)
    assert [str(f) for f in plan.findings] == []
    assert plan.exit_code == 0
    assert plan.notes == ()


@pytest.mark.parametrize(("old", "new", "right"), TYPOS, ids=[new for _, new, _ in TYPOS])
def test_a_typo_is_an_error_at_its_line_that_says_the_right_word(old, new, right, tmp_path):
    text, line = spoiled(old, new)
    errors = [f for f in plan_of(text, tmp_path).errors if right in f.message]
    assert errors, "the right word is suggested"
    offsets = range(old.count("\n") + 1)
    assert any(f"spoiled.py:{line + o}" in f.origin for f in errors for o in offsets)


@pytest.mark.parametrize(("old", "new", "message"), WRONG, ids=[new for _, new, _ in WRONG])
def test_a_wrong_value_is_an_error_at_its_line(old, new, message, tmp_path):
    text, line = spoiled(old, new)
    errors = [f for f in plan_of(text, tmp_path).errors if message in f.message]
    assert errors
    assert any(f"spoiled.py:{line}" in f.origin for f in errors)


@pytest.mark.parametrize(("old", "new", "message"), UNREACHABLE, ids=[n for _, n, _ in UNREACHABLE])
def test_what_does_not_fit_is_a_warning(old, new, message, tmp_path):
    text, _ = spoiled(old, new)
    plan = plan_of(text, tmp_path)
    assert any(message in f.message for f in plan.warnings), [str(f) for f in plan.findings]
    assert plan.exit_code == 1


def test_a_missing_file_says_the_nearest_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights.pth").touch()
    plan = plan_of(WHOLE + "load_from = 'weight.pth'\n", tmp_path)
    assert any(
        "weight.pth does not exist; did you mean 'weights.pth'" in f.message for f in plan.errors
    )


def test_a_preprocessor_may_stand_in_the_model_or_beside_it(tmp_path):
    images = "dict(type='ImgDataPreprocessor', mean=[0.3], std=[0.4])"
    model = "model = dict(type='MAE', backbone=dict(type='VisionTransformer')"
    toy = "model = dict(type='ToyResNet'"
    assert toy in WHOLE
    for written in (
        f"{model}, data_preprocessor={images}",
        f"data_preprocessor = {images}\n{model}",
        f"data_preprocessor = {images}\n{model}, data_preprocessor={images}",
    ):
        plan = plan_of(WHOLE.replace(toy, written), tmp_path)
        assert [str(f) for f in plan.errors] == []


NO_PARTS = [
    ("train_dataloader", 3),
    ("val_dataloader.dataset", "DigitsClassification"),
    ("train_dataloader.sampler", "DefaultSampler"),
    ("train_cfg", "EpochBasedTrainLoop"),
    ("val_cfg", True),
    ("optim_wrapper", "SGD"),
    ("optim_wrapper.optimizer", "SGD"),
    ("param_scheduler", "LinearLR"),
    ("param_scheduler.0", "LinearLR"),
    ("val_evaluator", "Accuracy"),
    ("custom_hooks.0", "CurvesHook"),
    ("default_hooks.timer", "IterTimerHook"),
    ("visualizer", "Visualizer"),
    ("log_processor", 5),
    ("env_cfg.mp_cfg", "fork"),
]


@pytest.mark.parametrize(("path", "value"), NO_PARTS, ids=[path for path, _ in NO_PARTS])
def test_a_word_where_a_part_belongs_is_an_error_and_no_crash(path, value, tmp_path):
    (tmp_path / "config.py").write_text(WHOLE)
    cfg = Config.fromfile(str(tmp_path / "config.py")).with_overrides([f"+{path}={value!r}"])
    told = {f.path: f for f in make_plan(cfg, imported=True).errors}
    assert "must be a" in told[path].message
    assert "command line" in told[path].origin


def test_a_misspelt_word_brings_no_doubts_that_follow_from_it(tmp_path):
    for old, new in (
        ("interval=1, save_best='accuracy/top1'", "by_epochs=False, interval=50"),
        ("enable=False, base_batch_size=4", "enabled=True, base_batch_size=16"),
        ("max_epochs=max_epochs", "max_iters=max_epochs"),
    ):
        assert len(plan_of(spoiled(old, new)[0], tmp_path).findings) == 1, new


IMPORTED = [
    ("from torch.optim import SDG as Chosen", "torch.optim has no 'SDG'; did you mean 'SGD'"),
    ("from mmengine.optim import Lambb as Chosen", "did you mean 'Lamb'"),
    ("from loopwright.optim import LRAS as Chosen", "did you mean 'LARS'"),
]


@pytest.mark.parametrize(("line", "message"), IMPORTED)
def test_a_misspelt_import_of_a_python_config_is_told_where_it_is_used(line, message, tmp_path):
    text = f"{line}\n{WHOLE}".replace("type='SGD', lr=0.01, momentum=0.9", "type=Chosen, lr=0.01")
    told = [f for f in plan_of(text, tmp_path).errors if message in f.message]
    assert [f.path for f in told] == ["optim_wrapper.optimizer.type"]


PICTURES = """
train_dataloader['dataset'] = dict(
    type='ImageFolder', data_root='pics',
    pipeline=[
        dict(type='LoadImageFromFile', color_type='color'),
        dict(type='RandomFlip', prob=0.5),
        dict(type='Resize', scale=(8, 8)),
        dict(type='PackInputs')])
"""


@pytest.mark.parametrize(
    ("old", "new", "path", "message"),
    [
        ("color_type='color'", "color_type='colour'", "pipeline.0.color_type", "mean 'color'"),
        ("prob=0.5", "prob=1.5", "pipeline.1.prob", "a share of 1"),
        ("scale=(8", "scal=(8", "pipeline.2.scal", "did you mean 'scale'"),
        ("'PackInputs'", "'PakInputs'", "pipeline.3.type", "did you mean 'PackInputs'"),
        ("dict(type='PackInputs')", "'PackInputs'", "pipeline.3", "dict(type='PackInputs')"),
        ("pipeline=[", "pipelin=[", "pipelin", "did you mean 'pipeline'"),
        ("data_root='pics'", "data_root='pic'", "data_root", "did you mean 'pics'"),
    ],
)
def test_a_mistake_in_a_data_set_is_told_once(old, new, path, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        (tmp_path / "pics" / name).mkdir(parents=True)
        (tmp_path / "pics" / name / "x.png").touch()
    text = WHOLE + PICTURES
    assert plan_of(text, tmp_path).errors == []
    [error] = plan_of(text.replace(old, new), tmp_path).errors
    assert error.path == f"train_dataloader.dataset.{path}"
    assert message in error.message


def test_a_value_that_a_part_deep_inside_refuses_is_told_at_its_own_line(tmp_path):
    model = "model = dict(\n  type='ImageClassifier', head=None, backbone=dict(\n    type='ResNet',"
    [error] = plan_of(
        WHOLE.replace("model = dict(type='ToyResNet'", f"{model}\n    depth=19)"), tmp_path
    ).errors
    assert error.path == "model.backbone.depth"
    assert error.origin.endswith("spoiled.py:6")


def test_a_batch_of_none_is_no_crash_where_the_rate_is_scaled(tmp_path):
    text = spoiled("batch_size=4,\n    num", "batch_size=0,\n    num")[0]
    [error] = plan_of(text.replace("enable=False", "enable=True"), tmp_path).errors
    assert error.path == "train_dataloader.batch_size"


def test_a_misspelt_module_of_the_users_own_is_an_error(tmp_path):
    (tmp_path / "own_parts.py").touch()
    for listed, count in (("['own_part']", 1), ("['own_parts', 'mmelsewhere.parts']", 0)):
        text = f"{WHOLE}\ncustom_imports = dict(imports={listed})\n"
        (tmp_path / "spoiled.py").write_text(text)
        plan = make_plan(Config.fromfile(str(tmp_path / "spoiled.py")))
        assert [f.path for f in plan.errors] == ["custom_imports.imports"] * count
        assert all("did you mean 'own_parts'" in f.message for f in plan.errors)


def test_several_mistakes_are_told_at_once(tmp_path):
    text = WHOLE
    for old, new in (
        ("momentum=0.9", "momentun=0.9"),
        ("val_begin=1", "val_begn=1"),
        ("seed=0", "sede=0"),
    ):
        text = text.replace(old, new, 1)
    told = " ".join(str(f) for f in plan_of(text, tmp_path).errors)
    assert all(word in told for word in ("'momentum'", "'val_begin'", "'seed'"))


def test_a_mistake_in_a_base_is_told_with_the_file_it_is_in(tmp_path):
    (tmp_path / "base.py").write_text(WHOLE.replace("momentum=0.9", "momentun=0.9"))
    child = tmp_path / "child.py"
    child.write_text("_base_ = './base.py'\nmax_epochs = 3\n")
    plan = make_plan(Config.fromfile(str(child)), imported=True)
    assert any("base.py:18" in f.origin and "'momentum'" in f.message for f in plan.errors)


def test_a_former_key_says_what_to_write_now(tmp_path):
    plan = plan_of(WHOLE + "lr_config = dict(policy='step')\n", tmp_path)
    assert any("write param_scheduler" in f.message for f in plan.errors)
