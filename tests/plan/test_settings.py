"""Settings of a run, options that are passed on, and names of other libraries, before the run."""

import inspect
from pathlib import Path

import pytest
import torch

from loopwright.config import Config
from loopwright.dist.launch import LAUNCHERS
from loopwright.hooks import EMAHook
from loopwright.model import compile_options, norm
from loopwright.plan import make_plan, optimization, settings, structure
from loopwright.registry import OPTIM_WRAPPERS

WHOLE = (Path(__file__).parent / "whole.txt").read_text()
LINE = WHOLE.count("\n") + 1
HOOK = "    dict(type='CurvesHook', priority='LOWEST'),"
SAID = [
    ("launcher = 'pytorh'", "launcher", "did you mean 'pytorch'"),
    ("log_level = 'INOF'", "log_level", "did you mean 'INFO'"),
    ("sync_bn = 'torhc'", "sync_bn", "did you mean 'torch'"),
    ("resume = 'auto'", "resume", "resume=True goes on from the newest"),
    ("resume = 'no_such.pth'", "resume", "is not there"),
    ("compile = dict(mod='default')", "compile.mod", "did you mean 'mode'"),
    ("compile = dict(mode='max-autotun')", "compile.mode", "'max-autotune'"),
    ("compile = dict(fullgraph='yes')", "compile.fullgraph", "True or False"),
    ("compile = dict(recompile_limit=0)", "compile.recompile_limit", "at least 1"),
    ("compile = 3", "compile", "True, False or a dict"),
    ("on_resume = dict(scedule='keep')", "on_resume.scedule", "did you mean 'schedule'"),
    ("on_resume = dict(schedule='kep')", "on_resume.schedule", "keep, rescale, refuse"),
    ("faults = dict(on_sigusr1='save')", "faults.on_sigusr1", "continue, stop"),
    ("faults = dict(on_ooom='stop')", "faults.on_ooom", "did you mean 'on_oom'"),
    ("expect_init = 'xyz'", "expect_init", "6 to 64 hex digits"),
    ("expect_init = 123456", "expect_init", "without quotes"),
    ("randomness = dict(seed='one')", "randomness.seed", "whole number or None"),
    ("env_cfg = dict(mp_cfg=dict(mp_start_metod='fork'))", "env_cfg.mp_cfg.mp_start_metod", "did"),
    ("env_cfg = dict(mp_cfg=dict(mp_start_method='frok'))", "env_cfg.mp_cfg.mp_start_method",
     "did you mean 'fork'"),
    ("env_cfg = dict(dist_cfg=dict(bakend='gloo'))", "env_cfg.dist_cfg.bakend", "'backend'"),
    ("visualizer = dict(type='Visualiser')", "visualizer.type", "did you mean 'Visualizer'"),
    ("visualizer = dict(vis_backends=[dict(type='TensorbordVisBackend')])",
     "visualizer.vis_backends.0.type", "did you mean 'TensorboardVisBackend'"),
    ("log_processor = dict(windw_size=3)", "log_processor.windw_size", "'window_size'"),
    ("visualizer = dict(vis_backends=dict(type='LocalVisBackends'))",
     "visualizer.vis_backends.type", "did you mean 'LocalVisBackend'"),
    ("visualizer = dict(vis_backends=['LocalVisBackends'])", "visualizer.vis_backends.0.type",
     "did you mean 'LocalVisBackend'"),
    ("env_cfg = dict(dist_cfg=dict(backend='ncll'))", "env_cfg.dist_cfg.backend", "'nccl'"),
    ("log_processor = dict(window_size=0)", "log_processor.window_size", "at least 1"),
    ("log_processor = dict(custom_cfg=[dict(data_src='loss', method_name='maen')])",
     "log_processor.custom_cfg", "did you mean 'mean'"),
    ("log_processor = dict(custom_cfg=[dict(data_scr='loss', method_name='mean')])",
     "log_processor.custom_cfg", "is 'data_scr' meant to be 'data_src'"),
    ("compile = dict(modules=['layr'])", "compile.modules", "matches no sub-module"),
    ("train_dataloader['batch_sampler'] = dict(type='BatchSampeler')",
     "train_dataloader.batch_sampler.type", "did you mean 'BatchSampler'"),
    ("custom_hooks = [dict(type='EMAHook', priorty=49)]", "custom_hooks.0.priorty",
     "did you mean 'priority'"),
    ("custom_hooks = [dict(type='EMAHook', momentum=1.5)]", "custom_hooks.0.momentum",
     "between 0 and 1"),
    ("custom_imports = dict(imports=3)", "custom_imports.imports", "must be"),
    ("log_processor = dict(window_size='3')", "log_processor.window_size", "whole number"),
    ("model_wrapper_cfg = dict(type='MMFulyShardedDataParallel')", "model_wrapper_cfg.type",
     "did you mean 'MMFullyShardedDataParallel'"),
    ("data_preprocessor = dict(type='ImgDataPreprocesor')", "data_preprocessor.type",
     "did you mean 'ImgDataPreprocessor'"),
    ("custom_hooks = [dict(type='EMAHook', momentun=0.1)]", "custom_hooks.0.momentun",
     "did you mean 'momentum'"),
    ("custom_hooks = [dict(type='EMAHook', begin_itr=3)]", "custom_hooks.0.begin_itr",
     "did you mean 'begin_iter'"),
    ("custom_hooks = [dict(type='EMAHook', ema_type='ExponentialMovingAvarage')]",
     "custom_hooks.0.ema_type", "did you mean 'ExponentialMovingAverage'"),
    ("custom_hooks = [dict(type='EMAHook', ema_type='StochasticWeightAverage', momentum=0.1)]",
     "custom_hooks.0.momentum", "StochasticWeightAverage takes no argument 'momentum'"),
    ("default_hooks = dict(loger=dict(interval=3))", "default_hooks.loger",
     "did you mean 'logger'"),
    ("custom_hooks = [dict(type='CurvesHook', priority='LOWWEST')]", "custom_hooks.0.priority",
     "LOWEST"),
]  # fmt: skip


