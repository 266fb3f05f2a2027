"""What importing and starting costs: each in a process of its own, CPU time beyond bare Python.

`python benchmarks/startup.py`. As on a user's second start: bytecode is cached (in a folder of its
own, filled by a run that is not counted). What comes with the Runner is shown beyond torch, with
and without Python's garbage collector, which walks through torch's million objects once while
whatever follows torch is imported; `loopwright train` lets it rest until all is there.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile

STARTS = {
    "python alone": "pass",
    "import loopwright": "import loopwright",
    "read a config": "from loopwright.config import Config; Config.fromstring('a = 1', '.py')",
    "loopwright plan, no model": (
        "from loopwright.config import Config; from loopwright.plan import make_plan; "
        "make_plan(Config.fromstring('train_cfg = dict(by_epoch=True, max_epochs=3)', '.py'))"
    ),
    "import torch": "import torch",
    "import the Runner": "import torch; from loopwright.runner import Runner",
    "import torch, no collector": "import gc; gc.disable(); import torch",
    "import the Runner, no collector": (
        "import gc; gc.disable(); import torch; from loopwright.runner import Runner"
    ),
}
BEYOND = {
    "import the Runner": "import torch",
    "import the Runner, no collector": "import torch, no collector",
}


def cpu_of(code: str, cache: str) -> float:
    """CPU seconds of a fresh process that runs ``code``."""
    env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, "-c", code], check=True, env={**env, "PYTHONPYCACHEPREFIX": cache}
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main(runs: int = 7) -> None:
    """Medians; the starts take turns, so that a busy moment meets all of them."""
    with tempfile.TemporaryDirectory() as cache:
        for code in STARTS.values():
            cpu_of(code, cache)
        turns = [{name: cpu_of(code, cache) for name, code in STARTS.items()} for _ in range(runs)]
    for name in STARTS:
        other = BEYOND.get(name, "python alone")
        spent = statistics.median(turn[name] - turn[other] for turn in turns)
        print(f"{name:<32} {spent:6.2f} s CPU beyond {other}")


if __name__ == "__main__":
    main()
