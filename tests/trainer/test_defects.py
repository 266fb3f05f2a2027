"""What was measured to go wrong in detectron2's engine, each with the test that it does not here.

`ELSEWHERE` names tests of other files; those that stood nowhere are below.
"""

import ast
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from trainer_models import TwoLosses, batches, sgd

from loopwright.checkpoint import WeightsError
from loopwright.log import get_event_storage
from loopwright.optim import AmpOptimWrapper
from loopwright.optim.where import LinearParamScheduler
from loopwright.trainer import (
    AMPTrainer,
    CallbackHook,
    Checkpointer,
    HookBase,
    LRScheduler,
    PreciseBN,
    SimpleTrainer,
)

TESTS = Path(__file__).parents[1]
ELSEWHERE = """
trainer/test_base.py
  the second stateful hook of a class is not saved:
    test_several_stateful_hooks_of_one_class_keep_their_states_apart
trainer/test_simple.py
  a finite loader ends the run:
    test_it_learns_as_a_loop_by_hand_and_starts_a_finite_loader_again
  a metric is added to the loss:
    test_a_metric_beside_the_losses_is_told_and_not_learned_from
  NaN is told an iteration late, or never with asynchronous metrics:
    test_a_loss_that_is_not_finite_stops_at_once_and_is_named
  fused optimizers clip scaled gradients:
    test_clipping_under_a_loss_scale_sees_true_gradients_with_a_fused_optimizer
  a resumed run replays the data:
    test_the_loader_goes_on_where_the_iteration_is
trainer/test_setup.py
  other ranks' storages have no losses:
    test_two_processes_share_gradients_and_losses
trainer/test_hooks.py
  asynchronous losses miss the file:
    test_losses_reach_the_file_with_asynchronous_metrics_and_a_period_of_one
  ReduceLROnPlateau is a TypeError:
    test_reduce_on_plateau_is_refused_with_the_way_out
  per-epoch schedules are stepped every iteration:
    test_a_torch_scheduler_that_was_meant_for_epochs_is_refused
  a failure in the last iteration is evaluated:
    test_a_training_that_failed_in_its_last_iteration_is_not_evaluated
  two writes divide by zero:
    test_two_writes_in_one_iteration_without_a_timer_do_no_harm
  scalars behind the writer, or put rarely, are lost:
    test_no_scalar_is_lost_whatever_the_order_of_hooks_and_the_period
  the fixed-gamma schedule cannot finish:
    test_the_fixed_gamma_warm_up_schedule_can_finish
  multi-step cannot go past its end:
    test_a_multi_step_schedule_may_be_run_past_its_end
  extending makes the lr jump:
    test_an_extended_run_goes_on_at_the_lr_it_had_and_says_so
  a failing evaluator leaves eval mode, frozen parts are woken:
    test_modes_are_restored_after_an_evaluation_and_after_its_failure
trainer/test_ranks.py
  ranks build different models:
    test_ranks_are_seeded_alike_before_they_build
  launch knows no torchrun:
    test_the_run_that_was_stopped_goes_on_under_torchrun_to_the_same_bits
trainer/test_default.py
  after_backward is not called under DefaultTrainer:
    test_after_backward_is_called_under_a_default_trainer
  a hook added behind DefaultTrainer's writer is not written:
    test_a_hook_added_behind_the_writer_is_still_written
trainer/test_checkpointing.py
  max_to_keep forgets earlier starts:
    test_old_ones_go_also_after_a_resume
  the best moves last_checkpoint:
    test_the_best_is_kept_and_last_checkpoint_stays_with_the_newest
  a resume after the best goes back to it:
    test_a_resume_after_the_best_goes_on_from_the_newest
  the best value is forgotten:
    test_the_best_value_is_remembered_across_a_resume
  inf is saved as the best:
    test_what_is_not_finite_is_never_the_best
  compiled checkpoints load nothing:
    test_compiled_and_plain_checkpoints_interchange
  nothing fits, nothing is said:
    test_a_file_of_which_nothing_fits_is_an_error
trainer/test_stopping.py
  nothing is saved on SIGTERM:
    test_a_terminated_run_saves_exits_with_75_and_goes_on_as_if_nothing_was
log/test_storage.py
  a changed hint is refused after the value was stored:
    test_a_changed_hint_is_refused_and_nothing_is_stored
  name_scope stays after an exception:
    test_a_name_scope_ends_also_when_its_block_raises
  a histogram counts the first dimension:
    test_a_histogram_counts_every_element_of_any_shape
  images pile up:
    test_images_beyond_sixteen_fall_off_and_are_counted
log/test_events.py
  the second TensorBoard writer sees no image:
    test_images_reach_every_tensorboard_writer
  the printer ignores hints:
    test_the_printer_leaves_an_unsmoothed_loss_as_it_is
  a resumed file holds iterations twice:
    test_a_resumed_run_holds_no_iteration_twice
optim/test_groups.py
  RMSNorm is no norm:
    test_an_rms_norm_is_a_norm
  the caller's overrides are changed:
    test_overrides_by_leaf_come_last
trainer/test_yacs.py
  a global clip is private:
    test_gradients_are_clipped_by_value_by_parameter_or_all_together
  a milestone at the end is an error:
    test_steps_behind_the_end_are_dropped_with_a_warning_and_one_at_the_end_is_not
optim/test_where.py
  a warm-up as long as the run is not said:
    test_a_warm_up_as_long_as_the_run_is_said
trainer/test_lazy.py
  a failing config leaves __import__ patched:
    test_imports_are_as_they_were_after_a_file_that_fails
  unknown overrides are created:
    test_a_misspelt_override_is_refused_with_the_nearest_name
  a number overwrites a dict:
    test_one_value_does_not_replace_a_dict
  a=abc is a ValueError:
    test_values_with_an_equals_sign_and_bare_words_are_text
  targets in a plain dict are not made:
    test_targets_inside_a_plain_dict_are_made
  a node used twice makes two objects:
    test_a_node_used_twice_makes_one_object
"""


