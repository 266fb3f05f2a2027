"""Alias packages: what answers, who wins, what is said of names that are not there."""

import importlib
import logging
import pkgutil
import re
import sys
from contextvars import copy_context

import pytest

from loopwright import compat
from loopwright.compat import detectron2, mmengine
from loopwright.hooks import Hook
from loopwright.registry import HOOKS


@pytest.fixture(params=["mmengine", "detectron2"])
def installed(request):
    compat.install(request.param)
    yield request.param
    compat.uninstall(request.param)


@pytest.fixture
def as_mmengine():
    compat.install("mmengine")
    yield
    compat.uninstall("mmengine")


def test_nothing_answers_before_it_is_asked_for():
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("mmengine.hooks")


def test_every_name_that_is_listed_is_there(installed):
    tables = {"mmengine": mmengine, "detectron2": detectron2}
    for alias in tables[installed].aliases().values():
        module = importlib.import_module(alias.name)
        for name in dir(module):
            assert getattr(module, name) is not None, f"{alias.name}.{name}"


def test_installing_twice_is_installing_once_and_uninstalling_leaves_nothing():
    finders = len(sys.meta_path)
    compat.install("mmengine")
    compat.install("mmengine")
    assert len(sys.meta_path) == finders + 1
    import mmengine.hooks

    assert mmengine.hooks.Hook is Hook
    compat.uninstall("mmengine")
    assert len(sys.meta_path) == finders
    assert not [name for name in sys.modules if name.partition(".")[0] == "mmengine"]
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("mmengine")


def test_another_name_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'detectron2'"):
        compat.install("detectron")


def test_names_come_from_packages_inner_modules_and_the_top(as_mmengine):
    from mmengine import Config, print_log
    from mmengine.hooks import Hook as from_package
    from mmengine.hooks.hook import Hook as from_module
    from mmengine.model import BaseModel, ExponentialMovingAverage
    from mmengine.optim import AmpOptimWrapper, LinearLR, build_optim_wrapper
    from mmengine.runner import EpochBasedTrainLoop, Runner

    assert from_package is from_module is Hook
    found = [Config, print_log, BaseModel, ExponentialMovingAverage, AmpOptimWrapper, LinearLR]
    found += [build_optim_wrapper, EpochBasedTrainLoop, Runner]
    assert all(each.__module__.startswith("loopwright.") for each in found)


def test_a_module_is_an_attribute_of_its_package(as_mmengine):
    import mmengine

    assert mmengine.hooks.Hook is Hook
    assert mmengine.__version__ == "0.10.7"


def test_a_missing_name_says_what_there_is(as_mmengine):
    import mmengine.hooks

    with pytest.raises(AttributeError, match="has no 'CheckpontHook' there; did you mean 'Check"):
        mmengine.hooks.CheckpontHook  # noqa: B018
    with pytest.raises(ImportError, match="did you mean 'LoggerHook'"):
        from mmengine.hooks import LogerHook  # noqa: F401
    with pytest.raises(ImportError, match="has no 'hoooks' there"):
        importlib.import_module("mmengine.hoooks")
    assert not hasattr(mmengine.hooks, "Nothing")


def test_libraries_have_child_registries_of_their_own_scope(as_mmengine):
    from mmpretrain.registry import HOOKS as PRETRAIN_HOOKS
    from mmselfsup.registry import HOOKS as SELFSUP_HOOKS

    assert PRETRAIN_HOOKS is not SELFSUP_HOOKS
    assert (SELFSUP_HOOKS.scope, SELFSUP_HOOKS.parent) == ("mmselfsup", HOOKS)

    @SELFSUP_HOOKS.register_module()
    class OnlyHere(Hook):
        pass

    assert HOOKS.get("mmselfsup.OnlyHere") is OnlyHere
    assert SELFSUP_HOOKS.get("CheckpointHook") is HOOKS.get("CheckpointHook")
    compat.uninstall("mmengine")
    assert "mmselfsup" not in HOOKS.children


def test_libraries_of_ones_own_can_be_named():
    compat.install("mmengine", more=["mylibrary"])
    try:
        assert importlib.import_module("mylibrary.registry").MODELS.scope == "mylibrary"
    finally:
        compat.uninstall("mmengine")


def test_get_model_looks_inside_wrappers(as_mmengine):
    import torch
    from mmselfsup.utils import get_model
    from torch import nn

    net = nn.Linear(1, 1)
    assert get_model(net) is get_model(torch.compile(net)) is net


