"""Load a checkpoint of any origin as data: ours, torch's, safetensors; all else is refused."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from loopwright.checkpoint.errors import Broken, CheckpointError, Refused
from loopwright.checkpoint.local import LocalPlace
from loopwright.checkpoint.manifest import MANIFEST
from loopwright.checkpoint.place import Place, Where
from loopwright.checkpoint.readback import moved, read_checkpoint
from loopwright.checkpoint.rebuild import read_torch_file
from loopwright.checkpoint.remote import RemotePlace
from loopwright.checkpoint.sealed import looks_sealed
from loopwright.checkpoint.sniff import kind_of
from loopwright.checkpoint.tensors import read_safetensors
from loopwright.core.nearest import did_you_mean
from loopwright.files import Disk, open_regular
from loopwright.registry import FUNCTIONS


def load_any(
    path: str | os.PathLike[str],
    map_location: Any = "cpu",
    trust_pickle: bool = False,
    *,
    sha256: str | None = None,
) -> Any:
    """The state in a checkpoint folder or ``.pth`` of ours (verified), a foreign ``.pth``/``.pt``/
    ``.pkl`` (data-only reader) or a ``.safetensors`` file.

    `Refused` names the global a file wanted, or what the file looks like; `Broken` names damage.
    ``trust_pickle=True`` hands a file that is not plain data to torch's unpickler: only for files
    whose author you trust. It is never tried by itself.

    >>> import tempfile, torch
    >>> file = tempfile.mktemp(suffix=".pth")
    >>> torch.save({"state_dict": {"w": torch.ones(2)}}, file)
    >>> load_any(file)
    {'state_dict': {'w': tensor([1., 1.])}}
    """
    text = os.fspath(path)
    if text.startswith(("http://", "https://")):
        raise Refused(f"{text}: nothing is downloaded unasked; fetch it with its sha256 first")
    if "://" in text and not text.startswith("file://"):
        base, _, name = text.rstrip("/").rpartition("/")
        return moved(_ours(RemotePlace(base), f"{base}/{name}"), map_location)
    found = Path(text.removeprefix("file://"))
    if trust_pickle and found.is_file():
        from loopwright.checkpoint.trusted import load_trusted

        return load_trusted(found, map_location=map_location, sha256=sha256)
    return moved(_load_local(found), map_location)


def _load_local(path: Path) -> Any:
    """A local file or folder by what it is."""
    if not path.exists():
        raise CheckpointError(f"{path} does not exist{_nearby(path)}")
    if path.is_dir():
        return _load_folder(path)
    path = path.resolve()
    if looks_sealed(path):
        return _ours(LocalPlace(path.parent, disk=Disk()), path)
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            if kind_of(file.read(512), size) != "safetensors":
                return read_torch_file(file, str(path))
        return read_safetensors(path)
    except Broken as error:
        raise error if str(path) in str(error) else Broken(f"{path}: {error}") from error
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error}") from error


def _load_folder(path: Path) -> Any:
    """A folder: a checkpoint of ours, or a refusal that says what it is."""
    if (path / MANIFEST).exists():
        return _ours(LocalPlace(path.parent, disk=Disk()), path)
    if (path / ".metadata").exists():
        raise Refused(
            f"{path} is a torch.distributed checkpoint, whose metadata is a pickle; convert it "
            "with `python -m torch.distributed.checkpoint.format_utils dcp_to_torch`"
        )
    inner = sorted(child.name for child in path.iterdir() if (child / MANIFEST).exists())
    if inner:
        raise Refused(f"{path} is a folder of checkpoints; name one: {', '.join(inner[-3:])}")
    raise Refused(f"{path} is a folder without a checkpoint of ours in it")


def _ours(place: Place, path: Where) -> Any:
    return read_checkpoint(place, path, place.manifest(path))[0]


def _nearby(path: Path) -> str:
    """The nearest name beside a path that does not exist."""
    if not path.parent.is_dir():
        return f" (nor does {path.parent})"
    return did_you_mean(path.name, (c.name for c in path.parent.iterdir()))


def find_state_dict(checkpoint: Any) -> Any:
    """The weights inside what `load_any` gave: under ``state_dict``, ``model`` or the top itself.

    `CheckpointError` when none of them maps names to tensors.

    >>> import torch
    >>> find_state_dict({"model": {"w": torch.ones(1)}, "epoch": 3})
    {'w': tensor([1.])}
    """
    if isinstance(checkpoint, dict):
        for key in ("state_dict", "model", "model_state_dict", "module", "params", "ema"):
            if _is_weights(checkpoint.get(key)):
                return checkpoint[key]
        if _is_weights(checkpoint):
            return checkpoint
        keys = ", ".join(str(key)[:30] for key in list(checkpoint)[:8])
        raise CheckpointError(f"no weights found; the checkpoint has the keys {keys}")
    raise CheckpointError(f"no weights found in a {type(checkpoint).__name__}")


def _is_weights(value: Any) -> bool:
    """A dict of names with at least one tensor or array."""
    import numpy as np
    import torch

    return (
        isinstance(value, dict)
        and bool(value)
        and all(isinstance(key, str) for key in value)
        and any(isinstance(item, torch.Tensor | np.ndarray) for item in value.values())
    )


def read_weights(path: str, *, map_location: Any = "cpu") -> Any:
    """The weights in a file or folder, by name: `find_state_dict` of what `load_any` gives."""
    return find_state_dict(load_any(path, map_location=map_location))


FUNCTIONS.register_module(module=read_weights)
