"""The optim wrapper: accumulation, clipping, states by name, several optimizers."""

import copy
import warnings
from contextlib import contextmanager

import pytest
import torch
from torch import nn

from loopwright.optim import (
    MultiOptimWrapperConstructor,
    OptimWrapper,
    OptimWrapperDict,
    build_optim_wrapper,
)


def weight(value: float = 1.0) -> nn.Parameter:
    return nn.Parameter(torch.tensor([value]))


def sgd(*params: nn.Parameter, lr: float = 1.0) -> torch.optim.Optimizer:
    return torch.optim.SGD(params, lr=lr)


def test_an_update_steps_and_drops_the_gradients():
    w = weight()
    wrapper = OptimWrapper(sgd(w, lr=0.5))
    wrapper.update_params((3 * w).sum())
    assert w.item() == -0.5
    assert w.grad is None
    assert (wrapper.last_update, wrapper.last_step_skipped, wrapper.inner_count) == (True, False, 1)


def test_four_accumulated_over_ten_batches_weigh_each_batch_of_a_window_alike():
    w = weight(0.0)
    wrapper = OptimWrapper(sgd(w), accumulative_counts=4)
    wrapper.initialize_count_status(nn.Linear(1, 1), 0, 10)
    values = []
    for batch in range(10):
        wrapper.update_params((batch * w).sum())
        values.append(w.item())
    assert values[2] == 0.0
    assert values[3] == -(0 + 1 + 2 + 3) / 4
    assert values[7] == values[3] - (4 + 5 + 6 + 7) / 4
    assert values[9] == values[7] - (8 + 9) / 2


def test_going_on_inside_a_window_is_said():
    wrapper = OptimWrapper(sgd(weight()), accumulative_counts=4)
    with pytest.warns(UserWarning, match="inside a window of 4"):
        wrapper.initialize_count_status(nn.Linear(1, 1), 6, 10)


def test_batch_norm_under_accumulation_is_said():
    wrapper = OptimWrapper(sgd(weight()), accumulative_counts=2)
    with pytest.warns(UserWarning, match="batch norm still sees one batch"):
        wrapper.initialize_count_status(nn.BatchNorm1d(2), 0, 10)


def test_ranks_exchange_gradients_only_at_the_end_of_a_window():
    entered = []

    class Distributed(nn.Module):
        @contextmanager
        def no_sync(self):
            entered.append(True)
            yield

    w = weight()
    wrapper, model = OptimWrapper(sgd(w), accumulative_counts=3), Distributed()
    for _ in range(3):
        with wrapper.optim_context(model):
            loss = w.sum()
        wrapper.update_params(loss)
    assert len(entered) == 2


def test_gradients_are_clipped_to_their_common_norm_which_is_measured_before():
    a, b = weight(), weight()
    wrapper = OptimWrapper(sgd(a, b), clip_grad={"max_norm": 1.0})
    wrapper.update_params((3 * a + 4 * b).sum())
    assert wrapper.metrics()["grad_norm"].item() == pytest.approx(5.0)
    assert a.item() == pytest.approx(1 - 0.6, rel=1e-5)
    assert b.item() == pytest.approx(1 - 0.8, rel=1e-5)


def test_building_from_a_clip_dict_leaves_it_as_it_was():
    cfg = {"type": "value", "clip_value": 0.5}
    before = copy.deepcopy(cfg)
    for _ in range(2):
        w = weight()
        wrapper = OptimWrapper(sgd(w), clip_grad=cfg)
        wrapper.update_params((9 * w).sum())
        assert w.item() == 0.5
    assert cfg == before


def test_after_backward_is_called_once_a_backward():
    calls = []
    w = weight()
    wrapper = OptimWrapper(sgd(w), accumulative_counts=2)
    wrapper.after_backward = lambda: calls.append(w.grad.item())
    for _ in range(2):
        wrapper.update_params(w.sum())
    assert calls == [0.5, 1.0]


