"""Configs as data: read without running, and able to say where each value was written."""

from loopwright.config.cfg_options import DictAction
from loopwright.config.config import Config
from loopwright.config.deferred import Deferred
from loopwright.config.errors import ConfigError
from loopwright.config.node import ConfigDict
from loopwright.config.overrides import apply_overrides, parse_override
from loopwright.config.provenance import Origin, origin_of

__all__ = [
    "Config",
    "ConfigDict",
    "ConfigError",
    "Deferred",
    "DictAction",
    "Origin",
    "apply_overrides",
    "origin_of",
    "parse_override",
]