def table():
    """(defect, file, test) of each that has its test elsewhere."""
    file = defect = ""
    for line in ELSEWHERE.strip().splitlines():
        depth = len(line) - len(line.lstrip())
        if depth == 0:
            file = line
        elif depth == 2:
            defect = line.strip(" :")
        else:
            yield defect, file, line.strip()


def test_every_defect_has_its_test():
    missing = []
    for defect, file, name in table():
        tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
        if name not in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}:
            missing.append(f"{defect}: {file}::{name}")
    assert not missing
    assert len([*table()]) > 40


class Overflows(nn.Module):
    """Its gradient is infinite in float16's scale in the first two iterations."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.ones(1))
        self.calls = 0

    def forward(self, batch):
        self.calls += 1
        return {"loss": self.w.sum() * (1e38 if self.calls <= 2 else 1.0)}


def test_the_schedule_does_not_move_with_a_step_that_the_loss_scale_dropped():
    model = Overflows()
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**16)
    sgd_ = torch.optim.SGD(model.parameters(), lr=1.0)
    trainer = AMPTrainer(model, [torch.zeros(1)], sgd_, grad_scaler=scaler)
    rates = []
    told = CallbackHook(after_step=lambda t: rates.append(t.optimizer.param_groups[0]["lr"]))
    trainer.register_hooks([LRScheduler(scheduler=LinearParamScheduler(1.0, 0.0)), told])
    trainer.train(0, 4)
    assert rates == [1.0, 1.0, 0.75, 0.5]
    assert isinstance(trainer.optim_wrapper, AmpOptimWrapper)


class Telling(nn.Module):
    def __init__(self):
        super().__init__()
        self.bn, self.fc = nn.BatchNorm1d(4), nn.Linear(4, 1)

    def forward(self, batch):
        get_event_storage().put_scalar("seen", 1.0)
        return {"loss": self.fc(self.bn(batch)).square().mean()}


def test_what_a_model_tells_while_statistics_are_measured_goes_nowhere():
    model = Telling()
    trainer = SimpleTrainer(model, batches(), sgd(model))
    trainer.register_hooks([PreciseBN(2, model, batches(20), 3)])
    trainer.train(0, 4)
    assert trainer.storage.history("seen").values() == [(1.0, i) for i in range(4)]


class Numpy(HookBase):
    """A hook whose memory is numpy's, as metrics often are."""

    best, curve = np.float64(0.0), np.zeros(2)

    def after_step(self):
        self.best, self.curve = np.float64(self.trainer.iter), np.arange(3.0)

    def state_dict(self):
        return {"best": self.best, "curve": self.curve, "flag": np.bool_(True)}

    def load_state_dict(self, state):
        self.best, self.curve = state["best"], np.asarray(state["curve"])


def test_the_state_of_a_hook_may_be_numpys(tmp_path):
    def made():
        model = TwoLosses()
        trainer = SimpleTrainer(model, batches(), sgd(model))
        trainer.register_hooks([Numpy()])
        return trainer, Checkpointer(model, str(tmp_path), trainer=trainer)

    trainer, saver = made()
    trainer.train(0, 5)
    saver.save("model_0000004", iteration=4)
    again, saver = made()
    saver.resume_or_load("", resume=True)
    hook = again._hooks[0]
    assert float(hook.best) == 4.0
    assert hook.curve.tolist() == [0.0, 1.0, 2.0]


def test_a_resume_into_a_model_of_other_shapes_is_an_error(tmp_path):
    Checkpointer(nn.Linear(4, 1), str(tmp_path)).save("model_0000004", iteration=4)
    with pytest.raises(WeightsError, match="weight"):
        Checkpointer(nn.Linear(4, 2), str(tmp_path)).resume_or_load("", resume=True)
