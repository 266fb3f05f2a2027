"""MMEngine's small functions: checks of types, paths, versions, timers."""

from __future__ import annotations

import importlib
import importlib.util
import itertools
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

__all__ = [
    "TORCH_VERSION",
    "ProgressBar",
    "Timer",
    "apply_to",
    "check_file_exist",
    "concat_list",
    "digit_version",
    "has_batch_norm",
    "has_method",
    "import_modules_from_strings",
    "is_abs",
    "is_filepath",
    "is_installed",
    "is_list_of",
    "is_method_overridden",
    "is_norm",
    "is_seq_of",
    "is_str",
    "is_tuple_of",
    "iter_cast",
    "list_cast",
    "mkdir_or_exist",
    "scandir",
    "slice_list",
    "symlink",
    "tensor2imgs",
    "to_1tuple",
    "to_2tuple",
    "to_3tuple",
    "to_4tuple",
    "to_ntuple",
    "track_iter_progress",
    "track_progress",
    "tuple_cast",
]

TORCH_VERSION = torch.__version__

# -- types ---------------------------------------------------------------------------------


def is_str(x: Any) -> bool:
    return isinstance(x, str)


def is_seq_of(seq: Any, expected_type: Any, seq_type: Any = None) -> bool:
    """Whether it is a sequence (of ``seq_type``) whose items are all of ``expected_type``."""
    return isinstance(seq, seq_type or Sequence) and all(isinstance(i, expected_type) for i in seq)


def is_list_of(seq: Any, expected_type: Any) -> bool:
    return is_seq_of(seq, expected_type, list)


def is_tuple_of(seq: Any, expected_type: Any) -> bool:
    return is_seq_of(seq, expected_type, tuple)


def iter_cast(inputs: Iterable[Any], dst_type: type, return_type: Any = None) -> Any:
    """Every item cast; an iterator, or a ``return_type``."""
    cast = map(dst_type, inputs)
    return cast if return_type is None else return_type(cast)


def list_cast(inputs: Iterable[Any], dst_type: type) -> list[Any]:
    return list(map(dst_type, inputs))


def tuple_cast(inputs: Iterable[Any], dst_type: type) -> tuple[Any, ...]:
    return tuple(map(dst_type, inputs))


def to_ntuple(n: int) -> Callable[[Any], tuple[Any, ...]]:
    """A function that repeats a single value ``n`` times and makes a tuple of an iterable.

    >>> to_2tuple(3), to_2tuple([1, 2])
    ((3, 3), (1, 2))
    """

    def convert(x: Any) -> tuple[Any, ...]:
        return tuple(x) if isinstance(x, Iterable) else (x,) * n

    return convert


to_1tuple, to_2tuple, to_3tuple, to_4tuple = (to_ntuple(n) for n in (1, 2, 3, 4))


def has_method(obj: object, method: str) -> bool:
    return callable(getattr(obj, method, None))


def is_method_overridden(method: str, base_class: type, derived_class: Any) -> bool:
    """Whether a class (or the class of an object) has its own version of a base's method."""
    kind = derived_class if isinstance(derived_class, type) else type(derived_class)
    return getattr(kind, method) is not getattr(base_class, method)


