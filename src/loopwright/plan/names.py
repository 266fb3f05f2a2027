"""What the names in a config mean to a plan, and which it takes on trust."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from loopwright.plan.own import registered
from loopwright.registry import HOOKS, BuildError, RefusedNameError, Registry, UnknownNameError
from loopwright.registry.build import resolve
from loopwright.registry.scope import ROOT_ALIASES

NOT_FOUND = (UnknownNameError, RefusedNameError, BuildError)
"""What looking up a `type` may raise."""

# Where our classes share a name with those of libraries, which take other arguments.
_HOMONYMS = tuple(
    f"loopwright.{part}." for part in ("vision", "evaluation", "model", "data", "hooks.precise_bn")
)


@dataclass(frozen=True, slots=True)
class Names:
    """Looks names up as building would; None is a name that is taken on trust.

    ``imported`` says that the modules of ``custom_imports`` were imported, ``library`` is the
    library that the config is written for and that registers nothing here, ``hooks_only`` leaves
    all other names unchecked, for which torch would be imported. ``own`` are the names that the
    text of modules not imported registers, with the modules.
    """

    custom: bool
    imported: bool
    library: str | None
    hooks_only: bool = False
    own: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, values: dict[str, Any], *, imported: bool, hooks_only: bool = False) -> Names:
        """The names of a config."""
        own = {} if imported else registered(values)
        library = foreign_scope(values)
        return cls(bool(values.get("custom_imports")), imported, library, hooks_only, own)

    @property
    def trusting(self) -> bool:
        """Whether a name that is not known here may be known where the run is."""
        return self.library is not None or (self.custom and not self.imported)

    def __call__(self, registry: Registry, kind: Any) -> Any:
        """The class or function; raises as building would."""
        if self.hooks_only and registry is not HOOKS:
            return None
        try:
            return resolve(kind, registry)
        except (UnknownNameError, RefusedNameError):
            if self.custom and not self.imported:
                self._refuse_misspelt(registry, kind)
                return None
            if self.library is not None and not _almost(registry, kind):
                return None
            raise

    def _refuse_misspelt(self, registry: Registry, kind: Any) -> None:
        """Raise for a name that must be one of the user's own, misspelt."""
        if not isinstance(kind, str) or kind in self.own:
            return
        near = misspelt(kind, self.own)
        if not near and _almost(registry, kind):
            raise registry.unknown(kind)
        if near:
            raise UnknownNameError(
                f"{kind!r} is not a known {registry.name}; "
                f"did you mean {near[0]!r} (in {self.own[near[0]]})?"
            )

    def nearest(self, name: str, known: Iterable[str]) -> list[str]:
        """The known name that one means which nobody knows; [] where it may be somebody's own."""
        return misspelt(name, known) if self.trusting else get_close_matches(name, known, n=1)

    def may_be_anothers(self, kind: Any, target: Any) -> bool:
        """Whether a bare name that ours answers may mean the library's class of that name."""
        module = f"{getattr(target, '__module__', '')}."
        bare = isinstance(kind, str) and "." not in kind
        return self.library is not None and bare and module.startswith(_HOMONYMS)


def foreign_scope(values: dict[str, Any]) -> str | None:
    """The library whose names the config uses and that registers nothing here, if there is one."""
    scope = values.get("default_scope")
    if not isinstance(scope, str) or scope in ROOT_ALIASES:
        return None
    return None if any(r.scope == scope for r in HOOKS.root.family()) else scope


def _almost(registry: Registry, kind: Any) -> bool:
    """Whether a name is one of ours misspelt, rather than another library's."""
    return bool(misspelt(str(getattr(kind, "dotted", kind)), registry.names()))


def misspelt(name: str, known: Iterable[str]) -> list[str]:
    """The known name that this one must mean: one small letter, two swapped, or the case apart.

    A capital or a figure more is a variant, as libraries name them.

    >>> misspelt("ValLop", ["ValLoop"]), misspelt("ResNeXt", ["ResNet"]), misspelt("SDG", ["SGD"])
    (['ValLoop'], [], ['SGD'])
    """
    names = list(known)
    same = [one for one in names if sorted(one.lower()) == sorted(name.lower())]
    near = [*same, *get_close_matches(name, names, n=1, cutoff=0.8)]
    return [one for one in near if one.lower() == name.lower() or _slip(name, one)][:1]


def _slip(one: str, other: str) -> bool:
    if len(one) > len(other):
        one, other = other, one
    at = next((i for i, pair in enumerate(zip(one, other, strict=False)) if len({*pair}) > 1), -1)
    if len(other) - len(one) == 1:
        return (
            other[at].islower() and one[at:] == other[at:][1:] if at >= 0 else other[-1].islower()
        )
    rest, others = one[at:], other[at:]
    swapped = rest[:2] == others[:2][::-1] and rest[2:] == others[2:]
    replaced = rest[1:] == others[1:] and (rest[:1] + others[:1]).islower()
    return len(one) == len(other) and (swapped or replaced)