def plan_of(text, tmp_path, **how):
    file = tmp_path / "spoiled.py"
    file.write_text(text)
    return make_plan(Config.fromfile(str(file)), imported=True, **how)


@pytest.mark.parametrize(("line", "path", "message"), SAID, ids=[line for line, _, _ in SAID])
def test_a_wrong_setting_is_one_error_at_its_line(line, path, message, tmp_path):
    errors = plan_of(f"{WHOLE}\n{line}\n", tmp_path).errors
    assert [f.path for f in errors] == [path], [str(f) for f in errors]
    assert message in errors[0].message
    assert f"spoiled.py:{LINE + 1}" in errors[0].origin


RIGHT = [
    "launcher = 'slurm'",
    "compile = dict(mode='reduce-overhead', modules=['backbone'], on_limit='error')",
    "compile = False",
    "expect_init = '3fa1c0'",
    "on_resume = dict(schedule='keep')",
    "faults = dict(max_failed_saves=1, on_sigusr1='stop')",
    "visualizer = dict(type='Visualizer', vis_backends=[dict(type='LocalVisBackend')])",
    "log_processor = dict(by_epoch=False, window_size=5)",
    "model_wrapper_cfg = dict(type='MMFullyShardedDataParallel', units='Block')",
    "env_cfg = dict(mp_cfg=dict(mp_start_method='spawn'), dist_cfg=dict(backend='gloo'))",
    "custom_hooks = [dict(type='EMAHook', ema_type='MomentumAnnealingEMA', gamma=10)]",
    "default_hooks = dict(logger=dict(interval=3))",
    "visualizer = dict(type='Visualizer', name='visualizer', save_dir='shown')",
    "visualizer = dict(vis_backends=[dict(type='LocalVisBackend', save_dir='x', name='here')])",
    "train_dataloader['sampler'] = dict(type='InfiniteSampler', shuffle=True, seed=4)",
    "train_dataloader['batch_sampler'] = dict(type='BatchSampler')",
    "train_cfg['dynamic_intervals'] = [(10, 1)]",
    "train_dataloader['collate_fn'] = 'pseudo_collate'",
    "optim_wrapper['optimizer'] = dict(type='AdamW', weight_decay=0, betas=[0.9, 0.99])",
    "env_cfg = dict(cudnn_benchmark=0, dist_cfg=dict(backend='cpu:gloo,cuda:nccl'))",
]


