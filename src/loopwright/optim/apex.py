"""The name of MMEngine's wrapper around NVIDIA's Apex, which says what has taken its place."""

from __future__ import annotations

from typing import Any

from loopwright.optim.options import apex_not_offered
from loopwright.optim.wrapper import OptimWrapper
from loopwright.registry import OPTIM_WRAPPERS


@OPTIM_WRAPPERS.register_module()
class ApexOptimWrapper(OptimWrapper):
    """Not offered: the development of Apex's amp ended in favour of torch's own.

    Raises NotImplementedError with what to write for the `opt_level`: nothing special for O0,
    `AmpOptimWrapper` for O1 to O3.

    >>> ApexOptimWrapper(opt_level="O1")  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    NotImplementedError: ApexOptimWrapper is not offered: ...type='AmpOptimWrapper', dtype='float16'
    """

    def __init__(self, opt_level: str = "O1", loss_scale: Any = "dynamic", **others: Any) -> None:
        raise NotImplementedError(apex_not_offered(opt_level, loss_scale))
