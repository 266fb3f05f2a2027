"""Data elements: fields of one sample with its meta information, under MMEngine's names."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

__all__ = ["BaseDataElement", "InstanceData", "LabelData", "PixelData"]


class BaseDataElement:
    """Attributes that are data, and meta information that cannot be overwritten as an attribute.

    >>> sample = BaseDataElement(metainfo={"img_shape": (4, 4)}, scores=torch.ones(2))
    >>> sample.keys(), sample.img_shape, sample.to(torch.float64).scores.dtype
    (['scores'], (4, 4), torch.float64)
    """

    def __init__(self, *, metainfo: dict[str, Any] | None = None, **data: Any) -> None:
        object.__setattr__(self, "_meta", {})
        object.__setattr__(self, "_data", {})
        self.set_metainfo(metainfo or {})
        self.set_data(data)

    # -- fields ----------------------------------------------------------------------------

    def __getattr__(self, name: str) -> Any:
        for fields in (self.__dict__.get("_data", {}), self.__dict__.get("_meta", {})):
            if name in fields:
                return fields[name]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        self.set_field(value, name)

    def __delattr__(self, name: str) -> None:
        if name in self._meta:
            raise AttributeError(f"{name!r} is meta information: it cannot be deleted")
        if name not in self._data:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        del self._data[name]

    def set_field(self, value: Any, name: str, dtype: Any = None, field_type: str = "data") -> None:
        """Set one field; TypeError when ``dtype`` is given and the value is none of it."""
        if dtype is not None and not isinstance(value, dtype):
            raise TypeError(f"{name} must be {dtype}, got {type(value).__name__}")
        if field_type == "metainfo":
            self._meta[name] = value
            return
        if name in self._meta:
            raise AttributeError(f"{name!r} is meta information already: it cannot be a data field")
        self._data[name] = self._checked(name, value)

    def _checked(self, name: str, value: Any) -> Any:
        """What is stored for a value; subclasses look at its shape."""
        return value

    def set_metainfo(self, metainfo: dict[str, Any]) -> None:
        """Set meta information, copied."""
        for name, value in copy.deepcopy(metainfo).items():
            if name in self._data:
                raise AttributeError(f"{name!r} is a data field: it cannot be meta information")
            self._meta[name] = value

    def set_data(self, data: dict[str, Any]) -> None:
        for name, value in data.items():
            setattr(self, name, value)

    def update(self, instance: BaseDataElement) -> None:
        """Take over meta information and data of another element."""
        self.set_metainfo(dict(instance.metainfo_items()))
        self.set_data(dict(instance.items()))

    def get(self, key: str, default: Any = None) -> Any:
        return self._data.get(key, self._meta.get(key, default))

    def pop(self, *args: Any) -> Any:
        """Take a data field out: ``pop(name)`` or ``pop(name, default)``."""
        if args and args[0] in self._meta:
            raise KeyError(f"{args[0]!r} is meta information: it cannot be popped")
        return self._data.pop(*args)

    def __contains__(self, name: str) -> bool:
        return name in self._data or name in self._meta

    # -- looking ---------------------------------------------------------------------------

    @property
    def metainfo(self) -> dict[str, Any]:
        """The meta information, as a copy."""
        return dict(self._meta)

    def keys(self) -> list[str]:
        return [name for name in self._data if not name.startswith("_")]

    def values(self) -> list[Any]:
        return [self._data[name] for name in self.keys()]

    def items(self) -> Iterator[tuple[str, Any]]:
        return iter([(name, self._data[name]) for name in self.keys()])

    def metainfo_keys(self) -> list[str]:
        return list(self._meta)

    def metainfo_values(self) -> list[Any]:
        return list(self._meta.values())

    def metainfo_items(self) -> Iterator[tuple[str, Any]]:
        return iter(self._meta.items())

    def all_keys(self) -> list[str]:
        return self.metainfo_keys() + self.keys()

    def all_values(self) -> list[Any]:
        return self.metainfo_values() + self.values()

    def all_items(self) -> Iterator[tuple[str, Any]]:
        yield from self.metainfo_items()
        yield from self.items()

    def to_dict(self) -> dict[str, Any]:
        """Everything as a dict; elements inside become dicts too."""
        return {
            name: value.to_dict() if isinstance(value, BaseDataElement) else value
            for name, value in self.all_items()
        }

    def __repr__(self) -> str:
        meta = ", ".join(f"{name}={value!r}" for name, value in self.metainfo_items())
        data = ", ".join(f"{name}={_short(value)}" for name, value in self.items())
        return f"<{type(self).__name__} data({data}) meta({meta})>"

    # -- copies ----------------------------------------------------------------------------

    def new(self, *, metainfo: dict[str, Any] | None = None, **data: Any) -> Self:
        """An element of the same class with the same fields, or those given."""
        fresh = type(self)()
        fresh.set_metainfo(self.metainfo if metainfo is None else metainfo)
        fresh.set_data(data or dict(self._data))
        return fresh

    def clone(self) -> Self:
        """A deep copy."""
        fresh = type(self)()
        fresh.set_metainfo(self.metainfo)
        fresh.set_data(copy.deepcopy(dict(self._data)))
        return fresh

    __copy__ = new

    def _mapped(self, act: Callable[[Any], Any]) -> Self:
        fresh = type(self)()
        fresh.set_metainfo(self.metainfo)
        fresh.set_data({name: act(value) for name, value in self._data.items()})
        return fresh

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Every tensor moved or cast, as ``Tensor.to``."""
        return self._mapped(lambda v: v.to(*args, **kwargs) if hasattr(v, "to") else v)

    def cpu(self) -> Self:
        return self._mapped(lambda v: v.cpu() if hasattr(v, "cpu") else v)

    def cuda(self) -> Self:
        return self._mapped(lambda v: v.cuda() if hasattr(v, "cuda") else v)

    def detach(self) -> Self:
        return self._mapped(lambda v: v.detach() if hasattr(v, "detach") else v)

    def numpy(self) -> Self:
        return self._mapped(_to_numpy)

    def to_tensor(self) -> Self:
        return self._mapped(lambda v: torch.from_numpy(v) if isinstance(v, np.ndarray) else v)


