"""Reading and writing files under MMEngine's names: JSON and YAML as data; pickles are refused."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from loopwright.files import atomic_write

__all__ = [
    "copyfile",
    "copytree",
    "dict_from_file",
    "dump",
    "exists",
    "get",
    "get_local_path",
    "get_text",
    "isdir",
    "isfile",
    "join_path",
    "list_dir_or_file",
    "list_from_file",
    "load",
    "put",
    "put_text",
    "remove",
    "rmtree",
]

Where = str | os.PathLike[str]


def _format(path: Where | None, file_format: str | None) -> str:
    name = file_format or os.path.splitext(os.fspath(path or ""))[1].lstrip(".")
    if name in ("json", "yaml", "yml"):
        return name
    if name in ("pkl", "pickle"):
        raise ValueError(
            f"{path}: pickles run code when read and are not read here; "
            "convert the file to JSON, or a checkpoint with `loopwright`'s load_any"
        )
    raise ValueError(f"{path}: load and dump know json, yaml and yml, got {name!r}")


def load(file: Any, file_format: str | None = None, **options: Any) -> Any:
    """What a JSON or YAML file (a path or an open text file) holds."""
    path = None if hasattr(file, "read") else file
    kind = _format(path if path is not None else getattr(file, "name", None), file_format)
    text = file.read() if path is None else get_text(file)
    return json.loads(text) if kind == "json" else yaml.safe_load(text)


def dump(obj: Any, file: Any = None, file_format: str | None = None, **options: Any) -> str | None:
    """Write an object as JSON or YAML; without a file, the text is returned."""
    path = file if isinstance(file, str | os.PathLike) else None
    kind = _format(path, file_format)
    plain = json.loads(json.dumps(obj, default=_plain))
    text = json.dumps(plain) if kind == "json" else yaml.safe_dump(plain, sort_keys=False)
    if file is None:
        return text
    if path is None:
        file.write(text)
    else:
        put_text(text, path)
    return None


def _plain(value: Any) -> Any:
    """Arrays, numpy scalars, sets and ranges as JSON has them."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, set | frozenset | range):
        return list(value)
    raise TypeError(f"{type(value).__name__} cannot be written as JSON or YAML")


def list_from_file(
    filename: Where, prefix: str = "", offset: int = 0, max_num: int = 0, encoding: str = "utf-8"
) -> list[str]:
    """The lines of a text file, from ``offset``, at most ``max_num`` (0: all), each prefixed."""
    lines = get_text(filename, encoding).splitlines()[offset:]
    return [prefix + line for line in (lines[:max_num] if max_num > 0 else lines)]


def dict_from_file(
    filename: Where, key_type: type = str, encoding: str = "utf-8"
) -> dict[Any, Any]:
    """Each line's first word to its second (or the list of the others)."""
    rows = [line.split() for line in get_text(filename, encoding).splitlines() if line.strip()]
    return {key_type(row[0]): row[1] if len(row) == 2 else row[1:] for row in rows}


def get(filepath: Where, backend_args: Any = None) -> bytes:
    return Path(filepath).read_bytes()


def get_text(filepath: Where, encoding: str = "utf-8", backend_args: Any = None) -> str:
    return Path(filepath).read_text(encoding=encoding)


def put(obj: bytes, filepath: Where, backend_args: Any = None) -> None:
    """Write bytes, whole or not at all; folders are made."""
    path = Path(filepath)
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(path, obj)


def put_text(obj: str, filepath: Where, backend_args: Any = None) -> None:
    put(obj.encode(), filepath)


def exists(filepath: Where, backend_args: Any = None) -> bool:
    return os.path.exists(filepath)


def isdir(filepath: Where, backend_args: Any = None) -> bool:
    return os.path.isdir(filepath)


def isfile(filepath: Where, backend_args: Any = None) -> bool:
    return os.path.isfile(filepath)


def join_path(filepath: Where, *filepaths: Where, backend_args: Any = None) -> str:
    return os.path.join(os.fspath(filepath), *(os.fspath(part) for part in filepaths))


@contextmanager
def get_local_path(filepath: Where, backend_args: Any = None) -> Iterator[Where]:
    """The file itself: everything here is local."""
    yield filepath


def copyfile(src: Where, dst: Where, backend_args: Any = None) -> str:
    return os.fspath(shutil.copy(src, dst))


def copytree(src: Where, dst: Where, backend_args: Any = None) -> str:
    return os.fspath(shutil.copytree(src, dst))


def remove(filepath: Where, backend_args: Any = None) -> None:
    os.remove(filepath)


def rmtree(dir_path: Where, backend_args: Any = None) -> None:
    shutil.rmtree(dir_path)


def list_dir_or_file(
    dir_path: Where,
    list_dir: bool = True,
    list_file: bool = True,
    suffix: str | tuple[str, ...] | None = None,
    recursive: bool = False,
    backend_args: Any = None,
) -> Iterator[str]:
    """Relative paths below a folder, without hidden files."""
    root = Path(dir_path)
    for path in sorted(root.rglob("*") if recursive else root.iterdir()):
        name = str(path.relative_to(root))
        if path.name.startswith("."):
            continue
        if path.is_dir() and list_dir:
            yield name
        if path.is_file() and list_file and (suffix is None or name.endswith(suffix)):
            yield name
