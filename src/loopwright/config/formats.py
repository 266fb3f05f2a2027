"""YAML, JSON and TOML configs: the same values, the same inheritance, the line of every key."""

from __future__ import annotations

from typing import Any

from loopwright.config.limits import Fuel
from loopwright.config.node import ConfigDict


def parse(text: str, path: str, suffix: str, fuel: Fuel) -> ConfigDict:
    raise NotImplementedError


def fill_bases(values: ConfigDict, bases: ConfigDict) -> ConfigDict:
    return values