def _to_numpy(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach().cpu().numpy()
    return value.numpy() if isinstance(value, BaseDataElement) else value


def _short(value: Any) -> str:
    shape = getattr(value, "shape", None)
    return repr(value) if shape is None else f"{type(value).__name__}{tuple(shape)}"


class InstanceData(BaseDataElement):
    """Fields of equal length, one entry an instance; indexed and concatenated together.

    >>> boxes = InstanceData(boxes=torch.zeros(3, 4), labels=torch.arange(3))
    >>> len(boxes), boxes[torch.tensor([True, False, True])].labels
    (3, tensor([0, 2]))
    """

    def _checked(self, name: str, value: Any) -> Any:
        if not hasattr(value, "__len__"):
            raise TypeError(f"{name} must have a length, got {type(value).__name__}")
        others = [other for key, other in self._data.items() if key != name]
        if others and len(value) != len(others[0]):
            raise ValueError(f"{name} has {len(value)} entries, the other fields {len(others[0])}")
        return value

    def __len__(self) -> int:
        return len(self.values()[0]) if self._data else 0

    def __getitem__(self, item: Any) -> InstanceData:
        if isinstance(item, str):
            return getattr(self, item)
        return self._mapped(lambda value: _picked(value, _index(item, len(self))))

    @staticmethod
    def cat(instances_list: list[InstanceData]) -> InstanceData:
        """All instances after one another; the meta information is the first one's."""
        filled = [each for each in instances_list if each.keys()] or instances_list[:1]
        if not filled:
            raise ValueError("cat needs at least one element")
        fresh = filled[0].new()
        for name in fresh.keys():  # noqa: SIM118  not a dict
            fresh._data.pop(name)
        for name in filled[0].keys():  # noqa: SIM118
            fresh._data[name] = _joined([getattr(each, name) for each in filled])
        return fresh


def _index(item: Any, length: int) -> Any:
    if isinstance(item, int | np.integer):
        if not -length <= item < length:
            raise IndexError(f"index {item} is out of range for {length} instances")
        return slice(int(item) % length, int(item) % length + 1)
    if isinstance(item, np.ndarray):
        return torch.from_numpy(item)
    return torch.as_tensor(item) if isinstance(item, list) else item


def _picked(value: Any, item: Any) -> Any:
    if isinstance(item, Tensor) and isinstance(value, np.ndarray):
        return value[item.cpu().numpy()]
    if isinstance(item, slice) or isinstance(value, Tensor):
        return value[item]
    places = item.nonzero().flatten() if item.dtype is torch.bool else item
    return type(value)([value[int(i)] for i in places])


def _joined(values: list[Any]) -> Any:
    first = values[0]
    if isinstance(first, Tensor):
        return torch.cat(values)
    if isinstance(first, np.ndarray):
        return np.concatenate(values)
    if hasattr(first, "cat"):
        return first.cat(values)
    return type(first)([item for value in values for item in value])


class PixelData(BaseDataElement):
    """Fields of equal height and width, shape (C, H, W); (H, W) becomes (1, H, W)."""

    def _checked(self, name: str, value: Any) -> Any:
        if not isinstance(value, Tensor | np.ndarray):
            raise TypeError(f"{name} must be a tensor or an array, got {type(value).__name__}")
        if value.ndim not in (2, 3):
            raise ValueError(f"{name} must have 2 or 3 dimensions, got shape {tuple(value.shape)}")
        if self.shape is not None and tuple(value.shape[-2:]) != self.shape:
            raise ValueError(f"{name} is {tuple(value.shape[-2:])}, the other fields {self.shape}")
        return value[None] if value.ndim == 2 else value

    @property
    def shape(self) -> tuple[int, int] | None:
        """Height and width; None without a field."""
        values = list(self._data.values())
        return (int(values[0].shape[-2]), int(values[0].shape[-1])) if values else None

    def __getitem__(self, item: tuple[Any, Any]) -> PixelData:
        """The same rows and columns of every field: ``data[y0:y1, x0:x1]``."""
        rows, columns = (slice(i, i + 1) if isinstance(i, int) else i for i in item)
        return self._mapped(lambda value: value[:, rows, columns])


class LabelData(BaseDataElement):
    """Labels of one image."""

    @staticmethod
    def onehot_to_label(onehot: Tensor) -> Tensor:
        """Indices of the ones in a (num_classes,) tensor of zeros and ones."""
        return onehot.nonzero().squeeze(1)

    @staticmethod
    def label_to_onehot(label: Tensor, num_classes: int) -> Tensor:
        """A (num_classes,) tensor with ones at the labels."""
        return torch.zeros(num_classes, dtype=torch.int64).index_fill_(0, label.long(), 1)
