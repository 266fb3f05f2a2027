"""stub"""

from typing import Any


def read_torch_file(file: Any, where: str) -> Any:
    raise NotImplementedError
