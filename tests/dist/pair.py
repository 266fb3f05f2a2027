"""Starts a script as two processes of one gloo group and gives back what each printed as JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, Any

from loopwright.dist import find_free_port

PATIENCE = 600  # seconds: for a hang, not for a busy machine


def run_pair(script: Path, *arguments: str, size: int = 2) -> list[Any]:
    """The last line of each process's output, read as JSON, in rank order."""
    shared = {
        **os.environ,
        "WORLD_SIZE": str(size),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(find_free_port()),
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
    }
    # Files, not pipes: one that fills up while the other process is read would stop both.
    with tempfile.TemporaryDirectory() as folder:
        said = [open(f"{folder}/{rank}", "w+") for rank in range(2 * size)]  # noqa: SIM115
        processes = [
            subprocess.Popen(
                [sys.executable, str(script), *arguments],
                env={**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
                stdout=said[rank],
                stderr=said[size + rank],
            )
            for rank in range(size)
        ]
        try:
            wait(processes)
        finally:
            for process in processes:
                process.kill()
                process.wait()
            texts = [text_of(file) for file in said]
    codes = [process.returncode for process in processes]
    assert not any(codes), f"{codes}\n" + "\n".join(text[-3000:] for text in texts[size:])
    return [json.loads(text.strip().splitlines()[-1]) for text in texts[:size]]


def wait(processes: list[subprocess.Popen[bytes]]) -> None:
    """Until all have ended, or one has failed: the others would wait for it."""
    until = time.monotonic() + PATIENCE
    while None in (codes := [process.poll() for process in processes]) and not any(codes):
        assert time.monotonic() < until, f"still running after {PATIENCE} s: {codes}"
        time.sleep(0.02)


def text_of(file: IO[str]) -> str:
    file.seek(0)
    with file:
        return file.read()