def test_a_loss_that_is_refused_is_left_out_of_its_window():
    w = weight()
    wrapper = OptimWrapper(sgd(w), accumulative_counts=2)
    wrapper.check_loss = lambda loss: bool(torch.isfinite(loss))
    wrapper.update_params((w * float("inf")).sum())
    wrapper.update_params(w.sum())
    assert w.item() == 0.5


def test_a_loss_that_is_refused_updates_nothing_without_windows():
    w = weight()
    wrapper = OptimWrapper(sgd(w))
    wrapper.check_loss = lambda loss: False
    wrapper.update_params(w.sum())
    assert (w.item(), wrapper.last_update) == (1.0, False)


def test_zeroing_may_keep_the_gradient_tensors():
    w = weight()
    wrapper = OptimWrapper(sgd(w))
    w.sum().backward()
    wrapper.zero_grad(set_to_none=False)
    assert w.grad.item() == 0.0


def test_groups_added_later_are_clipped_and_zeroed_too():
    a, b = weight(), weight()
    wrapper = OptimWrapper(sgd(a), clip_grad={"max_norm": 1.0})
    wrapper.update_params(a.sum())
    wrapper.optimizer.add_param_group({"params": [b]})
    wrapper.update_params((6 * a + 8 * b).sum())
    assert wrapper.metrics()["grad_norm"].item() == pytest.approx(10.0)
    assert b.grad is None


def test_lr_and_momentum_are_told_for_every_group_and_the_base_lr():
    groups = [{"params": [weight()]}, {"params": [weight()], "lr": 2.0, "momentum": 0.5}]
    wrapper = OptimWrapper(torch.optim.SGD(groups, lr=1.0, momentum=0.9))
    assert wrapper.get_lr() == {"lr": [1.0, 2.0], "base_lr": [1.0]}
    assert wrapper.get_momentum() == {"momentum": [0.9, 0.5]}


@pytest.mark.parametrize("counts", [0, -1, 1.5, "2"])
def test_accumulation_over_no_whole_number_is_refused(counts):
    with pytest.raises(ValueError, match="whole number"):
        OptimWrapper(sgd(weight()), accumulative_counts=counts)


def test_only_an_optimizer_can_be_wrapped():
    with pytest.raises(TypeError, match="torch Optimizer"):
        OptimWrapper({"type": "SGD"})


# -- states ------------------------------------------------------------------------------------


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 3), nn.LayerNorm(3), nn.Linear(3, 1))


ADAMW = {"type": "AdamW", "lr": 1e-2, "weight_decay": 0.1}
MERGED = {"optimizer": ADAMW, "paramwise_cfg": {"norm_decay_mult": 0.0}}


def train(model: nn.Module, wrapper: OptimWrapper, steps: int) -> None:
    x = torch.arange(8.0).reshape(4, 2)
    for _ in range(steps):
        wrapper.update_params(model(x).square().mean())


def weights(model: nn.Module) -> list[float]:
    return torch.cat([p.detach().flatten() for p in model.parameters()]).tolist()


def test_a_state_is_kept_by_parameter_name_and_goes_on_to_the_bit():
    straight = net()
    train(straight, build_optim_wrapper(straight, MERGED), 4)
    model = net()
    wrapper = build_optim_wrapper(model, MERGED)
    train(model, wrapper, 2)
    state = wrapper.state_dict()
    assert set(state["state"]) == {n for n, _ in model.named_parameters()}
    resumed = build_optim_wrapper(model, MERGED)
    resumed.load_state_dict(state)
    train(model, resumed, 2)
    assert weights(model) == weights(straight)


def test_a_state_loads_into_another_grouping():
    straight, model = net(), net()
    train(straight, build_optim_wrapper(straight, MERGED), 4)
    wrapper = build_optim_wrapper(model, MERGED)
    train(model, wrapper, 2)
    split = {**MERGED, "paramwise_cfg": {"norm_decay_mult": 0.0, "custom_keys": {"2.": {}}}}
    resumed = build_optim_wrapper(model, split)
    resumed.load_state_dict(wrapper.state_dict())
    train(model, resumed, 2)
    assert weights(model) == weights(straight)


