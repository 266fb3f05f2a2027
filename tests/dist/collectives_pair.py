"""What two processes say to each other; every answer is printed as one JSON line."""

import json
import warnings

import torch

from loopwright import dist
from loopwright.core import Requests
from loopwright.dist.signals import agree


def reduced(op, values):
    tensor = torch.tensor(values)
    dist.all_reduce(tensor, op)
    return tensor.tolist()


def agreed(rank, by_rank, *names):
    """What both ranks grant when one of them heard or was asked for something."""
    heard, granted = Requests(), Requests()
    if rank == by_rank:
        for where, wish, reason in names:
            getattr(heard if where == "heard" else granted, wish)(reason)
    agree(heard, granted)
    return [granted.saving, granted.halting, granted.stopping]


def main():
    warnings.simplefilter("ignore")
    dist.init_dist("pytorch", backend="nccl")  # there is no GPU: gloo, with a warning
    rank = dist.get_rank()
    found = {
        "info": dist.get_dist_info(),
        "main": dist.is_main_process(),
        "said": dist.get_backend(),
    }
    found["local"] = [dist.get_local_rank(), dist.get_local_size()]

    found["interrupted"] = agreed(rank, 1, ("heard", "save", "SIGINT"), ("heard", "halt", "SIGINT"))
    found["terminated"] = agreed(rank, 0, ("heard", "halt", "SIGTERM"))
    found["saves"] = agreed(rank, 1, ("heard", "save", "SIGUSR1"))
    found["stops"] = agreed(rank, 0, ("granted", "stop", "no better for 5 epochs"))
    found["nothing"] = agreed(rank, 0)
    found["reduced"] = {op: reduced(op, [1.0 + rank, 4.0]) for op in ("sum", "mean", "max", "min")}
    found["whole"] = reduced("sum", [rank + 1])
    strided = torch.arange(6.0).reshape(2, 3).t()
    dist.all_reduce(strided, "sum")
    found["strided"] = strided.tolist()
    found["gathered"] = [t.tolist() for t in dist.all_gather(torch.tensor([rank]))]
    found["on_one"] = [t.tolist() for t in dist.gather(torch.tensor([rank]), dst=1)]
    sent = torch.tensor([10 + rank])
    dist.broadcast(sent, src=1)
    found["broadcast"] = sent.tolist()

    many = {"a": torch.tensor([1.0 + rank]), "b": torch.tensor([[2.0, 4.0 * rank]])}
    dist.all_reduce_dict(many, "mean")
    found["dict"] = {key: value.tolist() for key, value in many.items()}
    params = [torch.full((3,), float(rank)) for _ in range(4)]
    dist.all_reduce_params(params, op="sum", bucket_size_mb=1)
    found["params"] = [p.tolist() for p in params]

    objects = dist.all_gather_object(
        {"rank": rank, "boxes": torch.zeros(rank, 4), "name": ("a", None)}
    )
    found["objects"] = [[o["rank"], list(o["boxes"].shape), list(o["name"])] for o in objects]
    found["from_one"] = dist.broadcast_object({"best": 0.5} if rank == 1 else object(), src=1)
    found["on_main"] = dist.gather_object(rank, dst=0)
    listed = [rank, "x" * rank]
    dist.broadcast_object_list(listed, src=1)
    found["listed"] = listed
    # Five samples dealt to two processes, the first repeated to make the shares even.
    shares = {0: ["s0", "s2", "s4"], 1: ["s1", "s3", "s0"]}
    found["results"] = dist.collect_results(shares[rank], size=5)

    found["seed"] = dist.sync_random_seed()
    found["any"] = [dist.any_rank(rank == 1), dist.any_rank(False)]
    try:
        dist.all_gather_object(object() if rank == 1 else 3)
    except (TypeError, RuntimeError) as error:
        found["refused"] = str(error)
    found["master"] = dist.master_only(lambda: "written")()
    dist.init_local_group(num_gpus_per_node=1)
    found["machine"] = dist.get_world_size(dist.get_local_group())
    dist.barrier()
    dist.cleanup()
    found["after"] = dist.is_distributed()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
