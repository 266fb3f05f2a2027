"""A DefaultTrainer over detectron2's keys: model, data, solver, hooks and evaluation by names."""

import json
import warnings

import pytest
import torch
from torch import nn

from loopwright.config import ConfigError
from loopwright.data.faults import SampleError
from loopwright.evaluation import DatasetEvaluator
from loopwright.optim import AmpOptimWrapper, OptimWrapper
from loopwright.registry import MODELS
from loopwright.trainer import (
    AMPTrainer,
    CfgNode,
    DatasetCatalog,
    DefaultPredictor,
    DefaultTrainer,
    HookBase,
    MetadataCatalog,
    build_detection_test_loader,
    build_detection_train_loader,
    build_lr_scheduler,
    build_model,
    build_optimizer,
    default_argument_parser,
    default_setup,
    endless,
    get_cfg,
)


@MODELS.register_module()
class YacsNet(nn.Module):
    """Says how bright a picture is; told in training, it learns to."""

    def __init__(self, cfg):
        super().__init__()
        self.fc = nn.Linear(3, cfg.MODEL.YACS_NET.WIDTH)
        self.norm = nn.BatchNorm1d(cfg.MODEL.YACS_NET.WIDTH)

    def forward(self, inputs):
        means = torch.stack([each["image"].mean((1, 2)) for each in inputs])
        out = self.norm(self.fc(means)).mean(1)
        if self.training:
            return {"loss_fit": (out - torch.tensor([d["label"] for d in inputs])).square().mean()}
        return [
            {"bright": o, "size": tuple(d["image"].shape)} for o, d in zip(out, inputs, strict=True)
        ]


def pictures(count=10):
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(count, 3, 4, 4, generator=generator)
    return [{"image": image, "label": float(image.mean())} for image in images]


class Error(DatasetEvaluator):
    def reset(self):
        self.errors = []

    def process(self, inputs, outputs):
        for given, found in zip(inputs, outputs, strict=True):
            self.errors.append(abs(given["label"] - found["bright"].item()))

    def evaluate(self):
        return {"bright": {"error": sum(self.errors) / len(self.errors), "n": len(self.errors)}}


class Trainer(DefaultTrainer):
    @classmethod
    def build_evaluator(cls, cfg, dataset_name):
        return Error()


@pytest.fixture(autouse=True)
def datasets():
    DatasetCatalog.register("pictures_train", pictures)
    DatasetCatalog.register("pictures_val", lambda: pictures(7))
    yield
    DatasetCatalog.clear()


def config(folder, *more):
    cfg = get_cfg()
    cfg.MODEL.YACS_NET = CfgNode({"WIDTH": 4})
    cfg.merge_from_list(
        [
            "MODEL.META_ARCHITECTURE", "YacsNet", "MODEL.DEVICE", "cpu",
            "DATASETS.TRAIN", "('pictures_train',)", "DATASETS.TEST", "('pictures_val',)",
            "DATALOADER.NUM_WORKERS", 0, "SOLVER.IMS_PER_BATCH", 4, "SOLVER.MAX_ITER", 30,
            "SOLVER.STEPS", (20,), "SOLVER.WARMUP_ITERS", 5, "SOLVER.BASE_LR", 0.05,
            "SOLVER.CHECKPOINT_PERIOD", 10, "TEST.EVAL_PERIOD", 10, "SEED", 3,
            "OUTPUT_DIR", str(folder), *more,
        ]
    )  # fmt: skip
    cfg.freeze()
    return cfg


def test_a_config_of_names_trains_evaluates_and_saves(tmp_path):
    cfg = config(tmp_path)
    default_setup(cfg, default_argument_parser().parse_args([]))
    trainer = Trainer(cfg)
    trainer.resume_or_load(resume=False)
    results = trainer.train()
    assert set(results["bright"]) == {"error", "n"}
    assert results["bright"]["n"] == 7
    lines = [json.loads(x) for x in (tmp_path / "metrics.json").read_text().splitlines()]
    assert [x["iteration"] for x in lines if "bright/error" in x] == [9, 19, 30]
    assert [x["iteration"] for x in lines if "total_loss" in x] == [19, 29]
    assert {p.name for p in tmp_path.glob("*.pth")} == {
        "model_0000009.pth", "model_0000019.pth", "model_0000029.pth", "model_final.pth"
    }  # fmt: skip
    again = get_cfg()
    again.MODEL.YACS_NET = CfgNode({"WIDTH": 0})
    again.merge_from_file(tmp_path / "config.yaml")
    assert again == cfg, "the config in the folder is the one of the run"


