"""The default scope: in which library's registry a bare name is looked up first."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

ROOT_SCOPE = "loopwright"
ROOT_ALIASES = frozenset({"loopwright", "mmengine", "mmcv"})

# OpenMMLab's packages, whose scopes are their names.
LIBRARIES = frozenset(
    {"mmaction", "mmagic", "mmcls", "mmdet", "mmdet3d", "mmedit", "mmflow", "mmgen", "mmocr"}
    | {"mmpose", "mmpretrain", "mmrazor", "mmrotate", "mmseg", "mmselfsup", "mmtrack", "mmyolo"}
)

_scope: ContextVar[str] = ContextVar("loopwright_scope", default=ROOT_SCOPE)


def current_scope() -> str:
    """The scope in force here."""
    return _scope.get()


def would_register(scope: str) -> str:
    """Who would know a name under a scope of which nothing was imported."""
    return (
        f"{scope} would register it, and nothing of {scope} is imported: "
        "list its modules in custom_imports"
    )


def init_default_scope(scope: str) -> None:
    """Make ``scope`` the one in force from here on."""
    _scope.set(scope)


@contextmanager
def scope_is(scope: str | None) -> Iterator[None]:
    """Another scope for the duration of a block; None changes nothing.

    >>> with scope_is("mmdet"):
    ...     current_scope()
    'mmdet'
    >>> current_scope()
    'loopwright'
    """
    if scope is None:
        yield
        return
    token = _scope.set(scope)
    try:
        yield
    finally:
        _scope.reset(token)


class DefaultScope:
    """MMEngine's name for the default scope: a view of the one in force."""

    def __init__(self, name: str = "", scope_name: str = ROOT_SCOPE) -> None:
        self.scope_name = scope_name

    @classmethod
    def get_instance(cls, name: str, scope_name: str = ROOT_SCOPE) -> DefaultScope:
        """Set the scope in force and return a view of it."""
        init_default_scope(scope_name)
        return cls(name, scope_name)

    @classmethod
    def get_current_instance(cls) -> DefaultScope:
        """A view of the scope in force."""
        return cls(scope_name=current_scope())

    @staticmethod
    def overwrite_default_scope(scope_name: str | None) -> object:
        """A context manager that sets the scope for a block."""
        return scope_is(scope_name)
