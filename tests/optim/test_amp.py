"""Mixed precision on a CPU, with numbers by hand: order, overflow, the scale's state."""

import pytest
import torch
from torch import nn

from loopwright.optim import AmpOptimWrapper, build_optim_wrapper, build_param_scheduler


def fp16(
    lr: float = 1.0, *, fused: bool = False, **options
) -> tuple[nn.Parameter, AmpOptimWrapper]:
    w = nn.Parameter(torch.ones(4))
    sgd = torch.optim.SGD([w], lr=lr, fused=fused)
    return w, AmpOptimWrapper(dtype="float16", optimizer=sgd, **options)


@pytest.mark.parametrize("fused", [False, True])
def test_clipping_sees_true_gradients(fused: bool):
    """Each gradient is 3, their norm 6; scaled by 65536 it would be clipped to nothing."""
    w, wrapper = fp16(fused=fused, clip_grad={"max_norm": 12.0})
    wrapper.update_params((3 * w).sum())
    assert wrapper.metrics()["grad_norm"].item() == pytest.approx(6.0)
    assert w.tolist() == pytest.approx([-2.0] * 4)


@pytest.mark.parametrize("fused", [False, True])
def test_true_gradients_are_clipped(fused: bool):
    w, wrapper = fp16(fused=fused, clip_grad={"max_norm": 3.0})
    wrapper.update_params((3 * w).sum())
    assert wrapper.metrics()["grad_norm"].item() == pytest.approx(6.0)
    assert w.tolist() == pytest.approx([-0.5] * 4, abs=1e-5)


@pytest.mark.parametrize("fused", [False, True])
def test_an_overflow_drops_the_step_and_halves_the_scale(fused: bool):
    w, wrapper = fp16(fused=fused, loss_scale={"init_scale": 1024.0})
    wrapper.update_params((w * float("inf")).sum())
    assert w.tolist() == [1.0] * 4
    assert (wrapper.last_step_skipped, wrapper.last_update) == (True, False)
    assert wrapper.metrics()["loss_scale"].item() == 512.0
    wrapper.update_params(w.sum())
    assert (wrapper.last_step_skipped, wrapper.last_update) == (False, True)
    assert w.tolist() == [0.0] * 4
    assert wrapper.metrics()["skipped_steps"] == 1.0


def test_schedules_step_only_when_the_weights_did():
    """Of five updates the second overflows; the line falls by 0.25 for each of the other four."""
    w, wrapper = fp16(loss_scale={"init_scale": 8.0})
    line = {"type": "LinearLR", "start_factor": 1.0, "end_factor": 0.0, "by_epoch": False}
    (scheduler,) = build_param_scheduler({**line, "begin": 0, "end": 5}, wrapper)
    lrs = []
    for i in range(5):
        wrapper.update_params((w * (float("inf") if i == 1 else 0.0)).sum())
        if not wrapper.last_step_skipped:
            scheduler.step()
        lrs.append(wrapper.optimizer.param_groups[0]["lr"])
    assert lrs == pytest.approx([0.75, 0.75, 0.5, 0.25, 0.0])


def test_a_batch_inside_a_window_is_no_skipped_step():
    w, wrapper = fp16(accumulative_counts=2)
    wrapper.update_params(w.sum())
    assert (wrapper.last_step_skipped, wrapper.last_update) == (False, False)
    wrapper.update_params(w.sum())
    assert (wrapper.last_step_skipped, wrapper.last_update) == (False, True)
    assert w.tolist() == [0.0] * 4


def test_an_accumulated_window_is_unscaled_once():
    w, wrapper = fp16(accumulative_counts=3, clip_grad={"max_norm": 100.0})
    for factor in (1.0, 2.0, 3.0):
        wrapper.update_params((factor * w).sum())
    assert wrapper.metrics()["grad_norm"].item() == pytest.approx(4.0)
    assert w.tolist() == pytest.approx([-1.0] * 4)


def test_skips_in_a_row_stop_the_run_and_name_the_tensors():
    good, bad = nn.Parameter(torch.ones(1)), nn.Parameter(torch.ones(1))
    group = {"params": [good, bad], "param_names": ["stem.weight", "head.bias"]}
    wrapper = AmpOptimWrapper(
        dtype="float16", optimizer=torch.optim.SGD([group], lr=1.0), max_skipped_steps=3
    )

    def update() -> None:
        wrapper.update_params((good + bad * float("inf")).sum())

    update()
    update()
    with pytest.raises(FloatingPointError, match=r"3 steps in a row.*not finite now: head\.bias$"):
        update()


def test_a_step_between_skips_starts_the_count_anew():
    w, wrapper = fp16(max_skipped_steps=2)
    for factor in (float("inf"), 1.0, float("inf"), 1.0):
        wrapper.update_params((w * factor).sum())
    assert w.tolist() == [-1.0] * 4


def test_a_fixed_scale_stays():
    w, wrapper = fp16(loss_scale=128.0)
    for factor in (1.0, float("inf")):
        wrapper.update_params((w * factor).sum())
    assert wrapper.metrics()["loss_scale"].item() == 128.0


def test_only_half_precision_needs_a_scale():
    w = nn.Parameter(torch.ones(1))
    wrapper = AmpOptimWrapper(dtype="bfloat16", optimizer=torch.optim.SGD([w], lr=1.0))
    assert wrapper.loss_scaler is None
    with wrapper.optim_context(nn.Linear(1, 1)):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype is torch.bfloat16
    wrapper.update_params(w.sum())
    assert (w.item(), wrapper.last_update, wrapper.last_step_skipped) == (0.0, True, False)
    assert "loss_scaler" not in wrapper.state_dict()


