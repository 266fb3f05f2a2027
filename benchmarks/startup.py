"""What importing and starting costs: each in a process of its own, CPU time beyond bare Python.

`python benchmarks/startup.py`
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys

STARTS = {
    "python alone": "pass",
    "import loopwright": "import loopwright",
    "read a config": "from loopwright.config import Config; Config.fromstring('a = 1', '.py')",
    "loopwright plan, no model": (
        "from loopwright.config import Config; from loopwright.plan import make_plan; "
        "make_plan(Config.fromstring('train_cfg = dict(by_epoch=True, max_epochs=3)', '.py'))"
    ),
    "import torch": "import torch",
    "import the Runner": "from loopwright.runner import Runner",
}


def cpu_of(code: str, runs: int = 5) -> float:
    """The median CPU seconds of a fresh process that runs ``code``."""
    spent = []
    for _ in range(runs):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-c", code], check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return statistics.median(spent)


def main() -> None:
    alone = cpu_of(STARTS["python alone"])
    for name, code in STARTS.items():
        print(f"{name:<28} {cpu_of(code) - alone:6.2f} s CPU beyond python")


if __name__ == "__main__":
    main()