def test_what_is_really_installed_wins_unless_forced(tmp_path, monkeypatch):
    package = tmp_path / "mmengine"
    package.mkdir()
    (package / "__init__.py").write_text("REAL = True\n")
    (package / "hooks.py").write_text("class Hook: pass\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    try:
        compat.install("mmengine")
        real = importlib.import_module("mmengine")
        assert real.REAL
        assert importlib.import_module("mmengine.hooks").Hook is not Hook
        compat.install("mmengine", force=True)
        assert importlib.import_module("mmengine.hooks").Hook is Hook
        compat.uninstall("mmengine")
        assert importlib.import_module("mmengine") is real
    finally:
        compat.uninstall("mmengine")
        for name in ("mmengine", "mmengine.hooks"):
            sys.modules.pop(name, None)


def test_a_checkout_of_a_library_without_a_registry_gets_ours(tmp_path, monkeypatch, as_mmengine):
    """A user's folder `mmselfsup/engine/hooks/new_hook.py`, nothing else of the library."""
    folder = tmp_path / "mmselfsup" / "engine" / "hooks"
    folder.mkdir(parents=True)
    (folder / "mine.py").write_text(
        "from mmengine.hooks import Hook\n"
        "from mmselfsup.registry import HOOKS\n"
        "@HOOKS.register_module()\n"
        "class Mine(Hook): pass\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    try:
        mine = importlib.import_module("mmselfsup.engine.hooks.mine").Mine
        assert HOOKS.get("Mine") is mine
    finally:
        for name in [n for n in sys.modules if n.partition(".")[0] == "mmselfsup"]:
            del sys.modules[name]


def test_the_d2_names_are_ours():
    compat.install("detectron2")
    try:
        from detectron2.checkpoint import DetectionCheckpointer, PeriodicCheckpointer
        from detectron2.config import LazyCall, LazyConfig, instantiate
        from detectron2.engine import DefaultTrainer, HookBase, SimpleTrainer, hooks, launch
        from detectron2.evaluation import DatasetEvaluators, inference_on_dataset
        from detectron2.solver import LRMultiplier, get_default_optimizer_params
        from detectron2.utils import comm
        from detectron2.utils.events import EventStorage, get_event_storage
        from fvcore.common.param_scheduler import CosineParamScheduler

        found = [DetectionCheckpointer, LazyCall, LazyConfig, instantiate, DefaultTrainer]
        found += [HookBase, SimpleTrainer, launch, DatasetEvaluators, inference_on_dataset]
        found += [LRMultiplier, get_default_optimizer_params, EventStorage, get_event_storage]
        found += [CosineParamScheduler, hooks.BestCheckpointer, comm.synchronize]
        assert all(each.__module__.startswith("loopwright.") for each in found)
        assert (comm.get_world_size(), comm.is_main_process()) == (1, True)
        assert comm.reduce_dict({"a": 1}) == {"a": 1}
        assert not hasattr(PeriodicCheckpointer, "after_step"), "there it is no hook"
    finally:
        compat.uninstall("detectron2")


def test_a_logger_is_set_up_as_there_and_scripts_lines_go_with_ours(tmp_path):
    compat.install("detectron2")
    from detectron2.utils.logger import setup_logger

    said = logging.getLogger("detectron2.tools")
    mine = setup_logger(str(tmp_path), distributed_rank=1, color=False, name="my_project")
    whole = setup_logger(output=str(tmp_path), distributed_rank=2, abbrev_name="d2")
    said.info("from a script")
    mine.info("from a project")
    compat.uninstall("detectron2")
    said.warning("behind the end")
    assert whole is logging.getLogger("detectron2")
    assert "detectron2.tools]: INFO from a script" in (tmp_path / "log.txt.rank2").read_text()
    assert "behind the end" not in (tmp_path / "log.txt.rank2").read_text()
    assert "from a project" in (tmp_path / "log.txt.rank1").read_text()
    for handler in list(mine.handlers):
        mine.removeHandler(handler)
        handler.close()


def test_the_d2_alias_is_told_of_packages_that_lazy_configs_may_name():
    def script():
        compat.install("detectron2", more=["statistics"])
        from detectron2.config import LazyCall, instantiate

        return instantiate(LazyCall("statistics.NormalDist")(mu=3.0)).mean

    try:
        assert copy_context().run(script) == 3.0
    finally:
        compat.uninstall("detectron2")


def test_what_is_not_answered_of_d2_names_something_of_ours_that_is_there():
    told = [text for text in detectron2._ELSEWHERE.values() if "loopwright." in text]
    for text in told:
        named = re.search(r"near (?:is|are) (loopwright[.\w]+\w)", text)
        assert pkgutil.resolve_name(named[1]) is not None, text
    assert len(told) > 5
    compat.install("detectron2")
    try:
        with pytest.raises(ImportError, match=r"mapper=…\) a function of yours"):
            importlib.import_module("detectron2.data.dataset_mapper")
        with pytest.raises(ImportError, match=r"near is loopwright\.vision\.metrics"):
            from detectron2.evaluation import COCOEvaluator  # noqa: F401
    finally:
        compat.uninstall("detectron2")


def test_the_d2_path_manager_works_on_this_machines_files(tmp_path):
    compat.install("detectron2")
    try:
        from detectron2.utils.file_io import PathManager
        from fvcore.common.file_io import PathManager as older
    finally:
        compat.uninstall("detectron2")
    assert PathManager is older
    file = str(tmp_path / "a" / "b.txt")
    PathManager.mkdirs(str(tmp_path / "a"))
    with PathManager.open(file, "w") as stream:
        stream.write("größer")
    assert PathManager.copy(file, str(tmp_path / "c.txt"))
    with pytest.raises(FileExistsError, match="overwrite=True"):
        PathManager.copy(file, str(tmp_path / "c.txt"))
    with PathManager.open(PathManager.get_local_path(str(tmp_path / "c.txt"))) as stream:
        assert stream.read() == "größer"
    PathManager.rm(file)
    there = [PathManager.exists(file), PathManager.isdir(tmp_path / "a"), PathManager.isfile(file)]
    assert there == [False, True, False]
    assert PathManager.ls(str(tmp_path)) == ["a", "c.txt"]
    with pytest.raises(ValueError, match="no addresses"):
        PathManager.open("s3://bucket/key")
