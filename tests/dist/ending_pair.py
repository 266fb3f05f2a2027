"""A process that trains in a group and ends; the last it does is to say which threads are left."""

import atexit
import gc
import importlib
import json
import sys
from pathlib import Path

import torch
from torch.nn.parallel import DistributedDataParallel

from loopwright import dist


def say_threads():
    names = [(thread / "comm").read_text().strip() for thread in Path("/proc/self/task").iterdir()]
    print(json.dumps([name for name in names if "gloo" in name]))


def main(leaves):
    dist.init_dist("pytorch")
    importlib.import_module("torch.distributed.nn.functional")
    model = DistributedDataParallel(torch.nn.Linear(2, 1))
    cycle = [model]
    cycle.append(cycle)
    model(torch.ones(1, 2)).sum().backward()
    dist.all_reduce(torch.zeros(1))
    if leaves == "left":
        dist.barrier()
        dist.cleanup()


if __name__ == "__main__":
    gc.disable()  # the cycle stays until the end
    atexit.register(say_threads)  # the first registered is called last
    main(*sys.argv[1:])