def test_the_default_is_what_autocast_uses_on_the_device():
    wrapper = AmpOptimWrapper(optimizer=torch.optim.SGD([nn.Parameter(torch.ones(1))], lr=1.0))
    assert wrapper.cast_dtype is torch.get_autocast_dtype("cpu")


def test_a_scale_that_nothing_uses_is_said():
    sgd = torch.optim.SGD([nn.Parameter(torch.ones(1))], lr=1.0)
    with pytest.warns(UserWarning, match="needs no loss scale"):
        AmpOptimWrapper(dtype="bfloat16", loss_scale=512.0, optimizer=sgd)


def test_the_forward_runs_in_half_precision_and_the_weights_stay():
    model = nn.Linear(2, 2)
    wrapper = AmpOptimWrapper(
        dtype=torch.float16, optimizer=torch.optim.SGD(model.parameters(), lr=0.1)
    )
    with wrapper.optim_context(model):
        out = model(torch.ones(1, 2))
    assert out.dtype is torch.float16
    wrapper.update_params(out.float().sum())
    assert model.weight.dtype is torch.float32


def test_the_scale_is_saved_with_the_state():
    w, wrapper = fp16(loss_scale={"init_scale": 64.0})
    wrapper.update_params((w * float("inf")).sum())
    state = wrapper.state_dict()
    _, other = fp16()
    other.load_state_dict(state)
    assert state["loss_scaler"]["scale"] == 32.0
    assert other.loss_scaler.get_scale() == 32.0
    assert other.metrics()["skipped_steps"] == 1.0
    assert "loss_scaler" in state


def test_a_window_of_refused_losses_steps_nothing():
    w, wrapper = fp16(accumulative_counts=2)
    wrapper.check_loss = lambda loss: False
    for _ in range(2):
        wrapper.update_params(w.sum())
    assert w.tolist() == [1.0] * 4


@pytest.mark.parametrize(
    ("options", "error"),
    [({"dtype": "float8"}, ValueError), ({"dtype": "float16", "loss_scale": "big"}, TypeError)],
)
def test_what_is_no_precision_or_scale_is_refused(options, error):
    sgd = torch.optim.SGD([nn.Parameter(torch.ones(1))], lr=1.0)
    with pytest.raises(error):
        AmpOptimWrapper(optimizer=sgd, **options)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"dtype": "float64"}, ValueError, "which autocast can cast to, got 'float64'"),
        ({"loss_scale": True}, TypeError, "must be 'dynamic', a number or a dict, got True"),
        ({"loss_scale": 0}, ValueError, "loss_scale must be more than 0"),
        ({"loss_scale": "512"}, TypeError, "must be 'dynamic', a number or a dict, got '512'"),
        ({"loss_scale": {"init_scal": 2}}, TypeError, "did you mean 'init_scale'"),
        ({"loss_scale": {"growth_interval": 0}}, ValueError, r"loss_scale\.growth_interval must"),
        ({"max_skipped_steps": 0}, ValueError, "max_skipped_steps must be a whole number"),
        ({"use_fsdp": "yes"}, TypeError, "use_fsdp must be True or False"),
        ({"accumulative_counts": True}, ValueError, "accumulative_counts must be a whole number"),
    ],
)
def test_an_option_that_cannot_be_meant_is_refused(options, error, message):
    with pytest.raises(error, match=message):
        fp16(**options) if "dtype" not in options else AmpOptimWrapper(
            optimizer=torch.optim.SGD([nn.Parameter(torch.ones(1))], lr=1.0), **options
        )


def test_an_option_that_is_not_there_names_the_nearest():
    cfg = {"type": "AmpOptimWrapper", "optimizer": {"type": "SGD", "lr": 0.1}, "loss_scal": 2.0}
    with pytest.raises(TypeError, match="did you mean 'loss_scale'"):
        build_optim_wrapper(nn.Linear(1, 1), cfg)


def test_full_precision_casts_nothing_and_warns_of_nothing(recwarn):
    sgd = torch.optim.SGD([nn.Parameter(torch.ones(1))], lr=1.0)
    wrapper = AmpOptimWrapper(dtype="float32", optimizer=sgd)
    with wrapper.optim_context(nn.Linear(1, 1)):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype is torch.float32
    assert wrapper.loss_scaler is None
    assert not recwarn.list


def test_a_scaler_that_is_switched_off_is_none():
    w, wrapper = fp16(loss_scale={"enabled": False}, clip_grad={"max_norm": 100.0})
    wrapper.update_params((3 * w).sum())
    assert (wrapper.loss_scaler, wrapper.last_step_skipped) == (None, False)
    assert w.tolist() == [-2.0] * 4


def test_a_growing_scale_grows_on_the_interval_that_was_asked_for():
    w, wrapper = fp16(loss_scale={"init_scale": 4.0, "growth_factor": 3.0, "growth_interval": 2})
    scales = []
    for _ in range(4):
        wrapper.update_params(w.sum())
        scales.append(wrapper.metrics()["loss_scale"].item())
    assert scales == [4.0, 12.0, 12.0, 36.0]


@pytest.mark.parametrize(
    ("level", "said"),
    [("O0", "type='OptimWrapper'"), ("O1", "type='AmpOptimWrapper', dtype='float16'")],
)
def test_apex_is_told_what_took_its_place(level: str, said: str):
    cfg = {"type": "ApexOptimWrapper", "optimizer": {"type": "SGD", "lr": 0.1}, "opt_level": level}
    with pytest.raises(NotImplementedError, match=said):
        build_optim_wrapper(nn.Linear(1, 1), cfg)
