"""The only door to unpickling: opened by name on the command line, for one file, never by itself.

This module runs whatever the file says. It is one of two that the source test lets do so.
"""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path
from typing import Any

from loopwright.checkpoint.errors import Refused

logger = logging.getLogger("loopwright")


def load_trusted(path: Path, *, map_location: Any = "cpu", sha256: str | None = None) -> Any:
    """Unpickle a file whose author you trust with your account (``--trust-pickle FILE``).

    With ``sha256`` the file is read only if it is the one you mean; `Refused` otherwise.
    """
    import io

    import torch

    raw = path.read_bytes()
    digest = hashlib.sha256(raw).hexdigest()
    if sha256 is not None and digest != sha256.lower():
        raise Refused(f"{path} has the sha256 {digest}, wanted {sha256}")
    logger.warning("unpickling %s (sha256 %s): this runs code from the file", path, digest)
    return torch.load(io.BytesIO(raw), map_location=map_location, weights_only=False)
