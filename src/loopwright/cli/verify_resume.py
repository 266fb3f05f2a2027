"""``loopwright verify-resume``: run a config straight and killed, and compare every bit."""

from __future__ import annotations

import importlib
import os
import random
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from loopwright.cli.run import options, read, reported, start

FINAL = "verify_end"
EXIT_DIFFERS = 1
_DEADLY = -signal.SIGALRM


@click.command("verify-resume")
@options
@click.option("--kills", default=5, show_default=True, help="Deaths of the second run.")
@click.option("--seed", default=0, show_default=True, help="Seed of the moments of death.")
@click.option("--iters", type=int, help="Stop both runs after so many iterations.")
@click.option("--save-every", type=int, help="Iterations between checkpoints; default: config's.")
def command(
    config: str,
    overrides: tuple[str, ...],
    kills: int,
    seed: int,
    iters: int | None,
    save_every: int | None,
    debug: bool,
    **reading: Any,
) -> None:
    """Prove that CONFIG resumes to the last bit.

    It is run uninterrupted, then again and killed at random instructions, each time resumed; then
    weights, optimizer, hooks and logged values are compared. Both runs lie in WORK_DIR/verify.
    Exit code 0: equal; 1: they differ, and the first difference is said.
    """
    with reported(debug):
        cfg = read(config, overrides, **reading)
        home = Path(cfg["work_dir"]) / "verify"
        home.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix="run_", dir=home))
        plan = {"cfg": cfg, "config": config, "iters": iters, "every": save_every}
        _lived(_fork(plan, folder / "straight", None), "the uninterrupted run")
        died = _killed(plan, folder / "killed", kills, seed)
        found = first_difference(folder / "straight", folder / "killed")
    click.echo(f"{died} kills, each resumed")
    if found is not None:
        click.echo(f"DIFFERENT: {found}\nboth runs are kept in {folder}")
        sys.exit(EXIT_DIFFERS)
    shutil.rmtree(folder)
    click.echo("equal: weights, optimizer, schedules, hooks, counters and metrics.jsonl")


def _killed(plan: dict[str, Any], folder: Path, kills: int, seed: int) -> int:
    """Live until killed ``kills`` times, then to the end; how often it died."""
    rng, died = random.Random(seed), 0
    while died < kills:
        code = _fork(plan, folder, (rng.randint(0, 6), 10 ** rng.uniform(-4, -1.3)))
        if code == 0:
            return died
        _lived(code, "a resumed run", also=_DEADLY)
        died += 1
        click.echo(f"kill {died}: newest checkpoint is {_newest(folder)}")
    _lived(_fork(plan, folder, None), "the last resumed run")
    return died


def _lived(code: int, what: str, also: int = 0) -> None:
    if code not in (0, also):
        raise click.ClickException(f"{what} ended with exit code {code}; see what it said above")


def _newest(folder: Path) -> str:
    newest = importlib.import_module("loopwright.checkpoint").Store(folder).newest()
    return "none" if newest is None else str(newest.name)


def _fork(plan: dict[str, Any], folder: Path, death: tuple[int, float] | None) -> int:
    """Train in a child that shares what is imported already; its exit code (negative: a signal)."""
    importlib.import_module("loopwright.runner")
    sys.stdout.flush()
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = 70
    try:
        with reported(debug=True):
            _live(plan, folder, death)
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 70
    finally:
        sys.stdout.flush()
        os._exit(code)


def _live(plan: dict[str, Any], folder: Path, death: tuple[int, float] | None) -> None:
    """One life of a run: resumed, perhaps to die, its end saved whole under one name."""
    cfg = plan["cfg"]
    cfg["work_dir"], cfg["resume"], cfg["load_from"] = str(folder), True, None
    cfg["log_level"] = "ERROR"
    if plan["every"] is not None:
        hooks = cfg.setdefault("default_hooks", {})
        saving = {"type": "CheckpointHook", "interval": plan["every"], "by_epoch": False}
        hooks["checkpoint"] = {**hooks.get("checkpoint", {}), **saving}
    runner = start(cfg, plan["config"])
    runner.register_hook(_death_hook(death, plan["iters"]), priority=0)
    runner.train()
    signal.setitimer(signal.ITIMER_REAL, 0)
    runner.save_checkpoint(FINAL, by_epoch=None)
    runner.close()