def test_a_killed_run_goes_on_with_the_data_and_rates_it_would_have_had(tmp_path):
    class Killed(HookBase):
        def before_step(self):
            if self.trainer.iter == 17:
                raise KeyboardInterrupt

    whole = Trainer(config(tmp_path / "whole"))
    whole.train()
    first = Trainer(config(tmp_path / "parts"))
    first.register_hooks([Killed()])
    with pytest.raises(KeyboardInterrupt):
        first.train()
    (tmp_path / "parts" / "model_0000016.pth").unlink()  # a kill leaves no time to write it
    again = Trainer(config(tmp_path / "parts"))
    again.resume_or_load(resume=True)
    assert again.start_iter == 10
    again.train()
    pairs = zip(whole.model.state_dict().values(), again.model.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    logs = [(tmp_path / name / "metrics.json").read_text() for name in ("whole", "parts")]
    assert logs[0] == logs[1]


def test_the_rates_are_those_of_the_solver():
    cfg = config("unused")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        schedule = build_lr_scheduler(cfg, build_optimizer(cfg, build_model(cfg)))
    told = []
    for _ in range(30):
        told.append(schedule.get_last_lr()[0])
        schedule.step()
    warm = [0.05 * (0.001 + (1 - 0.001) * i / 5) for i in range(5)]
    assert told == pytest.approx([*warm, *[0.05] * 15, *[0.005] * 10])


@pytest.mark.parametrize("name", ["WarmupCosineLR", "WarmupStepWithFixedGammaLR"])
def test_every_schedule_reaches_its_end(tmp_path, name):
    more = ("SOLVER.LR_SCHEDULER_NAME", name, "SOLVER.BASE_LR_END", 0.01)
    trainer = Trainer(config(tmp_path, *more))
    trainer.train()
    end = {"WarmupCosineLR": 0.01, "WarmupStepWithFixedGammaLR": 0.05e-3}[name]
    assert trainer.optimizer.param_groups[0]["lr"] == pytest.approx(end)


def test_steps_behind_the_end_are_dropped_with_a_warning_and_one_at_the_end_is_not(caplog):
    cfg = config("unused", "SOLVER.STEPS", (20, 30, 90))
    build_lr_scheduler(cfg, build_optimizer(cfg, build_model(cfg)))
    assert "never reached: [90]" in caplog.text


def test_norms_and_biases_have_options_of_their_own():
    cfg = config("unused", "SOLVER.BIAS_LR_FACTOR", 2.0, "SOLVER.WEIGHT_DECAY_BIAS", 0.5)
    groups = build_optimizer(cfg, build_model(cfg)).param_groups
    found = {n: (g["lr"], g["weight_decay"]) for g in groups for n in g["param_names"]}
    assert found == {
        "fc.weight": (0.05, 0.0001),
        "fc.bias": (0.1, 0.5),
        "norm.weight": (0.05, 0.0),
        "norm.bias": (0.1, 0.5),
    }


@pytest.mark.parametrize(
    ("kind", "wanted"),
    [
        ("value", [0.5, 0.5, 0.5]),
        ("norm", [0.3, 0.4, 0.5]),
        ("full_model", [0.2121, 0.2828, 0.3536]),
    ],
)
def test_gradients_are_clipped_by_value_by_parameter_or_all_together(kind, wanted):
    cfg = get_cfg()
    clip = ["SOLVER.CLIP_GRADIENTS.ENABLED", "True", "SOLVER.CLIP_GRADIENTS.CLIP_VALUE", 0.5]
    cfg.merge_from_list([*clip, "SOLVER.CLIP_GRADIENTS.CLIP_TYPE", kind, "SOLVER.BASE_LR", 1.0])
    cfg.merge_from_list(["SOLVER.WEIGHT_DECAY", 0.0])
    model = nn.ParameterList([torch.zeros(2), torch.zeros(1)])
    optimizer = build_optimizer(cfg, model)
    (model[0] @ torch.tensor([3.0, 4.0]) + 5 * model[1]).backward()
    optimizer.step()
    moved = [-v for p in model for v in p.tolist()]
    assert moved == pytest.approx(wanted, abs=1e-4)


def test_amp_and_clipping_are_keys_and_go_together(tmp_path):
    more = ["SOLVER.AMP.ENABLED", "True", "SOLVER.CLIP_GRADIENTS.ENABLED", "True"]
    trainer = Trainer(config(tmp_path, *more))
    assert type(trainer._trainer) is AMPTrainer
    assert isinstance(trainer.optim_wrapper, AmpOptimWrapper)
    assert trainer.optim_wrapper.clip_grad_kwargs == {"type": "value", "clip_value": 1.0}


@pytest.mark.parametrize("by", ["optimizer", "optim_wrapper"])
def test_a_step_of_ones_own_is_told_where_the_clipping_is(tmp_path, caplog, by):
    class Mine(Trainer):
        def run_step(self):
            batch = next(self._trainer._data_loader_iter)
            losses = self.model(batch)
            owner = getattr(self, by)
            owner.zero_grad()
            losses["loss_fit"].backward()
            self._trainer._write_metrics(losses, 0.0)
            owner.step()

    more = ["SOLVER.CLIP_GRADIENTS.ENABLED", "True", "SOLVER.CLIP_GRADIENTS.CLIP_VALUE", 1e-9]
    trainer = Mine(config(tmp_path, *more, "SOLVER.WEIGHT_DECAY", 0.0))
    before = trainer.model.fc.weight.clone()
    trainer.train()
    moved = (trainer.model.fc.weight - before).abs().max().item()
    assert (moved < 1e-6) == (by == "optim_wrapper")
    assert "what clips is self.optim_wrapper" in caplog.text
    assert trainer.storage.history("loss_fit").number == 30


def test_an_amp_trainer_makes_a_plain_wrapper_one_with_autocast():
    model = nn.Linear(2, 1)
    wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1), accumulative_counts=3)
    trainer = AMPTrainer(model, [], wrapper, precision=torch.bfloat16)
    assert isinstance(trainer.optim_wrapper, AmpOptimWrapper)
    assert trainer.optim_wrapper._accumulative_counts == 3
    with trainer.optim_wrapper.optim_context(model):
        assert model(torch.ones(1, 2)).dtype is torch.bfloat16


