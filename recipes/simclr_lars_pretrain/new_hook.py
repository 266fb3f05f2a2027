"""A hook of the user's own: it sets a number of the model before each iteration."""

from typing import Optional, Sequence

from mmengine.hooks import Hook

from loopwright.registry import HOOKS


@HOOKS.register_module()
class NewHook(Hook):
    """Sets ``hyper_parameter`` of the model to ``a * iter + b``."""

    def __init__(self, a: int, b: int) -> None:
        self.a = a
        self.b = b

    def before_train_iter(self,
                          runner,
                          batch_idx: int,
                          data_batch: Optional[Sequence[dict]] = None) -> None:
        cur_iter = runner.iter
        model = getattr(runner.model, 'module', runner.model)
        model.hyper_parameter = self.a * cur_iter + self.b
