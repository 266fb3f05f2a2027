"""A yes or no computed on a device, on its way to the host while the device works on."""

from __future__ import annotations

import torch
from torch import Tensor


class Flag:
    """Holds one answer: put as tensors, copied in the background, waited for only when read.

    >>> flag = Flag()
    >>> flag.put([torch.tensor(0.0), torch.tensor(1.0)])
    >>> flag.pending, flag.read()
    (True, True)
    """

    def __init__(self) -> None:
        self.pending = False
        self._tensors: list[Tensor] = []
        self._event: torch.cuda.Event | None = None
        self._value: bool | None = None

    def put(self, tensors: list[Tensor]) -> None:
        """A new answer: yes if any of the tensors is not zero."""
        self.pending, self._value, self._event = True, None, None
        if all(t.is_cuda for t in tensors):
            self._tensors = [_to_host(t) for t in tensors]
            self._event = torch.cuda.Event()
            self._event.record()
        else:
            self._tensors = [t.clone() for t in tensors]

    def read(self) -> bool:
        """The answer; waits for it the first time."""
        if self._value is None:
            if self._event is not None:
                self._event.synchronize()
            self._value = any(bool(t.item()) for t in self._tensors)
        return self._value

    def clear(self) -> None:
        """Forget the answer."""
        self.pending = False


def _to_host(tensor: Tensor) -> Tensor:
    host = torch.empty_like(tensor, device="cpu", pin_memory=True)
    return host.copy_(tensor, non_blocking=True)