def test_precise_bn_comes_before_checkpoints_and_measures(tmp_path):
    more = ["TEST.PRECISE_BN.ENABLED", "True", "TEST.PRECISE_BN.NUM_ITER", 3]
    trainer = Trainer(config(tmp_path, *more))
    names = [type(hook).__name__ for hook in trainer._hooks]
    assert names.index("PreciseBN") < names.index("PeriodicCheckpointer") < names.index("EvalHook")
    trainer.train()
    assert trainer.iter == 30


def test_a_data_set_without_an_evaluator_is_left_out_with_a_warning(tmp_path, caplog):
    trainer = DefaultTrainer(config(tmp_path, "SOLVER.MAX_ITER", 3))
    trainer.train()
    assert "pictures_val is not evaluated" in caplog.text


def test_a_test_of_ones_own_is_called_without_data_sets_too(tmp_path):
    class Mine(DefaultTrainer):
        @classmethod
        def test(cls, cfg, model, evaluators=None):
            return {"mine": 1.0}

    trainer = Mine(config(tmp_path, "SOLVER.MAX_ITER", 3, "DATASETS.TEST", ()))
    assert trainer.train() == {"mine": 1.0}
    assert trainer.storage.latest()["mine"] == (1.0, 3)
    plain = DefaultTrainer(config(tmp_path, "DATASETS.TEST", ()))
    assert "EvalHook" not in [type(hook).__name__ for hook in plain._hooks]


def test_a_torch_scheduler_of_ones_own_gets_a_torch_optimizer(tmp_path):
    class Mine(Trainer):
        @classmethod
        def build_lr_scheduler(cls, cfg, optimizer):
            return torch.optim.lr_scheduler.StepLR(optimizer, 10, gamma=0.5)

    trainer = Mine(config(tmp_path, "SOLVER.CLIP_GRADIENTS.ENABLED", "True"))
    trainer.train()
    assert trainer.optimizer.param_groups[0]["lr"] == pytest.approx(0.05 / 8)


