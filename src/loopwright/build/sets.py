"""Several validation sets in one config: which they are and who evaluates each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from loopwright.config import ConfigError
from loopwright.core.nearest import nearest_or_all

SET_KEYS = ("interval", "prefix", "loss")


def named_sets(loader: Any) -> dict[str, Any] | None:
    """The loaders of a ``val_dataloader`` by name; None where it is a single one.

    A dict of loaders has names, a list of loaders has numbers for names.

    >>> sorted(named_sets({"city": {"dataset": 1}, "night": {"dataset": 2}}))
    ['city', 'night']
    >>> named_sets({"batch_size": 4, "dataset": 1}) is None
    True
    """
    if isinstance(loader, Mapping) and "dataset" not in loader:
        found = {str(name): one for name, one in loader.items()}
    elif isinstance(loader, list | tuple):
        found = {str(number): one for number, one in enumerate(loader)}
    else:
        return None
    return found if found and all(map(_is_loader, found.values())) else None


def _is_loader(one: Any) -> bool:
    """A loader's config or a loader, not a batch: lists of batches are loaders of their own."""
    return "dataset" in one if isinstance(one, Mapping) else hasattr(one, "dataset")


def evaluators_of(evaluator: Any, names: list[str]) -> dict[str, Any]:
    """The evaluator of each set: its own, or the one that is given for all.

    Named sets have a dict by name, numbered ones a list as long as they are; a dict with ``type``
    (and, for named sets, a list of metrics) is for every set. Raises ConfigError for names and
    lengths that do not fit.
    """
    if isinstance(evaluator, Mapping) and "type" not in evaluator:
        _check_names("val_evaluator", evaluator, names)
        lacking = [name for name in names if name not in evaluator]
        if lacking:
            raise ConfigError(f"val_evaluator has none for the validation set {lacking[0]!r}")
        return {name: evaluator[name] for name in names}
    if isinstance(evaluator, list | tuple) and names[0] == "0":
        if len(evaluator) != len(names):
            raise ConfigError(
                f"val_dataloader lists {len(names)} sets but val_evaluator {len(evaluator)} "
                "evaluators: give one for each, or one dict with 'type' for all"
            )
        return dict(zip(names, evaluator, strict=True))
    return dict.fromkeys(names, evaluator)


def set_options(sets: Any, names: list[str]) -> dict[str, dict[str, Any]]:
    """``val_cfg.sets`` completed: interval, prefix and loss of each set that says so.

    Raises ConfigError for a set or an option that does not exist.
    """
    given = sets or {}
    if not isinstance(given, Mapping):
        raise ConfigError(f"val_cfg.sets must be a dict by name of the set, got {given!r}")
    _check_names("val_cfg.sets", given, names)
    for name, options in given.items():
        for key in options:
            if key not in SET_KEYS:
                hint = nearest_or_all(key, SET_KEYS)
                raise ConfigError(f"unknown key val_cfg.sets.{name}.{key}{hint}")
        interval = options.get("interval", 1)
        if isinstance(interval, bool) or not isinstance(interval, int) or interval < 1:
            raise ConfigError(
                f"val_cfg.sets.{name}.interval must be an integer of at least 1, got {interval!r}"
            )
    return {name: dict(given.get(name, {})) for name in names}


def _check_names(where: str, given: Mapping[str, Any], names: list[str]) -> None:
    for name in given:
        if name not in names:
            hint = nearest_or_all(name, names)
            raise ConfigError(f"{where} names {name!r}, which is no validation set{hint}")
