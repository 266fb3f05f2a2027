"""Config: a whole config file as an object, with MMEngine's methods."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from loopwright.config import dump, load
from loopwright.config.diff import differences
from loopwright.config.errors import ConfigError
from loopwright.config.merge import merge
from loopwright.config.node import ConfigDict, duplicate
from loopwright.config.overrides import apply_overrides, mark_all, nested
from loopwright.config.paths import lacking, split_path
from loopwright.config.provenance import Origin, Step, chain

_OWN = ("_cfg_dict", "_filename", "_text", "_env_variables")


class Config:
    """A config and where each of its values was written.

    >>> cfg = Config.fromstring("lr = 0.1\\nmodel = dict(type='A', lr=lr * 2)", ".py")
    >>> cfg.model.lr
    0.2
    >>> cfg.merge_from_dict({"model.type": "B"})
    >>> cfg["model"]["type"], cfg.get("seed", 0)
    ('B', 0)
    """

    def __init__(
        self,
        cfg_dict: Mapping[str, Any] | None = None,
        cfg_text: str | None = None,
        filename: str | os.PathLike[str] | None = None,
        env_variables: dict[str, str] | None = None,
        format_python_code: bool = True,
    ) -> None:
        values = {} if cfg_dict is None else cfg_dict
        if not isinstance(values, Mapping):
            raise TypeError(f"a config is a dict, got {type(values).__name__}")
        for key in load.RESERVED:
            if key in values:
                raise KeyError(f"{key!r} is a reserved name")
        _set(self, "_cfg_dict", values if isinstance(values, ConfigDict) else ConfigDict(values))
        _set(self, "_filename", None if filename is None else os.fspath(filename))
        _set(self, "_text", cfg_text)
        _set(self, "_env_variables", dict(env_variables or {}))

    @classmethod
    def fromfile(
        cls,
        filename: str | os.PathLike[str],
        use_predefined_variables: bool = True,
        import_custom_modules: bool = True,
        use_environment_variables: bool = True,
        lazy_import: bool | None = None,
        format_python_code: bool = True,
        *,
        trust: bool = False,
        packages: Mapping[str, str] | None = None,
    ) -> Config:
        """Read a ``.py``, ``.yaml``, ``.json`` or ``.toml`` config and all it inherits from.

        Nothing in the file is executed or imported, unless ``trust`` says to run it as Python.
        ``packages`` maps the library of a ``library::path`` base to its folder.
        ``import_custom_modules``, ``lazy_import`` and ``format_python_code`` are accepted for
        MMEngine's callers: custom modules are imported when a run is built.

        Raises ConfigError, with file and line, for everything that cannot be read.
        """
        path = os.fspath(filename)
        parsed, used = load.read_file(
            path,
            packages=dict(packages or {}),
            predefined=use_predefined_variables,
            environment=use_environment_variables,
            trust=trust,
        )
        text = "\n".join(f"{name}\n{content}" for name, content in parsed.texts)
        return cls(parsed.values, text, path, used)

    @classmethod
    def fromstring(cls, cfg_str: str, file_format: str) -> Config:
        """Read a config from a text; ``file_format`` is one of the suffixes of ``fromfile``."""
        parsed, used = load.read_string(cfg_str, file_format)
        return cls(parsed.values, cfg_str, None, used)

    @property
    def filename(self) -> str | None:
        return self._filename

    @property
    def text(self) -> str | None:
        return self._text

    @property
    def env_variables(self) -> dict[str, str]:
        return self._env_variables

    @property
    def pretty_text(self) -> str:
        """The config as Python text; keys stand in the order they were written."""
        return dump.pretty(self._cfg_dict)

    def dump(self, file: str | os.PathLike[str] | None = None) -> str | None:
        """Write the config to ``file`` (.py, .yaml or .json), or return it as text.

        The ``.py`` form reads back as the same value, imported names and tuples included; YAML
        and JSON hold names as texts and tuples as lists.
        """
        suffix = os.path.splitext(os.fspath(file or self._filename or ".py"))[1] or ".py"
        text = dump.dump(self._cfg_dict, ".py" if suffix == ".toml" else suffix)
        if file is None:
            return text
        temporary = f"{os.fspath(file)}.{os.getpid()}.tmp"
        with open(temporary, "w", encoding="utf-8") as stream:
            stream.write(text)
        os.replace(temporary, file)
        return None

    @staticmethod
    def diff(left: str | Config, right: str | Config) -> str:
        """What differs between two configs (or the files of two), a line for each side."""
        one, other = (c if isinstance(c, Config) else Config.fromfile(c) for c in (left, right))
        return "\n".join(map(str, differences(one._cfg_dict, other._cfg_dict)))

    def origin(self, path: str) -> Origin | None:
        """Where the value at a dotted path was written, ``None`` where a program set it."""
        return self._walk(path)[1]

    def why(self, path: str) -> list[Step]:
        """Every value the path has had, oldest first: base, child, command line."""
        return chain(*self._walk(path))

    def _walk(self, path: str) -> tuple[Any, Origin | None]:
        value: Any = self._cfg_dict
        origin: Origin | None = None
        parts = split_path(path)
        for depth, part in enumerate(parts):
            named = isinstance(value, ConfigDict)
            key: Any = int(part) if named and part.isdecimal() and part not in value else part
            if named and key in value:
                value, origin = value[key], value.origins_of().get(key, origin)
            elif isinstance(value, list | tuple) and part.lstrip("-").isdigit():
                length, index = len(value), int(part)
                if not -length <= index < length:
                    raise ConfigError(f"{path}: no element {part} in a list of {length}")
                origin = origin and origin.item(index % length, length)
                value = value[index]
            else:
                raise ConfigError(lacking(self._cfg_dict, parts, depth))
        return value, origin

    def merge_from_dict(self, options: Mapping[str, Any], allow_list_keys: bool = True) -> None:
        """Merge ``{"a.b": value}`` into this config; keys that are missing are added."""
        over = nested(options)
        mark_all(over, Origin("merge_from_dict"))
        _set(self, "_cfg_dict", merge(self._cfg_dict, over, list_keys=allow_list_keys))

    def with_overrides(self, overrides: Iterable[str]) -> Config:
        """A new config with ``["a.b=1", "+c=2", "~d"]`` applied."""
        values = apply_overrides(self._cfg_dict, overrides)
        return Config(values, self._text, self._filename, self._env_variables)

    def to_dict(self, keep_imported: bool = False) -> dict[str, Any]:
        return self._cfg_dict.to_dict()

    def copy(self) -> Config:
        return self.__copy__()

    def __copy__(self) -> Config:
        return Config(self._cfg_dict.copy(), self._text, self._filename, self._env_variables)

    def __deepcopy__(self, memo: dict[int, Any]) -> Config:
        return Config(duplicate(self._cfg_dict), self._text, self._filename, self._env_variables)

    def __reduce__(self) -> tuple[Any, ...]:
        return Config, (self._cfg_dict, self._text, self._filename, self._env_variables)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name in _OWN:
            raise AttributeError(name)
        return getattr(self._cfg_dict, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _OWN:
            _set(self, name, value)
        elif hasattr(type(self), name):
            raise AttributeError(f"{name!r} belongs to Config and cannot be set")
        else:
            self[name] = value

    def __delattr__(self, name: str) -> None:
        delattr(self._cfg_dict, name)

    def __getitem__(self, key: str) -> Any:
        return self._cfg_dict[key]

    def __setitem__(self, key: str, value: Any) -> None:
        """Set a key; of a ConfigDict a copy is kept, so that two configs do not share it."""
        self._cfg_dict[key] = ConfigDict(value) if isinstance(value, ConfigDict) else value

    def __delitem__(self, key: str) -> None:
        del self._cfg_dict[key]

    def __contains__(self, key: object) -> bool:
        return key in self._cfg_dict

    def __iter__(self) -> Iterator[str]:
        return iter(self._cfg_dict)

    def __len__(self) -> int:
        return len(self._cfg_dict)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Config):
            return bool(self._cfg_dict == other._cfg_dict)
        return bool(self._cfg_dict == other) if isinstance(other, dict) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Config (path: {self._filename}): {self._cfg_dict!r}"


_set = object.__setattr__
