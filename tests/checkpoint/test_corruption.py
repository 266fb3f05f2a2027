"""Damage to any file of a checkpoint is found and the previous whole one is taken."""

from __future__ import annotations

import logging
import os
import random
import shutil

import numpy as np
import pytest
import torch

from loopwright.checkpoint import Broken, CheckpointError, Store, load_any

FLIPS, CUTS = 500, 200


def state(value: float) -> dict:
    return {
        "state_dict": {"w": torch.full((60, 20), value), "b": torch.full((3,), value).bfloat16()},
        "optimizer": {"step": 7, "exp_avg": torch.full((60, 20), value)},
        "history": (np.arange(5.0), "text", float("nan"), value),
    }


def prepare(folder, suffix):
    with Store(folder) as store:
        store.save(f"iter_1{suffix}", state(1.0), step=1, meta={"epoch": 1})
        store.save(f"iter_2{suffix}", state(2.0), step=2, meta={"epoch": 2})


def files_of(folder, name):
    path = folder / name
    return sorted(path.iterdir()) if path.is_dir() else [path]


def pick(random_, files):
    """A file, larger ones more often, but every one in turn."""
    weights = [1 + file.stat().st_size for file in files]
    return random_.choice(files) if random_.random() < 0.5 else random_.choices(files, weights)[0]


@pytest.mark.parametrize("suffix", ["", ".pth"], ids=["folder", "single file"])
@pytest.mark.parametrize("damage", ["flip", "cut"])
def test_any_flipped_bit_or_cut_is_found_and_the_older_one_is_taken(
    suffix, damage, swift_path, caplog
):
    caplog.set_level(logging.CRITICAL, "loopwright")
    random_ = random.Random(f"{suffix}{damage}")
    prepare(swift_path / "whole", suffix)
    touched = set()
    for trial in range(FLIPS if damage == "flip" else CUTS):
        folder = swift_path / "trial"
        shutil.copytree(swift_path / "whole", folder)
        victim = pick(random_, files_of(folder, f"iter_2{suffix}"))
        raw = bytearray(victim.read_bytes())
        if damage == "flip":
            raw[random_.randrange(len(raw))] ^= 1 << random_.randrange(8)
        else:
            del raw[random_.randrange(len(raw)) :]
        victim.write_bytes(raw)
        touched.add(victim.name)
        with pytest.raises((Broken, CheckpointError)):
            load_any(folder / f"iter_2{suffix}")
        loaded = Store(folder).load()
        assert loaded.meta == {"epoch": 1}, f"trial {trial}: {victim.name}"
        assert float(loaded.state["state_dict"]["w"][0, 0]) == 1.0
        if not suffix:
            assert (folder / "bad_iter_2").is_dir(), "the damaged one is set aside, not deleted"
        shutil.rmtree(folder)
    assert len(touched) == (1 if suffix else 5)


def test_a_missing_file_is_named_and_the_checkpoint_set_aside(tmp_path, caplog):
    prepare(tmp_path, "")
    os.unlink(tmp_path / "iter_2" / "optimizer.safetensors")
    assert Store(tmp_path).newest().name == "iter_1"
    assert "optimizer.safetensors cannot be read" in caplog.text
    assert (tmp_path / "bad_iter_2").is_dir()


def test_a_lost_manifest_is_found(tmp_path):
    prepare(tmp_path, "")
    os.unlink(tmp_path / "iter_2" / "MANIFEST.json")
    assert Store(tmp_path).load().meta == {"epoch": 1}
    assert (tmp_path / "bad_iter_2").is_dir()


def test_files_of_two_saves_do_not_mix(tmp_path):
    prepare(tmp_path, "")
    for name in ("state_dict.safetensors", "optimizer.safetensors"):
        shutil.copy(tmp_path / "iter_1" / name, tmp_path / "iter_2" / name)
    assert Store(tmp_path).load().meta == {"epoch": 1}


def test_every_bad_one_is_skipped_until_a_whole_one_is_found(tmp_path):
    with Store(tmp_path) as store:
        for step in range(1, 6):
            store.save(f"iter_{step}", state(float(step)), step=step)
    for step in (3, 4, 5):
        (tmp_path / f"iter_{step}" / "state.json").write_bytes(b"{}")
    assert Store(tmp_path).load().path.name == "iter_2"
    names = sorted(os.listdir(tmp_path))
    assert names == [
        "bad_iter_3",
        "bad_iter_4",
        "bad_iter_5",
        "iter_1",
        "iter_2",
        "last_checkpoint",
    ]


def test_a_named_checkpoint_that_is_damaged_is_an_error_and_stays_where_it_is(tmp_path):
    prepare(tmp_path, "")
    file = tmp_path / "iter_2" / "state.json"
    file.write_bytes(file.read_bytes().replace(b"text", b"tixt"))
    with pytest.raises(Broken, match=r"state\.json has changed since it was written"):
        Store(tmp_path).load("iter_2")
    assert (tmp_path / "iter_2").is_dir()


def test_a_second_bad_one_of_the_same_name_gets_a_number(tmp_path):
    for _ in range(2):
        prepare(tmp_path, "")
        (tmp_path / "iter_2" / "state.json").write_bytes(b"")
        Store(tmp_path).load()
    assert {"bad_iter_2", "bad_iter_2.2"} <= set(os.listdir(tmp_path))


def test_a_foreign_file_beside_the_checkpoints_is_left_alone(tmp_path):
    prepare(tmp_path, "")
    torch.save({"w": torch.ones(1)}, tmp_path / "pretrained.pth")
    (tmp_path / "notes.pth").write_text("not a checkpoint at all")
    assert Store(tmp_path).names() == ["iter_1", "iter_2"]
    Store(tmp_path).load()
    assert {"pretrained.pth", "notes.pth"} <= set(os.listdir(tmp_path))


def test_where_nothing_can_be_renamed_the_older_one_is_still_taken(tmp_path, caplog):
    prepare(tmp_path, "")
    (tmp_path / "iter_2" / "state.json").write_bytes(b"")
    store = Store(tmp_path)

    def refuse(path):
        raise PermissionError(13, "read-only file system")

    store.place.set_aside = refuse
    assert store.load().meta == {"epoch": 1}
    assert "could not be renamed" in caplog.text
