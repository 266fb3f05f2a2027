"""MessageHub: MMEngine's names for scalars and facts, over the same storage as everything else."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from loopwright.log.history import HistoryBuffer
from loopwright.log.instances import Named
from loopwright.log.reading import is_tensor
from loopwright.log.storage import EventStorage

__all__ = ["MessageHub"]

_LOGGER = logging.getLogger("loopwright.log")


class MessageHub(Named):
    """Scalars go to `storage` (unread until asked for), facts to `runtime_info`.

    A hub made with a `storage` leaves saving it to its owner; one that made its own saves it.

    >>> hub = MessageHub("demo")
    >>> hub.update_scalar("train/loss", 0.5)
    >>> hub.get_scalar("train/loss").current()
    0.5
    """

    def __init__(
        self,
        name: str,
        log_scalars: Mapping[str, HistoryBuffer] | None = None,
        runtime_info: Mapping[str, Any] | None = None,
        resumed_keys: Mapping[str, bool] | None = None,
        *,
        storage: EventStorage | None = None,
    ) -> None:
        self.instance_name = name
        self._owns_storage = storage is None
        self.storage = EventStorage() if storage is None else storage
        self._info: dict[str, Any] = dict(runtime_info or {})
        self._resumed: dict[str, bool] = dict(resumed_keys or {})
        for key, history in (log_scalars or {}).items():
            self.storage.adopt(key, history)

    @classmethod
    def get_current_instance(cls) -> MessageHub:
        """The current hub; one named "loopwright" is made when there is none."""
        try:
            return super().get_current_instance()
        except RuntimeError:
            return cls.get_instance("loopwright")

    # -- scalars ---------------------------------------------------------------------------------

    def update_scalar(self, key: str, value: Any, count: int = 1, resumed: bool = True) -> None:
        """Put one scalar; a value summed over `count` items counts for as many in means.

        Raises:
            TypeError: `value` is no scalar.
            ValueError: `resumed` differs from what was said of this key before.
        """
        self._remember(key, resumed)
        if not resumed:
            self.storage.transient.add(key)
        if count == 1:
            self.storage.put_scalar(key, value, self.storage.smoothing_hint(key))
        else:
            self.storage.put_counted(key, value, count)

    def update_scalars(self, log_dict: Mapping[str, Any], resumed: bool = True) -> None:
        """Put several; a value may be `dict(value=…, count=…)`."""
        if not isinstance(log_dict, Mapping):
            raise TypeError(f"update_scalars wants a dict, got {type(log_dict).__name__}")
        for key, value in log_dict.items():
            if isinstance(value, Mapping):
                if "value" not in value:
                    raise ValueError(f"update_scalars: {key!r} has no 'value' in {dict(value)}")
                self.update_scalar(key, value["value"], value.get("count", 1), resumed)
            else:
                self.update_scalar(key, value, 1, resumed)

    def get_scalar(self, key: str) -> HistoryBuffer:
        """The history of a scalar; KeyError with the nearest name when there is none."""
        return self.storage.history(key)

    @property
    def log_scalars(self) -> dict[str, HistoryBuffer]:
        """Every history by name."""
        return self.storage.histories()

    # -- facts -----------------------------------------------------------------------------------

    def update_info(self, key: str, value: Any, resumed: bool = True) -> None:
        """Remember a fact; `resumed=False` keeps it out of checkpoints."""
        self._remember(key, resumed)
        self._info[key] = value

    def update_info_dict(self, info_dict: Mapping[str, Any], resumed: bool = True) -> None:
        """Remember several facts."""
        if not isinstance(info_dict, Mapping):
            raise TypeError(f"update_info_dict wants a dict, got {type(info_dict).__name__}")
        for key, value in info_dict.items():
            self.update_info(key, value, resumed)

    def get_info(self, key: str, default: Any = None) -> Any:
        """A fact, or `default`."""
        return self._info.get(key, default)

    def pop_info(self, key: str, default: Any = None) -> Any:
        """Forget a fact and return it, or `default`."""
        return self._info.pop(key, default)

    @property
    def runtime_info(self) -> dict[str, Any]:
        """Every fact by name."""
        return self._info

    def _remember(self, key: str, resumed: bool) -> None:
        if self._resumed.setdefault(key, resumed) != resumed:
            raise ValueError(
                f"{key!r} was put with resumed={not resumed} before, now with {resumed}"
            )

    # -- state -----------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Resumed facts that are plain data (others are named in a warning), and an own storage."""
        info, odd = {}, []
        for key, value in self._info.items():
            if self._resumed.get(key, True):
                if _is_plain(value):
                    info[key] = value
                else:
                    odd.append(key)
        if odd:
            _LOGGER.warning("facts that are no plain data stay out of the checkpoint: %s", odd)
        state: dict[str, Any] = {"runtime_info": info, "resumed_keys": dict(self._resumed)}
        if self._owns_storage:
            state["storage"] = self.storage.state_dict()
        return state

    def load_state_dict(self, state_dict: Mapping[str, Any] | MessageHub) -> None:
        """Take back what `state_dict` gave; keys it does not hold stay as they are."""
        state = state_dict.state_dict() if isinstance(state_dict, MessageHub) else state_dict
        self._info.update(state.get("runtime_info", {}))
        self._resumed.update(state.get("resumed_keys", {}))
        if self._owns_storage and "storage" in state:
            self.storage.load_state_dict(state["storage"])


def _is_plain(value: Any) -> bool:
    """Whether a value is numbers, text, None, tensors, and lists, tuples or dicts of such."""
    if value is None or isinstance(value, (bool, int, float, str, bytes)) or is_tensor(value):
        return True
    if isinstance(value, (list, tuple)):
        return all(_is_plain(v) for v in value)
    if isinstance(value, dict):
        return all(isinstance(k, (str, int)) and _is_plain(v) for k, v in value.items())
    return False