@pytest.mark.parametrize("line", RIGHT)
def test_a_right_setting_is_not_spoken_of(line, tmp_path):
    assert plan_of(f"{WHOLE}\n{line}\n", tmp_path).findings == ()


def test_a_misspelt_rule_of_a_constructor_is_an_error_with_the_right_word(tmp_path):
    rules = "paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0, custom_keys={'head': dict"
    spoiled = WHOLE.replace(
        rules + "(lr_mult=2.0)})",
        "constructor='LayerDecayOptimizerConstructor_ViT', "
        "paramwise_cfg=dict(num_layers=12, layer_decay_rat=0.7)",
    )
    assert spoiled != WHOLE
    [error] = plan_of(spoiled, tmp_path).errors
    assert error.path == "optim_wrapper.paramwise_cfg.layer_decay_rat"
    assert "did you mean 'layer_decay_rate'" in error.message
    assert "spoiled.py" in error.origin


def test_what_the_model_itself_refuses_is_an_error_and_not_a_note(tmp_path):
    spoiled = WHOLE.replace(
        "model = dict(type='ToyResNet')", "model = dict(type='ResNet', depth=7)"
    )
    [error] = plan_of(spoiled, tmp_path).errors
    assert error.path.startswith("model")
    assert "7" in error.message


FOREIGN = "\ndefault_scope = 'mmpretrain'\n"


def test_a_class_of_another_library_that_shares_our_name_is_taken_on_trust(tmp_path):
    model = "model = dict(type='ResNet', depth=50, style='pytorch')"
    text = WHOLE.replace("model = dict(type='ToyResNet')", model) + FOREIGN
    plan = plan_of(text, tmp_path)
    assert plan.errors == []
    [note] = [f for f in plan.findings if f.level == "note"]
    assert note.path == "model.type"
    assert "mmpretrain's" in note.message
    assert "'style'" in note.message
    own = plan_of(WHOLE.replace("model = dict(type='ToyResNet')", model), tmp_path)
    assert any("takes no argument 'style'" in f.message for f in own.errors)


def test_under_another_library_what_is_not_its_own_is_checked_all_the_same(tmp_path):
    text = WHOLE.replace("momentum=0.9", "momentun=0.9").replace("interval=2)", "intervl=2)")
    told = " ".join(f.message for f in plan_of(text + FOREIGN, tmp_path).errors)
    assert "did you mean 'momentum'" in told
    assert "did you mean 'interval'" in told


# -- what a plan knows without torch is what the parts themselves take ---------------------------


def test_the_launchers_are_those_that_start_processes():
    assert settings.LAUNCHERS == LAUNCHERS


def test_the_kinds_of_synchronised_norms_are_those_that_there_are():
    assert settings.SYNC_BN == norm.SYNC_KINDS


def test_the_start_methods_are_those_of_torch():
    assert set(settings.START_METHODS) == set(torch.multiprocessing.get_all_start_methods())


def test_the_modes_of_compile_are_those_of_torch():
    inductor = pytest.importorskip("torch._inductor")
    assert set(compile_options.MODES) >= {*inductor.list_mode_options(), "default"} - {"lite"}


def test_what_an_average_does_not_get_is_what_its_hook_takes():
    own = {
        n for n, p in inspect.signature(EMAHook).parameters.items() if p.kind is not p.VAR_KEYWORD
    }
    assert set(structure.EMA_HOOK) == own | {"type", "priority", "_scope_"}


@pytest.mark.parametrize("key", ["model", "optim_wrapper['optimizer']", "custom_hooks[0]"])
def test_a_type_that_is_no_name_is_an_error_and_no_crash(key, tmp_path):
    told = [f.message for f in plan_of(f"{WHOLE}\n{key}['type'] = 5\n", tmp_path).errors]
    assert "type must be a name or a class, got 5" in " ".join(told)


@pytest.mark.parametrize("kind", ["OptimWrapper", "AmpOptimWrapper"])
def test_the_keys_of_a_wrapper_are_its_arguments(kind):
    more = optimization.AMP if kind == "AmpOptimWrapper" else ()
    assert {*optimization.WRAPPER, *more} - {"type"} == set(
        inspect.signature(OPTIM_WRAPPERS.get(kind)).parameters
    )


