import importlib.util
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def load(name):
    spec = importlib.util.spec_from_file_location(name, HERE / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def pair():
    return load("pair").run_pair(HERE / "collectives_pair.py")


def test_each_process_knows_its_place(pair):
    assert [p["info"] for p in pair] == [[0, 2], [1, 2]]
    assert [p["main"] for p in pair] == [True, False]
    assert [p["local"] for p in pair] == [[0, 2], [1, 2]]


def test_nccl_without_a_gpu_is_gloo(pair):
    assert [p["said"] for p in pair] == ["gloo", "gloo"]


def test_what_one_process_heard_or_was_asked_for_both_do(pair):
    other = "another rank"
    assert [p["interrupted"] for p in pair] == [[other, "SIGINT", "SIGINT"], ["SIGINT"] * 3]
    assert [p["terminated"] for p in pair] == [[None, "SIGTERM", "SIGTERM"], [None, other, other]]
    assert [p["saves"] for p in pair] == [[other, None, None], ["SIGUSR1", None, None]]
    asked = "no better for 5 epochs"
    assert [p["stops"] for p in pair] == [[None, None, asked], [None, None, other]]
    assert [p["nothing"] for p in pair] == [[None, None, None]] * 2


def test_reductions_give_the_same_everywhere(pair):
    wanted = {"sum": [3.0, 8.0], "mean": [1.5, 4.0], "max": [2.0, 4.0], "min": [1.0, 4.0]}
    assert [p["reduced"] for p in pair] == [wanted, wanted]
    assert [p["whole"] for p in pair] == [[3], [3]]


def test_a_tensor_that_is_not_contiguous_is_reduced_in_place(pair):
    assert pair[0]["strided"] == [[0.0, 6.0], [2.0, 8.0], [4.0, 10.0]]


def test_gathering_keeps_rank_order(pair):
    assert [p["gathered"] for p in pair] == [[[0], [1]]] * 2
    assert [p["on_one"] for p in pair] == [[], [[0], [1]]]


def test_a_broadcast_comes_from_its_source(pair):
    assert [p["broadcast"] for p in pair] == [[11], [11]]


def test_dicts_and_lists_of_tensors_are_reduced_together(pair):
    assert pair[0]["dict"] == pair[1]["dict"] == {"a": [1.5], "b": [[2.0, 2.0]]}
    assert pair[0]["params"] == [[1.0] * 3] * 4


def test_objects_of_different_size_are_gathered(pair):
    wanted = [[0, [0, 4], ["a", None]], [1, [1, 4], ["a", None]]]
    assert [p["objects"] for p in pair] == [wanted, wanted]
    assert [p["on_main"] for p in pair] == [[0, 1], None]


def test_only_the_source_of_a_broadcast_object_matters(pair):
    assert [p["from_one"] for p in pair] == [{"best": 0.5}] * 2
    assert [p["listed"] for p in pair] == [[1, "x"]] * 2


def test_results_come_in_the_order_of_the_samples(pair):
    assert [p["results"] for p in pair] == [["s0", "s1", "s2", "s3", "s4"], None]


def test_all_processes_draw_one_seed(pair):
    assert pair[0]["seed"] == pair[1]["seed"]


def test_one_process_is_enough_for_a_yes(pair):
    assert [p["any"] for p in pair] == [[True, False]] * 2


def test_an_object_that_cannot_be_sent_is_an_error_on_every_rank(pair):
    assert "process 1 has an object" in pair[0]["refused"]
    assert "builtins.object" in pair[1]["refused"]


def test_only_the_main_process_does_what_is_its(pair):
    assert [p["master"] for p in pair] == ["written", None]


def test_a_machine_has_a_group_of_its_own(pair):
    assert [p["machine"] for p in pair] == [1, 1]


def test_after_leaving_one_is_alone(pair):
    assert [p["after"] for p in pair] == [False, False]


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="threads are listed by /proc")
@pytest.mark.parametrize("how", ["left", "forgotten"])
def test_no_thread_of_a_group_is_left_when_the_interpreter_ends(how):
    """One that frees a tensor while the interpreter is torn down aborts the process."""
    assert load("pair").run_pair(HERE / "ending_pair.py", how) == [[], []]