def test_a_state_of_one_group_a_parameter_and_without_names_loads():
    """So do MMEngine's checkpoints, whose groups are in the order of the model."""
    straight, model = net(), net()
    train(straight, build_optim_wrapper(straight, MERGED), 4)
    norm = {"1.weight", "1.bias"}
    groups = [
        {"params": [p], "weight_decay": 0.0 if n in norm else 0.1}
        for n, p in model.named_parameters()
    ]
    theirs = OptimWrapper(torch.optim.AdamW(groups, lr=1e-2, weight_decay=0.1))
    train(model, theirs, 2)
    resumed = build_optim_wrapper(model, MERGED)
    resumed.load_state_dict(theirs.state_dict())
    train(model, resumed, 2)
    assert weights(model) == pytest.approx(weights(straight), rel=1e-6)


def test_loading_leaves_the_saved_state_as_it_was():
    model = net()
    wrapper = build_optim_wrapper(model, MERGED)
    train(model, wrapper, 1)
    state = wrapper.state_dict()
    keys = set(state)
    wrapper.load_state_dict(state)
    assert set(state) == keys


def test_loading_keeps_the_kernel_that_was_chosen_here():
    model = net()
    saved = build_optim_wrapper(model, {**MERGED, "optimizer": {**ADAMW, "foreach": True}})
    train(model, saved, 1)
    wrapper = build_optim_wrapper(model, {**MERGED, "optimizer": {**ADAMW, "fused": True}})
    wrapper.load_state_dict(saved.state_dict())
    assert [g["fused"] for g in wrapper.optimizer.param_groups] == [True, True]
    assert [g["foreach"] for g in wrapper.optimizer.param_groups] == [None, None]


def test_parameters_that_came_or_went_are_named():
    model = net()
    wrapper = build_optim_wrapper(model, MERGED)
    train(model, wrapper, 1)
    other = nn.Sequential(*net(), nn.Linear(1, 1))
    bigger = build_optim_wrapper(other, MERGED)
    with pytest.warns(UserWarning, match=r"2 parameters have no saved.*'3.bias', '3.weight'"):
        bigger.load_state_dict(wrapper.state_dict())
    with pytest.warns(UserWarning, match="of 2 parameters that are not trained"):
        wrapper.load_state_dict(bigger.state_dict())


def test_a_nameless_state_of_another_size_is_refused():
    wrapper = build_optim_wrapper(net(), MERGED)
    other = OptimWrapper(sgd(weight()))
    with pytest.raises(ValueError, match=r"has 1 parameters in 1 groups without names"):
        wrapper.load_state_dict(other.state_dict())


# -- several -----------------------------------------------------------------------------------


def two() -> OptimWrapperDict:
    return OptimWrapperDict(g=OptimWrapper(sgd(weight())), d=OptimWrapper(sgd(weight(), lr=2.0)))


def test_several_wrappers_are_a_mapping():
    both = two()
    assert (list(both), len(both), "g" in both) == (["g", "d"], 2, True)
    assert both.get_lr() == {"g.lr": [1.0], "d.lr": [2.0]}
    assert both.get_momentum() == {"g.momentum": [0], "d.momentum": [0]}
    assert list(both.param_groups) == ["g", "d"]


def test_several_wrappers_have_no_update_of_their_own():
    both = two()
    for verb in ("update_params", "backward", "step"):
        with pytest.raises(NotImplementedError, match=rf"optim_wrapper\[name\].{verb}"):
            getattr(both, verb)()
    with pytest.raises(NotImplementedError, match="optim_context"):
        both.optim_context(nn.Linear(1, 1))


def test_one_that_does_not_update_in_an_iteration_is_not_told_again():
    both = two()
    both["g"].update_params(both["g"].optimizer.param_groups[0]["params"][0].sum())
    assert both.last_update
    both.begin_iteration()
    assert not both.last_update
    assert both.metrics() == {}


def test_the_states_of_several_load_by_name():
    both = two()
    other = two()
    other["d"].optimizer.param_groups[0]["lr"] = 7.0
    both.load_state_dict(other.state_dict())
    assert both.get_lr()["d.lr"] == [7.0]
    with pytest.raises(KeyError, match="no optim wrapper 'e'"):
        both.load_state_dict({"e": {}})