@pytest.mark.parametrize("key", optimization.AMP)
def test_an_option_of_amp_without_amp_is_an_error(key, tmp_path):
    [error] = plan_of(f"{WHOLE}\noptim_wrapper['{key}'] = None\n", tmp_path).errors
    assert error.path == f"optim_wrapper.{key}"
    assert "AmpOptimWrapper's" in error.message


INSIDE = """
model = dict(type='ImageClassifier',
    backbone=dict(type='ResNet', dpth=18),
    head=dict(type='LinearClsHed', num_classes=10))
"""


def test_all_mistakes_inside_a_model_are_told_at_once(tmp_path):
    errors = plan_of(WHOLE + INSIDE, tmp_path).errors
    told = {f.path: (f.message, f.origin) for f in errors}
    assert set(told) == {"model.backbone.dpth", "model.head.type"}
    assert "did you mean 'depth'" in told["model.backbone.dpth"][0]
    assert told["model.head.type"][1].endswith(f"spoiled.py:{LINE + 3}")


def test_a_name_that_only_building_meets_is_an_error_with_its_place(tmp_path):
    text = WHOLE.replace("model = dict(type='ToyResNet')", "model = [dict(type='Linea')]")
    [error] = plan_of(text, tmp_path).errors
    assert "did you mean 'Linear'" in error.message
    assert error.origin.endswith("spoiled.py:3")


ALBU = "dict(type='Albumentation', transforms=[dict(type='Blur', p=0.1)], keymap={'img': 'image'})"
LIBRARY = [
    ("val_cfg = dict(type='MultiValLoop')", "another loop"),
    ("data_preprocessor = dict(mean=[0.5])", "the model chooses the kind"),
    ("val_evaluator = dict(type='CocoMetric')", "another metric's names"),
    ("default_hooks['visualization'] = dict(type='Det3DVisualizationHook')", "a variant"),
    ("model = dict(type='ImageClassifier', backbone=dict(type='ResNeXt'), head=None)", "a variant"),
    ("param_scheduler = dict(type='ReversedPolyLR', power=2)", "another schedule"),
    ("custom_hooks = [dict(type='PreciseBNHook', num_samples=8192)]", "another hook's argument"),
    ("train_dataloader['dataset'] = dict(type='ConcatDataset', datasets=[], pipeline=[])", "ours"),
    (f"train_dataloader['dataset'] = dict(type='AnyPoses', pipeline=[{ALBU}])", "mmpose's word"),
]


@pytest.mark.parametrize(("line", "why"), LIBRARY)
def test_what_another_library_names_its_own_way_is_no_error(line, why, tmp_path):
    assert plan_of(f"{WHOLE}{FOREIGN}{line}\n", tmp_path).errors == [], why


@pytest.mark.parametrize(
    ("line", "right"),
    [
        ("param_scheduler = dict(type='PolyLr', power=2)", "PolyLR"),
        ("optim_wrapper['optimizer'] = dict(type='SDG', lr=0.1)", "SGD"),
    ],
)
def test_a_name_of_ours_in_another_case_or_order_is_an_error_in_any_library(line, right, tmp_path):
    for trusted in (FOREIGN, "\ncustom_imports = dict(imports=['mmelsewhere'])\n"):
        (tmp_path / "spoiled.py").write_text(f"{WHOLE}{trusted}{line}\n")
        errors = make_plan(Config.fromfile(str(tmp_path / "spoiled.py"))).errors
        assert any(f"did you mean {right!r}" in f.message for f in errors)


def test_what_a_constructor_takes_out_of_the_optimizer_is_no_error(tmp_path):
    line = (
        "optim_wrapper = dict(constructor='YOLOv5OptimizerConstructor', optimizer=dict("
        "type='SGD', lr=0.1, batch_size_per_gpu=4, momentum=0.9))"
    )
    assert plan_of(f"{WHOLE}\n{line}\n", tmp_path).errors == []
    own = line.replace("constructor='YOLOv5OptimizerConstructor', ", "")
    assert len(plan_of(f"{WHOLE}\n{own}\n", tmp_path).errors) == 1