def slice_list(in_list: list[Any], lens: int | list[int]) -> list[list[Any]]:
    """A list cut into pieces of the given lengths."""
    each = [lens] * (len(in_list) // lens) if isinstance(lens, int) else lens
    if sum(each) != len(in_list):
        raise ValueError(f"pieces of {each} do not add up to {len(in_list)}")
    ends = list(itertools.accumulate(each))
    return [in_list[end - size : end] for end, size in zip(ends, each, strict=True)]


def concat_list(in_list: list[list[Any]]) -> list[Any]:
    return list(itertools.chain(*in_list))


def apply_to(data: Any, expr: Callable[[Any], bool], apply_func: Callable[[Any], Any]) -> Any:
    """``data`` with ``apply_func`` at every leaf (and node) where ``expr`` holds."""
    if expr(data):
        return apply_func(data)
    if isinstance(data, dict):
        return type(data)((k, apply_to(v, expr, apply_func)) for k, v in data.items())
    if isinstance(data, tuple) and hasattr(data, "_fields"):
        return type(data)(*(apply_to(v, expr, apply_func) for v in data))
    if isinstance(data, list | tuple):
        return type(data)(apply_to(v, expr, apply_func) for v in data)
    return data


# -- packages and paths --------------------------------------------------------------------


def is_installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def import_modules_from_strings(imports: Any, allow_failed_imports: bool = False) -> Any:
    """The module, or list of modules, of a name or names; None for one that may fail."""
    if not imports:
        return None
    names = [imports] if isinstance(imports, str) else imports
    found: list[Any] = []
    for name in names:
        try:
            found.append(importlib.import_module(name))
        except ImportError:
            if not allow_failed_imports:
                raise
            found.append(None)
    return found[0] if isinstance(imports, str) else found


def digit_version(version_str: str, length: int = 4) -> tuple[int, ...]:
    """A version as numbers that can be compared; a pre-release lies below its release.

    >>> digit_version("1.2.0rc1") < digit_version("1.2.0") < digit_version("1.10")
    True
    """
    match = re.match(
        r"v?(\d+(?:\.\d+)*)(?:[.-]?(a|alpha|b|beta|rc|dev|post)[.-]?(\d*))?", version_str
    )
    if match is None:
        raise ValueError(f"{version_str!r} is no version")
    release = [int(part) for part in match[1].split(".")][:length]
    release += [0] * (length - len(release))
    stage = {"dev": -4, "a": -3, "alpha": -3, "b": -2, "beta": -2, "rc": -1, "post": 1}
    return (*release, stage.get(match[2], 0), int(match[3] or 0))


def is_filepath(x: Any) -> bool:
    return isinstance(x, str | Path)


def is_abs(path: str) -> bool:
    return os.path.isabs(path) or path.startswith(("http://", "https://", "s3://"))


def check_file_exist(filename: str, msg_tmpl: str = 'file "{}" does not exist') -> None:
    if not os.path.isfile(filename):
        raise FileNotFoundError(msg_tmpl.format(filename))


def mkdir_or_exist(dir_name: str, mode: int = 0o777) -> None:
    if dir_name:
        os.makedirs(os.path.expanduser(dir_name), mode=mode, exist_ok=True)


def symlink(src: str, dst: str, overwrite: bool = True, **options: Any) -> None:
    if overwrite and os.path.lexists(dst):
        os.remove(dst)
    os.symlink(src, dst, **options)


def scandir(
    dir_path: str, suffix: Any = None, recursive: bool = False, case_sensitive: bool = True
) -> Iterator[str]:
    """Files below a folder as relative paths, without hidden ones."""
    root = Path(dir_path)
    ends = tuple([suffix] if isinstance(suffix, str) else suffix or [""])
    for path in sorted(root.rglob("*") if recursive else root.iterdir()):
        name = str(path.relative_to(root))
        seen = name if case_sensitive else name.lower()
        if path.is_file() and not path.name.startswith(".") and seen.endswith(ends):
            yield name


# -- torch ---------------------------------------------------------------------------------


def is_norm(layer: nn.Module, exclude: Any = None) -> bool:
    """Whether a layer is batch, instance, group or layer normalisation."""
    if exclude is not None and isinstance(layer, exclude):
        return False
    batch = nn.modules.batchnorm._NormBase
    return isinstance(layer, (batch, nn.GroupNorm, nn.LayerNorm))


def has_batch_norm(model: nn.Module) -> bool:
    return any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in model.modules())


def tensor2imgs(
    tensor: Tensor,
    mean: tuple[float, ...] | None = None,
    std: tuple[float, ...] | None = None,
    to_bgr: bool = True,
) -> list[Any]:
    """A (N, C, H, W) tensor as a list of uint8 images (H, W, C), the normalisation undone."""
    channels = tensor.shape[1]
    scale = torch.tensor(std or (1.0,) * channels).view(1, -1, 1, 1)
    offset = torch.tensor(mean or (0.0,) * channels).view(1, -1, 1, 1)
    pixels = tensor.detach().cpu() * scale + offset
    pixels = pixels.flip(1) if to_bgr and channels == 3 else pixels
    return list(pixels.clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy())


# -- time and progress ---------------------------------------------------------------------


class Timer:
    """Seconds since the start and since the last check; usable in a ``with`` block."""

    def __init__(self, start: bool = True, print_tmpl: str | None = None) -> None:
        self.print_tmpl = print_tmpl or "{:.3f}"
        self._began = self._checked = time.perf_counter()
        self.is_running = start

    def start(self) -> None:
        self._began = self._checked = time.perf_counter()
        self.is_running = True

    def since_start(self) -> float:
        self._checked = time.perf_counter()
        return self._checked - self._began

    def since_last_check(self) -> float:
        before, self._checked = self._checked, time.perf_counter()
        return self._checked - before

    def __enter__(self) -> Timer:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        print(self.print_tmpl.format(self.since_last_check()))
        self.is_running = False


class ProgressBar:
    """Counts tasks on one line of the terminal."""

    def __init__(self, task_num: int = 0, bar_width: int = 50, start: bool = True) -> None:
        self.task_num, self.bar_width, self.completed = task_num, bar_width, 0

    def update(self, num_tasks: int = 1) -> None:
        self.completed += num_tasks
        total = self.task_num or "?"
        end = "\n" if self.completed == self.task_num else ""
        print(f"\r{self.completed}/{total}", end=end, flush=True)


def track_iter_progress(tasks: Any, bar_width: int = 50, file: Any = None) -> Iterator[Any]:
    """The tasks one by one, counted on the terminal."""
    items = tasks[0] if isinstance(tasks, tuple) else tasks
    bar = ProgressBar(tasks[1] if isinstance(tasks, tuple) else len(tasks), bar_width)
    for task in items:
        yield task
        bar.update()


def track_progress(func: Callable[..., Any], tasks: Any, **kwargs: Any) -> list[Any]:
    """``func`` of every task, counted on the terminal."""
    return [func(task, **kwargs) for task in track_iter_progress(tasks)]
