import os
import subprocess
import sys

import pytest

from loopwright import dist
from loopwright.dist.launch import choose_backend, environment_of, first_host, infer_launcher

SLURM = {
    "SLURM_PROCID": "5",
    "SLURM_NTASKS": "8",
    "SLURM_LOCALID": "1",
    "SLURM_NODELIST": "node[03-04]",
    "SLURM_JOB_ID": "123",
}
OPENMPI = {
    "OMPI_COMM_WORLD_RANK": "2",
    "OMPI_COMM_WORLD_SIZE": "4",
    "OMPI_COMM_WORLD_LOCAL_RANK": "2",
    "OMPI_COMM_WORLD_LOCAL_SIZE": "4",
}


def test_the_launcher_is_seen_in_the_environment():
    assert infer_launcher({"RANK": "0", "WORLD_SIZE": "2", **SLURM}) == "pytorch"
    assert infer_launcher(SLURM) == "slurm"
    assert infer_launcher(OPENMPI) == "mpi"
    assert infer_launcher({}) == "none"


def test_slurm_names_the_first_machine_and_a_port_of_the_job():
    found = environment_of("slurm", SLURM)
    assert found == {
        "RANK": "5",
        "WORLD_SIZE": "8",
        "LOCAL_RANK": "1",
        "MASTER_ADDR": "node03",
        "MASTER_PORT": "20123",
    }


def test_what_is_set_already_is_kept():
    given = {**SLURM, "MASTER_ADDR": "head", "MASTER_PORT": "4"}
    found = environment_of("slurm", given)
    assert (found["MASTER_ADDR"], found["MASTER_PORT"]) == ("head", "4")


@pytest.mark.parametrize(
    ("nodes", "first"),
    [("a", "a"), ("a,b", "a"), ("n[1,4-5]", "n1"), ("n[01-02]-ib,m", "n01-ib")],
)
def test_the_first_of_a_node_list(nodes, first):
    assert first_host(nodes) == first


def test_mpi_on_one_machine_needs_no_address():
    assert environment_of("mpi", OPENMPI)["MASTER_ADDR"] == "127.0.0.1"


def test_mpi_on_several_machines_must_be_told_the_first():
    with pytest.raises(RuntimeError, match="MASTER_ADDR"):
        environment_of("mpi", {**OPENMPI, "OMPI_COMM_WORLD_LOCAL_SIZE": "2"})


def test_variables_that_are_missing_are_named():
    with pytest.raises(RuntimeError, match=r"RANK, WORLD_SIZE.*torchrun"):
        environment_of("pytorch", {})


def test_a_misspelt_launcher_is_named_with_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'slurm'"):
        environment_of("slrum", {})


def test_nccl_without_a_gpu_becomes_gloo_with_a_warning():
    with pytest.warns(UserWarning, match="using gloo"):
        assert choose_backend("nccl", cuda=False) == "gloo"
    assert choose_backend("nccl", cuda=True) == "nccl"


def test_the_group_is_left_before_the_interpreter_ends():
    # What is registered first is called last.
    code = (
        "import atexit; from loopwright import dist\n"
        "atexit.register(lambda: print('still in a group:', dist.is_distributed()))\n"
        "dist.init_dist('pytorch'); print(dist.is_distributed())"
    )
    port = str(dist.find_free_port())
    alone = {"RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True, text=True, env={**os.environ, **alone}, check=True,
    )  # fmt: skip
    assert done.stdout.split("\n")[:2] == ["True", "still in a group: False"]


def test_a_free_port_is_none_that_an_outgoing_connection_may_take():
    assert all(20000 <= dist.find_free_port() < 32000 for _ in range(20))
