"""Names find their classes over scopes, and mistakes are told with the nearest names."""

import pytest
import torch

from loopwright.registry import (
    HOOKS,
    OPTIMIZERS,
    RefusedNameError,
    Registry,
    UnknownNameError,
    allow_packages,
    scope_is,
)


def zoo() -> Registry:
    return Registry("animal", scope="zoo")


def test_registering_works_as_decorator_with_and_without_call_and_as_function():
    animals = zoo()

    @animals.register_module()
    class Cat: ...

    @animals.register_module
    class Dog: ...

    @animals.register_module(name=["Cow", "Kuh"])
    class Bull: ...

    class Hen: ...

    animals.register_module(name="Huhn", module=Hen)
    assert [animals.get(n) for n in ("Cat", "Dog", "Cow", "Kuh", "Huhn")] == [
        Cat,
        Dog,
        Bull,
        Bull,
        Hen,
    ]


def test_a_taken_name_is_refused_unless_forced():
    animals = zoo()
    animals.register_module(name="Cat", module=dict)
    with pytest.raises(KeyError, match="registered in 'animal' already"):
        animals.register_module(name="Cat", module=list)
    animals.register_module(name="Cat", module=list, force=True)
    assert animals.get("Cat") is list


def test_something_that_cannot_be_called_is_refused():
    with pytest.raises(TypeError, match="only classes and functions"):
        zoo().register_module(name="Cat", module=3)


def test_a_child_asks_its_parent_and_is_preferred_in_its_scope():
    root = Registry("animal", scope="loopwright")
    child = Registry("animal", parent=root, scope="farm")
    root.register_module(name="Cat", module=dict)
    root.register_module(name="Dog", module=dict)
    child.register_module(name="Dog", module=list)
    assert child.get("Cat") is dict
    assert root.get("farm.Dog") is list
    assert root.get("Dog") is dict
    with scope_is("farm"):
        assert root.get("Dog") is list
        assert root.get("Cat") is dict


def test_mmengine_as_a_scope_means_ours():
    assert HOOKS.get("mmengine.LoggerHook") is HOOKS.get("LoggerHook") is not None


def test_every_torch_optimizer_is_there_by_name_and_by_path():
    assert OPTIMIZERS.get("AdamW") is torch.optim.AdamW
    assert OPTIMIZERS.get("torch.optim.SGD") is torch.optim.SGD


def test_an_unknown_name_says_the_nearest():
    with pytest.raises(
        UnknownNameError, match=r"'AdmW' is not a known optimizer; did you mean.*'AdamW'"
    ):
        OPTIMIZERS.build({"type": "AdmW"})


@pytest.mark.parametrize(
    "path",
    [
        "os.system",
        "torch.os.system",
        "builtins.eval",
        "subprocess.Popen",
        "torch.load",
        "torch.hub.load",
        "torch.serialization.load",
        "torch.utils.cpp_extension.load",
        "torch.__builtins__",
        "torch.optim.SGD.__init__.__globals__",
        "loopwright.config.trusted.run",
        "torch.package.PackageImporter",
        "torch.multiprocessing.Process",
    ],
)
def test_a_dotted_path_outside_the_allowed_packages_is_refused_everywhere(path):
    for registry in (OPTIMIZERS, HOOKS):
        with pytest.raises((RefusedNameError, UnknownNameError)):
            registry.build({"type": path})


def test_a_package_that_the_caller_allows_may_be_named():
    allow_packages("fractions")
    assert zoo().build({"type": "fractions.Fraction", "numerator": 3}) == 3


def test_the_nearest_names_are_told_with_the_modules_that_register_them():
    with pytest.raises(UnknownNameError, match=r"did you mean 'SGD' \(in torch.optim\)"):
        OPTIMIZERS.build({"type": "SDG"})
    with pytest.raises(UnknownNameError, match=r"'CheckpointHook' \(in loopwright.hooks"):
        HOOKS.build({"type": "CheckpiontHook"})


def test_a_librarys_name_is_told_with_the_library_that_would_register_it():
    wanted = "mmdet would register it, and nothing of mmdet is imported"
    with pytest.raises(RefusedNameError, match=wanted):
        HOOKS.build({"type": "mmdet.CheckInvalidLossHook"})
    with scope_is("mmdet"), pytest.raises(UnknownNameError, match=wanted):
        HOOKS.build({"type": "CheckInvalidLossHook"})


def test_a_users_class_is_taken_for_a_built_in_of_the_same_name(caplog):
    metrics = Registry("metric", scope="loopwright")
    mine = type("IoU", (), {"__module__": "loopwright.evaluation.iou"})
    yours = type("IoU", (), {"__module__": "my_library.metrics"})
    metrics.register_module(module=mine)
    metrics.register_module(module=yours)
    assert metrics.get("IoU") is yours
    assert "my_library.metrics, not the built-in of loopwright.evaluation.iou" in caplog.text


def test_a_users_class_stays_when_a_built_in_of_its_name_is_imported_later():
    metrics = Registry("metric", scope="loopwright")
    yours = type("IoU", (), {"__module__": "my_library.metrics"})
    metrics.register_module(module=yours)
    mine = type("IoU", (), {"__module__": "loopwright.evaluation.iou"})
    assert metrics.register_module(module=mine) is mine
    assert metrics.get("IoU") is yours


def test_a_scope_is_switched_for_a_block():
    root = Registry("animal", scope="loopwright")
    child = Registry("animal", parent=root, scope="farm")
    child.register_module(name="Dog", module=list)
    with root.switch_scope_and_registry("farm") as registry:
        assert registry is child
        assert root.get("Dog") is list
    with root.switch_scope_and_registry(None) as registry:
        assert registry is root
    assert Registry.split_scope_key("farm.Dog") == ("farm", "Dog")
    assert Registry.split_scope_key("Dog") == (None, "Dog")
