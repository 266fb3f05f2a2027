"""Two gloo processes: the same weights on both ranks, one writer, one decision to stop."""

import os
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def torchrun(folder, *wishes):
    environment = {**os.environ, "PYTHONPATH": str(HERE), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [
            sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2",
            str(HERE / "ddp_script.py"), str(folder), *wishes,
        ],
        capture_output=True, text=True, timeout=900, env=environment, check=False,
    )  # fmt: skip
    found = re.findall(r"rank (\d) iter (\d+) ([0-9a-f]{64})", done.stdout)
    return done, {rank: (int(count), digest) for rank, count, digest in found}


def test_a_run_stopped_by_a_signal_to_one_rank_resumes_to_the_same_weights(tmp_path):
    done, straight = torchrun(tmp_path / "straight")
    assert done.returncode == 0, done.stderr
    assert straight["0"] == straight["1"], "both ranks hold the same weights"
    assert straight["0"][0] == 10

    done, found = torchrun(tmp_path / "stopped", "terminate")
    assert found == {}
    assert "exitcode  : 75" in done.stderr, done.stderr[-4000:]
    assert "preempt_iter_3" in os.listdir(tmp_path / "stopped"), "all stopped at the same step"

    done, resumed = torchrun(tmp_path / "stopped", "resume")
    assert done.returncode == 0, done.stderr
    assert resumed == straight


def test_a_signal_to_one_rank_in_validation_stops_all_after_the_next_iteration(tmp_path):
    done, found = torchrun(tmp_path / "stopped", "validate")
    assert found == {}
    assert "exitcode  : 75" in done.stderr, done.stderr[-4000:]
    assert "preempt_iter_6" in os.listdir(tmp_path / "stopped")
