"""Which dotted paths a config may name: a config that is safe to read must be safe to build."""

from __future__ import annotations

import importlib
import inspect
from contextvars import ContextVar
from typing import Any

from loopwright.core.nearest import did_you_mean
from loopwright.registry.errors import RefusedNameError, UnknownNameError
from loopwright.registry.scope import LIBRARIES, would_register

PACKAGES = ("torch", "torchvision", "timm", "transformers", "torchmetrics", "loopwright")
# Functions run as soon as they are built; below these prefixes they only make models and tensors.
FUNCTIONS = (
    "torch.nn.functional",
    "torch.nn.init",
    "torch._C._nn",
    "torchvision.models",
    "torchvision.ops",
    "torchvision.transforms",
    "timm.models",
    "timm.optim",
    "timm.data",
    "loopwright",
)
# Parts of allowed packages that load, compile, fetch or start things.
REFUSED = (
    "torch.hub",
    "torch.serialization",
    "torch.package",
    "torch.jit",
    "torch.multiprocessing",
    "torch.distributed",
    "torch.utils.cpp_extension",
    "torch.utils.model_zoo",
    "torch.utils.bottleneck",
    "torch.utils.collect_env",
    "torch._inductor",
    "torch._dynamo",
    "torch._C",
    "torch.testing",
    "torchvision.datasets.utils",
    "transformers.utils",
    "transformers.dynamic_module_utils",
    "loopwright.cli",
    "loopwright.config.trusted",
    "loopwright.checkpoint.trusted",
    "loopwright.files",
)

_extra: ContextVar[tuple[str, ...]] = ContextVar("loopwright_allowed", default=())


def allow_packages(*names: str) -> None:
    """Let configs name things of further packages by dotted path (from code or command line)."""
    _extra.set(tuple(dict.fromkeys((*_extra.get(), *names))))


def allowed_packages() -> tuple[str, ...]:
    """The packages that a dotted path may start with."""
    return (*PACKAGES, *_extra.get())


def _below(module: str, prefixes: tuple[str, ...]) -> bool:
    return any(module == prefix or module.startswith(prefix + ".") for prefix in prefixes)


def check_path(dotted: str) -> None:
    """Raise RefusedNameError for a dotted path outside the allowed packages."""
    if _below(dotted, _extra.get()):
        return
    package = dotted.partition(".")[0]
    if package in LIBRARIES:
        raise RefusedNameError(f"{dotted!r} is not known: {would_register(package)}")
    if not _below(dotted, PACKAGES) or _below(dotted, REFUSED):
        raise RefusedNameError(
            f"{dotted!r} may not be named by a config: allowed are registered names and dotted "
            f"paths below {', '.join(allowed_packages())}; "
            "list its package in custom_imports or pass --allow PACKAGE"
        )


def check_target(dotted: str, found: Any) -> None:
    """Raise RefusedNameError when what a path led to lives outside, as ``torch.os.system`` does."""
    home = getattr(found, "__module__", None) or ""
    if _below(home, _extra.get()) or _below(dotted, _extra.get()):
        return
    check_path(home)
    if inspect.isclass(found) or _below(dotted, FUNCTIONS) or _below(home, FUNCTIONS):
        return
    raise RefusedNameError(f"{dotted!r} is a function; a config may name classes there")


def locate(dotted: str) -> Any:
    """The class or function at a dotted path of an allowed package.

    Raises RefusedNameError for a path that is not allowed and UnknownNameError for one that leads
    nowhere.

    >>> locate("torch.optim.SGD").__name__
    'SGD'
    """
    check_path(dotted)
    parts = dotted.split(".")
    if any(part.startswith("__") for part in parts):
        raise RefusedNameError(f"{dotted!r} names a private attribute")
    module, rest = _deepest_module(parts)
    found: Any = module
    for part in rest:
        if not hasattr(found, part):
            where = getattr(found, "__name__", repr(found))
            hint = did_you_mean(part, [name for name in dir(found) if not name.startswith("_")])
            raise UnknownNameError(f"{dotted!r}: {where} has no {part!r}{hint}")
        found = getattr(found, part)
    check_target(dotted, found)
    return found


def _deepest_module(parts: list[str]) -> tuple[Any, list[str]]:
    for cut in range(len(parts), 0, -1):
        name = ".".join(parts[:cut])
        try:
            return importlib.import_module(name), parts[cut:]
        except ModuleNotFoundError as error:
            if error.name is None or not _is_prefix(error.name, name):
                raise
    raise UnknownNameError(f"{'.'.join(parts)!r}: package {parts[0]!r} is not installed")


def _is_prefix(missing: str, name: str) -> bool:
    return name == missing or name.startswith(missing + ".")
