import pytest
import torch
from torch import nn

from loopwright.model import BaseModel, compile_model, compile_report
from loopwright.optim import OptimWrapper


class Net(BaseModel):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(2, 1)

    def forward(self, inputs, data_samples=None, mode="tensor"):
        out = self.fc(inputs)
        return {"loss": out.square().mean()} if mode == "loss" else [*out]


class Broken(nn.Module):
    def forward(self, x):
        x = x + 1
        torch._dynamo.graph_break()
        return x * 2


@pytest.fixture(autouse=True)
def fresh():
    config = torch._dynamo.config
    kept = (config.recompile_limit, config.accumulated_recompile_limit)
    torch._dynamo.reset()
    yield
    config.recompile_limit, config.accumulated_recompile_limit = kept
    config.fail_on_recompile_limit_hit = False
    torch._dynamo.reset()


def test_it_is_done_in_place_and_no_name_changes():
    model = Net()
    names = list(model.state_dict())
    assert compile_model(model, {"backend": "eager"}) is model
    assert list(model.state_dict()) == names


def test_a_compiled_model_trains_to_the_same_weights():
    torch.manual_seed(0)
    plain, compiled = Net(), Net()
    compiled.load_state_dict(plain.state_dict())
    compile_model(compiled, {"backend": "eager"})
    for model in (plain, compiled):
        wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1))
        for _ in range(3):
            model.train_step({"inputs": torch.ones(4, 2), "data_samples": None}, wrapper)
    assert compile_report(compiled).graphs > 0
    assert torch.equal(plain.fc.weight, compiled.fc.weight)


def test_graphs_and_recompiles_are_counted():
    model = compile_model(Net(), {"backend": "eager"})
    data = {"inputs": torch.ones(4, 2), "data_samples": None}
    wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1))
    model.train_step(data, wrapper)
    report = compile_report(model)
    assert (report.graphs, report.recompiles) == (1, 0)
    model.val_step(data)
    report = compile_report(model)
    assert (report.graphs, report.recompiles) == (2, 1)
    assert report.seconds > 0


def test_graph_breaks_are_counted():
    model = compile_model(Broken(), {"backend": "eager"})
    model(torch.ones(2))
    assert compile_report(model).graph_breaks == 1
    assert compile_report(model).graphs == 2


def test_a_module_of_torch_itself_is_compiled_too():
    model = compile_model(nn.Sequential(nn.Linear(2, 2), nn.ReLU()), {"backend": "eager"})
    model(torch.ones(1, 2))
    assert compile_report(model).graphs == 1


def test_chosen_modules_are_compiled():
    model = nn.ModuleDict({"body": nn.Linear(2, 2), "head": nn.Linear(2, 2)})
    compile_model(model, {"backend": "eager", "modules": ["head"]})
    assert compile_report(model).modules == ["head"]
    model["body"](torch.ones(1, 2))
    assert compile_report(model).graphs == 0
    model["head"](torch.ones(1, 2))
    assert compile_report(model).graphs == 1
    with pytest.raises(ValueError, match=r"'hed' matches no sub-module; did you mean 'head'"):
        compile_model(model, {"modules": "hed"})


def test_both_limits_are_set_together():
    compile_model(nn.Linear(1, 1), {"backend": "eager", "recompile_limit": 512})
    config = torch._dynamo.config
    assert config.recompile_limit == 512
    assert config.accumulated_recompile_limit >= 512


def test_reaching_the_limit_is_said_aloud():
    settings = {"backend": "eager", "recompile_limit": 2, "dynamic": False}
    model = compile_model(nn.Linear(2, 2), settings)
    model(torch.ones(1, 2))
    with pytest.warns(UserWarning, match="graph 2 of 2 for one piece of code"):
        model(torch.ones(2, 2))
    model(torch.ones(3, 2))
    assert compile_report(model).graphs == 2


def test_the_limit_can_stop_the_run():
    settings = {"backend": "eager", "recompile_limit": 1, "dynamic": False, "on_limit": "error"}
    model = compile_model(nn.Linear(2, 2), settings)
    model(torch.ones(1, 2))
    with pytest.raises(Exception, match="limit"):
        model(torch.ones(2, 2))


def failing(graph, inputs):
    raise OSError("no compiler here")


def test_a_backend_that_fails_is_gone_without_and_said_aloud():
    model = nn.Linear(2, 2)
    wanted = model(torch.ones(1, 2))
    compile_model(model, {"backend": failing})
    with pytest.warns(UserWarning, match="runs without it: OSError: no compiler here"):
        found = model(torch.ones(1, 2))
    assert torch.equal(found, wanted)
    assert compile_report(model).failures == ["OSError: no compiler here"]
    assert "1 graphs run without it" in str(compile_report(model))


def test_a_backend_that_fails_can_stop_the_run():
    model = compile_model(nn.Linear(2, 2), {"backend": failing, "on_failure": "error"})
    with pytest.raises(Exception, match="no compiler here"):
        model(torch.ones(1, 2))


def test_false_compiles_nothing():
    for cfg in (False, {"enabled": False}, {"disable": True}):
        assert compile_report(compile_model(nn.Linear(1, 1), cfg)) is None


@pytest.mark.parametrize(
    ("cfg", "said"),
    [
        ({"mod": "default"}, "compile has no 'mod'; did you mean 'mode'"),
        ({"on_limit": "stop"}, "on_limit must be 'warn' or 'error'"),
        ({"backend": "inductr"}, "did you mean 'inductor'"),
        ({"backend": "eager", "mode": "max-autotune"}, "are inductor's, not 'eager'"),
        ({"target": "train_step"}, "target must be 'forward'"),
        ({"dynamic": "yes"}, "dynamic must be True, False, None or 'batch'"),
    ],
)
def test_a_wrong_option_is_named(cfg, said):
    with pytest.raises(ValueError, match=said):
        compile_model(nn.Linear(1, 1), cfg)


def test_the_config_is_left_as_it_is():
    cfg = {"backend": "eager", "dynamic": False}
    compile_model(nn.Linear(1, 1), cfg)
    assert cfg == {"backend": "eager", "dynamic": False}


def batches(model: nn.Module, *sizes: int) -> str:
    for size in sizes:
        model(torch.ones(size, 2))
    return str(compile_report(model))


def test_a_shorter_last_batch_that_compiles_anew_is_told_with_what_helps():
    model = compile_model(nn.Sequential(nn.Linear(2, 1)), {"backend": "eager"})
    said = batches(model, 4, 4, 3)
    assert "1 recompiles" in said
    assert "drop_last=True or compile.dynamic='batch'" in said


def test_batches_of_any_size_compile_once_where_that_is_asked_for():
    model = compile_model(nn.Sequential(nn.Linear(2, 1)), {"backend": "eager", "dynamic": "batch"})
    said = batches(model, 4, 4, 3, 5)
    assert "1 graphs, 0 breaks, 0 recompiles" in said


def test_batches_in_dicts_and_lists_may_be_of_any_size_too():
    model = compile_model(Net(), {"backend": "eager", "dynamic": "batch"})
    for size in (4, 3):
        model(inputs=torch.ones(size, 2), data_samples=[torch.ones(size)], mode="loss")
    assert compile_report(model).recompiles == 0


def test_another_reason_for_compiling_anew_is_told_in_torchs_words():
    model = compile_model(Net(), {"backend": "eager"})
    for mode in ("loss", "tensor"):
        model(torch.ones(4, 2), mode=mode)
    assert "(last because" in str(compile_report(model))