def test_what_one_of_several_did_is_what_they_did():
    both = two()
    w = both["g"].optimizer.param_groups[0]["params"][0]
    both["g"].update_params(w.sum())
    assert (both.last_update, both.last_step_skipped, both.metrics()) == (True, False, {})
    both.zero_grad()
    assert w.grad is None


def test_only_wrappers_can_be_several():
    with pytest.raises(TypeError, match="for 'g'"):
        OptimWrapperDict(g=sgd(weight()))


class Gan(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.generator = nn.Linear(2, 2)
        self.discriminator = nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2))


def test_each_part_of_a_model_gets_a_wrapper_of_its_own():
    part = {"optimizer": {"type": "SGD", "lr": 0.1, "weight_decay": 0.01}}
    cfg = {
        "constructor": "MultiOptimWrapperConstructor",
        "generator": part,
        "discriminator": {**part, "paramwise_cfg": {"norm_decay_mult": 0.0}},
    }
    both = build_optim_wrapper(Gan(), cfg)
    assert isinstance(both, OptimWrapperDict)
    assert len(both["generator"].optimizer.param_groups) == 1
    assert [g["weight_decay"] for g in both["discriminator"].optimizer.param_groups] == [0.01, 0]


def test_a_part_may_be_all_modules_that_match():
    part = {"optimizer": {"type": "SGD", "lr": 0.1}, "modules": [r"^discriminator\.\d$"]}
    wrapper = MultiOptimWrapperConstructor({"some": part})(Gan())["some"]
    assert sum(len(g["params"]) for g in wrapper.optimizer.param_groups) == 4


def test_a_part_that_is_not_there_names_the_nearest():
    part = {"optimizer": {"type": "SGD", "lr": 0.1}}
    with pytest.raises(ValueError, match="did you mean 'generator'"):
        MultiOptimWrapperConstructor({"generater": part})(Gan())
    with pytest.raises(ValueError, match="no module's name matches"):
        MultiOptimWrapperConstructor({"x": {**part, "modules": "nothing"}})(Gan())


# -- building ----------------------------------------------------------------------------------


def test_a_built_wrapper_passes_through():
    wrapper = OptimWrapper(sgd(weight()))
    assert build_optim_wrapper(net(), wrapper) is wrapper


def test_a_built_optimizer_is_wrapped():
    wrapper = build_optim_wrapper(net(), {"optimizer": sgd(weight()), "accumulative_counts": 2})
    assert wrapper._accumulative_counts == 2


def test_a_dict_of_wrappers_becomes_one():
    assert isinstance(build_optim_wrapper(net(), dict(two().items())), OptimWrapperDict)


@pytest.mark.parametrize("cfg", [{}, {"clip_grad": {"max_norm": 1.0}}])
def test_a_config_without_an_optimizer_says_what_it_needs(cfg):
    with pytest.raises(ValueError, match="optim_wrapper needs `optimizer`"):
        build_optim_wrapper(net(), cfg)


def test_something_else_is_refused():
    with pytest.raises(TypeError, match="must be a dict"):
        build_optim_wrapper(net(), "SGD")


def test_a_fused_kernel_is_chosen_where_it_helps_and_not_where_the_config_speaks():
    model = nn.Linear(100, 100)
    fused = build_optim_wrapper(model, {"optimizer": ADAMW}).optimizer
    assert fused.param_groups[0]["fused"] is True
    said = build_optim_wrapper(model, {"optimizer": {**ADAMW, "foreach": True}}).optimizer
    assert said.param_groups[0]["fused"] is None


def test_every_optimizer_of_torch_can_be_named():
    for name in ("Adadelta", "Adagrad", "Adam", "Adamax", "ASGD", "NAdam", "RAdam", "RMSprop"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = net()
            wrapper = build_optim_wrapper(model, {"optimizer": {"type": name, "lr": 1e-3}})
            train(model, wrapper, 1)
        assert type(wrapper.optimizer).__name__ == name