def _death_hook(death: tuple[int, float] | None, iters: int | None) -> Any:
    base: Any = importlib.import_module("loopwright.hooks").Hook

    class VerifyHook(base):
        """Ends the process some iterations after its start; ends training after so many."""

        left = -1 if death is None else death[0]

        def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
            if self.left == 0 and death is not None:
                signal.signal(signal.SIGALRM, signal.SIG_DFL)
                signal.setitimer(signal.ITIMER_REAL, death[1])
            self.left -= 1

        def after_train_iter(
            self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
        ) -> None:
            if iters is not None and runner.iter + 1 >= iters:
                runner.requests.stop(f"verified {iters} iterations")

    return VerifyHook()


# -- comparing -----------------------------------------------------------------------------


def first_difference(one: Path, other: Path) -> str | None:
    """The first place in which the ends of two runs differ; None where every bit is equal."""
    store = importlib.import_module("loopwright.checkpoint").Store
    states = [_cleaned(store(folder).load(FINAL).state) for folder in (one, other)]
    for difference in differences(states[0], states[1], "state"):
        return difference
    return first_line(one / "metrics.jsonl", other / "metrics.jsonl")


def _cleaned(state: dict[str, Any]) -> dict[str, Any]:
    """Without what names the run itself (its start time is in the hub) or tells the clock."""
    apart = ("message_hub", "writers", "meta")
    kept = {key: value for key, value in state.items() if key not in apart}
    is_timing = importlib.import_module("loopwright.log.record").is_timing
    told = kept["storage"]["histories"]
    histories = {name: told[name] for name in told if not is_timing(name)}
    return {**kept, "storage": {**kept["storage"], "histories": histories}}


def differences(one: Any, other: Any, where: str) -> Iterator[str]:
    """Each place where two states differ, in words.

    >>> list(differences({"a": [1, 2]}, {"a": [1, 3]}, "state"))
    ['state.a.1: 2 and 3']
    """
    if hasattr(one, "dtype") and hasattr(one, "shape") and hasattr(other, "shape"):
        yield from _tensors(one, other, where)
    elif isinstance(one, dict) and isinstance(other, dict):
        for key in [*one, *(k for k in other if k not in one)]:
            if key not in one or key not in other:
                yield f"{where}.{key} is only in the {'killed' if key in other else 'straight'} run"
            else:
                yield from differences(one[key], other[key], f"{where}.{key}")
    elif isinstance(one, list | tuple) and isinstance(other, list | tuple):
        if len(one) != len(other):
            yield f"{where}: {len(one)} and {len(other)} entries"
        for index, pair in enumerate(zip(one, other, strict=False)):
            yield from differences(*pair, f"{where}.{index}")
    elif one != other and not (one != one and other != other):
        yield f"{where}: {one!r} and {other!r}"


def _tensors(one: Any, other: Any, where: str) -> Iterator[str]:
    if one.dtype != other.dtype or one.shape != other.shape:
        yield f"{where}: {one.dtype} {tuple(one.shape)} and {other.dtype} {tuple(other.shape)}"
        return
    unequal = (one != other) & ~((one != one) & (other != other))
    count = int(unequal.sum())
    if count:
        first = int(unequal.reshape(-1).nonzero()[0])
        pair = (one.reshape(-1)[first].item(), other.reshape(-1)[first].item())
        yield f"{where}: {count} of {one.numel()} values, first at {first}: {pair[0]} and {pair[1]}"


def first_line(one: Path, other: Path) -> str | None:
    """The first line in which two logs differ, in words."""
    texts = [path.read_bytes().splitlines() for path in (one, other)]
    for number, (mine, theirs) in enumerate(zip(*texts, strict=False), 1):
        if mine != theirs:
            return f"{one.name} line {number}: {mine.decode()} and {theirs.decode()}"
    if len(texts[0]) != len(texts[1]):
        return f"{one.name}: {len(texts[0])} and {len(texts[1])} lines"
    return None
