"""A run killed anywhere, again and again, ends as the run that was never killed, to the bit."""

import itertools
import shutil

import pytest
from lives import Killed, Plan, ended, hammer, live, shared_memory
from toy import spec

from loopwright.checkpoint import Store

KEPT = 3  # max_keep_ckpts=2 and the best one
CASES = list(itertools.product(("epoch", "iter"), (0, 2), (False, True)))


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """Digests of the uninterrupted run of each kind."""
    found = {}
    for kind in ("epoch", "iter"):
        folder = tmp_path_factory.mktemp(kind)
        live(spec(folder, kind=kind), Plan())
        found[kind] = ended(folder)
    return found


def hammered(straight, folder, figure, *, wanted, kills, seed):
    """Kill run after run, case by case, ``kills`` times each, until ``wanted`` deaths are reached.

    Gives the figures and the runs that ended otherwise than the uninterrupted one.
    """
    total, changed, runs = Killed(), [], 0
    before = shared_memory()
    for number, (kind, workers, async_save) in enumerate(itertools.cycle(CASES)):
        if total.kills >= wanted and number >= len(CASES):
            break
        home = folder / f"run_{number}"
        config = spec(home, kind=kind, workers=workers, async_save=async_save)
        told = hammer(config, kills=kills, seed=seed + number)
        found, runs = ended(home), runs + 1
        total.kills += told.kills
        total.in_saves += told.in_saves
        wrong = [part for part in found if found[part] != straight[kind][part]]
        if len(Store(home).names()) > KEPT:
            wrong.append("checkpoints left behind")
        if wrong or list(home.glob("bad_*")):
            changed.append((kind, workers, async_save, seed + number, wrong))
        else:
            shutil.rmtree(home)
    left = shared_memory() - before
    assert not left, f"left in shared memory: {left}"
    share = 100 * total.in_saves / total.kills
    figure(
        f"{total.kills} kills ({share:.0f} % inside a save) in {runs} runs: "
        f"{len(changed)} changed, 0 lost"
    )
    return total, changed


def test_forty_kills_change_no_bit(straight, tmp_path, figure):
    total, changed = hammered(straight, tmp_path, figure, wanted=40, kills=5, seed=100)
    assert changed == []
    assert total.kills >= 40


@pytest.mark.slow
def test_two_hundred_kills_change_no_bit(straight, tmp_path, figure):
    total, changed = hammered(straight, tmp_path, figure, wanted=200, kills=9, seed=1000)
    assert changed == []
    assert total.kills >= 200
    assert total.in_saves >= 0.15 * total.kills


@pytest.mark.parametrize(
    ("kind", "workers", "persistent"),
    [("epoch", 1, True), ("iter", 2, False), ("epoch", 4, True), ("iter", 4, True)],
)
def test_the_number_of_workers_changes_no_bit(straight, tmp_path, kind, workers, persistent):
    assert live(spec(tmp_path, kind=kind, workers=workers, persistent=persistent), Plan()) == 0
    assert ended(tmp_path) == straight[kind]