def test_a_config_for_other_processes_is_scaled(tmp_path):
    cfg = config(tmp_path, "SOLVER.REFERENCE_WORLD_SIZE", 2)
    scaled = DefaultTrainer.auto_scale_workers(cfg, 1)
    solver = scaled.SOLVER
    assert (solver.IMS_PER_BATCH, solver.BASE_LR, solver.MAX_ITER) == (2, 0.025, 60)
    assert (solver.STEPS, solver.WARMUP_ITERS, scaled.TEST.EVAL_PERIOD) == ((40,), 10, 20)
    assert scaled.is_frozen()
    assert cfg.SOLVER.MAX_ITER == 30


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("MODEL.META_ARCHITECTURE", "YacsNot"), r"no registered model; did you mean 'YacsNet'"),
        (("DATASETS.TRAIN", "('picture_train',)"), "did you mean 'pictures_train'"),
        (("DATASETS.TRAIN", ()), r"DATASETS\.TRAIN is empty"),
        (("SOLVER.LR_SCHEDULER_NAME", "WarmupCosinLR"), "did you mean 'WarmupCosineLR'"),
        (
            ("SOLVER.CLIP_GRADIENTS.ENABLED", "True", "SOLVER.CLIP_GRADIENTS.CLIP_TYPE", "vlue"),
            "did you mean 'value'",
        ),
        (("SOLVER.MAX_ITER", 0), "MAX_ITER must be a whole number of at least 1"),
    ],
)
def test_what_names_nothing_says_so_with_the_nearest(tmp_path, more, said):
    with pytest.raises((ConfigError, KeyError), match=said):
        Trainer(config(tmp_path, *more))


def test_a_mapper_changes_copies_and_may_leave_samples_out():
    data = [{"n": i} for i in range(6)]

    def odd(sample):
        sample["n"] *= 10
        return sample if sample["n"] % 20 else None

    loader = build_detection_test_loader(data, mapper=odd, batch_size=2)
    assert [[s["n"] for s in batch] for batch in loader] == [[10, 10], [30, 30], [50, 50]]
    assert data == [{"n": i} for i in range(6)]
    with pytest.raises(SampleError, match="gave None for 100 samples"):
        next(iter(build_detection_test_loader(data, mapper=lambda s: None)))


def test_training_batches_never_end_and_start_where_they_are_wanted():
    loader = build_detection_train_loader(list(range(5)), total_batch_size=2, seed=1)
    stream = endless(loader)
    first = [next(stream) for _ in range(10)]
    assert sorted(n for batch in first[:5] for n in batch) == sorted([*range(5)] * 2)
    again = endless(build_detection_train_loader(list(range(5)), total_batch_size=2, seed=1), 7)
    assert [next(again) for _ in range(3)] == first[7:]
    alone = build_detection_train_loader([1], total_batch_size=3, seed=1)
    assert next(iter(alone)) == [1, 1, 1], "a batch may be larger than the data set"


def test_facts_of_a_data_set_are_set_once():
    facts = MetadataCatalog.get("pictures_facts").set(thing_classes=["a"])
    assert MetadataCatalog.get("pictures_facts").thing_classes == ["a"]
    assert facts.get("nothing", 3) == 3
    facts.thing_classes = ["a"]
    with pytest.raises(ValueError, match="thing_classes"):
        facts.thing_classes = ["b"]
    with pytest.raises(AttributeError, match="did you mean 'thing_classes'"):
        facts.thing_clases  # noqa: B018
    MetadataCatalog.remove("pictures_facts")


def test_names_of_data_sets_are_taken_once():
    with pytest.raises(KeyError, match="registered already"):
        DatasetCatalog.register("pictures_train", pictures)
    with pytest.raises(TypeError, match="function"):
        DatasetCatalog.register("other", pictures())


def test_the_predictor_resizes_orders_channels_and_answers_for_one_picture(tmp_path):
    trainer = Trainer(config(tmp_path))
    trainer.train()
    weights = ("MODEL.WEIGHTS", str(tmp_path / "model_final.pth"))
    more = ("INPUT.MIN_SIZE_TEST", 8, "INPUT.MAX_SIZE_TEST", 10, "INPUT.FORMAT", "RGB")
    predictor = DefaultPredictor(config(tmp_path, *weights, *more))
    blue = torch.zeros(4, 6, 3, dtype=torch.uint8)
    blue[..., 0] = 200
    found = predictor(blue.numpy())
    assert found["size"] == (3, 7, 10)
    trainer.model.eval()
    wanted = trainer.model([{"image": torch.tensor([0.0, 0.0, 200.0])[:, None, None]}])[0]
    assert found["bright"].item() == pytest.approx(wanted["bright"].item(), rel=1e-4)
    with pytest.raises(ValueError, match="height, width, 3"):
        predictor(blue[..., 0].numpy())
