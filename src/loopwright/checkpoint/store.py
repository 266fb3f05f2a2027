"""A folder of checkpoints: saved whole or not at all, verified when read, never unpickled."""

from __future__ import annotations

import functools
import logging
import os
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from types import TracebackType
from typing import Any, NamedTuple, Self

from loopwright.checkpoint.background import OneInFlight
from loopwright.checkpoint.codec import decode_all, encode, no_leaf, no_tree_leaf
from loopwright.checkpoint.errors import Broken, CheckpointError, SaveError
from loopwright.checkpoint.manifest import Manifest
from loopwright.checkpoint.place import Draft, Place, Where, place_of
from loopwright.checkpoint.readback import moved, read_checkpoint, verify
from loopwright.checkpoint.retention import retain
from loopwright.checkpoint.sealed import SUFFIXES
from loopwright.checkpoint.state import Groups, pack, snapshot
from loopwright.checkpoint.writing import Work, write_folder, write_single
from loopwright.core.nearest import did_you_mean
from loopwright.files import Disk

NAME = re.compile(r"(?!bad_)[^./\\\x00-\x1f][^/\\\x00-\x1f]{0,149}")
Writer = Callable[[Draft, Work], Manifest]
logger = logging.getLogger("loopwright")


@dataclass(frozen=True, slots=True)
class Entry:
    """One checkpoint of a store, as its manifest tells; nothing of it has been verified yet."""

    name: str
    path: Where
    manifest: Manifest

    @property
    def step(self) -> int:
        """Iterations done when it was made."""
        return self.manifest.step

    @property
    def sequence(self) -> int:
        """Which save of the store it was."""
        return self.manifest.sequence

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return self.manifest.size

    @property
    def meta(self) -> Any:
        """What `Store.save` was given as ``meta``."""
        return decode_all(self.manifest.meta, no_tree_leaf)

    @property
    def good(self) -> bool:
        """False where the saver said ``meta={"good": False}`` (non-finite weights)."""
        meta = self.manifest.meta
        return not isinstance(meta, dict) or meta.get("good") is not False


class Loaded(NamedTuple):
    """A checkpoint read and verified."""

    state: Any
    meta: Any
    path: Where
    entry: Entry


class Store:
    """The checkpoints of one run, in a local folder or at an fsspec address (``memory://ckpt``).

    ``async_save=True`` copies the state and writes it on another thread: at most one save is in
    flight, an error of it is raised by the next call (or by `poll`, which never waits). The memory
    of the copy (one state) is kept for the next save until `close`.

    >>> import tempfile, torch
    >>> store = Store(tempfile.mkdtemp())
    >>> path = store.save("epoch_1", {"model": {"w": torch.ones(2)}, "lr": 0.1}, step=100)
    >>> store.load().state["model"]["w"], store.newest().step
    (tensor([1., 1.]), 100)
    """

    def __init__(
        self, folder: str | os.PathLike[str], *, async_save: bool = False, disk: Disk | None = None
    ) -> None:
        self.place: Place = place_of(folder, disk=disk or Disk())
        self.async_save = async_save
        self._work = OneInFlight()
        self._verified: set[str] = set()
        self._sequence: int | None = None
        self._swept = False
        self._spare: Groups = {}

    # -- saving ---------------------------------------------------------------------------------

    def save(
        self,
        name: str,
        state: Any,
        *,
        step: int,
        meta: Any = None,
        then: Callable[[], object] | None = None,
    ) -> Where:
        """Write ``state`` under ``name``; where it lies (or will, when saving asynchronously).

        A name ending in ``.pth`` gives one plain torch file. ``then`` is called once the
        checkpoint is committed and verified: the place to `prune`. `SaveError` when the disk
        refuses (what was there before is untouched), `StateError` for what is not data.
        """
        if not NAME.fullmatch(name):
            raise CheckpointError(f"{name!r} is no name for a checkpoint: one plain file name")
        self._work.wait()
        packed = pack(state)
        note = encode(meta, no_leaf, path="meta")
        write = write_single if name.endswith(SUFFIXES) else write_folder
        if self.async_save:
            packed = snapshot(packed, self._spare)
            self._spare = packed.groups
        work = Work(name=name, step=step, sequence=self._next(), meta=note, packed=packed)
        job = functools.partial(self._commit, work, write, then)
        if self.async_save:
            self._work.start(job)
        else:
            job()
        return self.place.path(name)

    def _commit(self, work: Work, write: Writer, then: Callable[[], object] | None) -> None:
        """Draft, write, commit, look at what is there, note it as the last one."""
        try:
            if not self._swept:
                self.sweep()
            draft = self.place.draft(work.name, work.need)
            try:
                manifest = write(draft, work)
            except BaseException:
                draft.abandon()
                raise
            self._look_back(work.name, manifest)
        except OSError as error:
            text = f"checkpoint {work.name} was not saved: {error}; earlier ones are untouched"
            raise SaveError(error.errno, text) from error
        try:
            self.place.hint(work.name)
        except OSError as error:
            logger.warning("the last_checkpoint hint was not written: %s", error)
        if then is not None:
            then()

    def _look_back(self, name: str, manifest: Manifest) -> None:
        """Read the manifest again; every byte was hashed on its way out."""
        found = self.place.manifest(self.place.path(name))
        if found.save_id != manifest.save_id:
            raise OSError(f"{name} was replaced by another writer while it was saved")
        self._verified.add(manifest.save_id)

    def _next(self) -> int:
        """The number of the next save: one more than any here, whatever the clock says."""
        if self._sequence is None:
            self._sequence = max((entry.sequence for entry in self.entries()), default=0)
        self._sequence += 1
        return self._sequence

    # -- looking --------------------------------------------------------------------------------

    def entries(self) -> list[Entry]:
        """Committed checkpoints from their manifests, oldest first (by step, then by save)."""
        found = [
            Entry(name, path, manifest)
            for name, path, manifest in self.place.scan()
            if isinstance(manifest, Manifest)
        ]
        return sorted(found, key=lambda entry: (entry.step, entry.sequence, entry.name))

    def names(self) -> list[str]:
        """Names of committed checkpoints, oldest first."""
        return [entry.name for entry in self.entries()]

    def newest(self) -> Entry | None:
        """The newest checkpoint that is whole, every byte read; damaged ones are set aside."""
        self._work.wait()
        for entry in self.candidates():
            if self._whole(entry):
                return entry
        return None

    def load(self, name: str | None = None, *, map_location: Any = "cpu") -> Loaded:
        """The newest whole checkpoint, or the one called ``name``, verified and unpacked.

        Without a name damaged ones are renamed ``bad_…``, logged, and the next older one is
        taken; `CheckpointError` when none is left. With a name, `Broken` says what is wrong.
        """
        self._work.wait()
        if name is not None:
            return self._load(self._named(name), map_location)
        for entry in self.candidates():
            try:
                return self._load(entry, map_location)
            except Broken as error:
                self.set_aside(entry.path, error)
        raise CheckpointError(f"no whole checkpoint in {self.place.path('')}")

    def candidates(self) -> list[Entry]:
        """What `load` tries, in order: good ones, newest first, then those that are not good.

        Those whose manifest is damaged are set aside on the way.
        """
        for _, path, manifest in list(self.place.scan()):
            if isinstance(manifest, Broken):
                self.set_aside(path, manifest)
        return sorted(self.entries(), key=lambda entry: (entry.good, *_order(entry)), reverse=True)

    def _named(self, name: str) -> Entry:
        for found, path, manifest in self.place.scan():
            if found == name:
                if isinstance(manifest, Broken):
                    raise manifest
                return Entry(name, path, manifest)
        hint = did_you_mean(name, self.names())
        raise CheckpointError(f"no checkpoint {name!r} in {self.place.path('')}{hint}")

    def _load(self, entry: Entry, map_location: Any) -> Loaded:
        state, meta = read_checkpoint(self.place, entry.path, entry.manifest)
        self._verified.add(entry.manifest.save_id)
        return Loaded(moved(state, map_location), meta, entry.path, entry)

    def _whole(self, entry: Entry) -> bool:
        """Read every byte once; set a damaged one aside."""
        if entry.manifest.save_id in self._verified:
            return True
        try:
            verify(self.place, entry.path, entry.manifest)
        except Broken as error:
            self.set_aside(entry.path, error)
            return False
        self._verified.add(entry.manifest.save_id)
        return True

    def set_aside(self, path: Where, error: Broken) -> None:
        """Rename a damaged checkpoint to ``bad_…``, so that nobody takes it again, and say so."""
        logger.error("a damaged checkpoint is set aside: %s", error)
        try:
            target = self.place.set_aside(path)
        except OSError as problem:
            logger.warning("%s could not be renamed: %s", path, problem)
        else:
            logger.warning("renamed to %s", target)

    # -- deleting -------------------------------------------------------------------------------

    def delete(self, name: str) -> None:
        """Delete a checkpoint that a newer, good and verified one has superseded.

        `CheckpointError` when no such successor exists: the last whole one is never deleted.
        """
        entry = self._named(name)
        if not any(
            self._whole(other)
            for other in self.entries()[::-1]
            if other.good and _order(other) > _order(entry)
        ):
            raise CheckpointError(f"{name} has no whole successor; it is not deleted")
        try:
            self.place.remove(entry.path)
        except OSError as error:
            raise CheckpointError(f"{name} was not deleted: {error}") from error

    def prune(self, max_keep: int, protect: Collection[str] = ()) -> list[str]:
        """Delete all but the newest ``max_keep`` (see `retain`); the names deleted.

        One that cannot be deleted is logged and left: a full disk must not stop a run here.
        """
        deleted = []
        for name in retain(self.entries(), max_keep, protect):
            try:
                self.delete(name)
            except CheckpointError as error:
                logger.warning("%s", error)
            else:
                deleted.append(name)
        return deleted

    def sweep(self) -> list[str]:
        """Remove what killed saves left behind; done by itself before the first save.

        Only the run that writes here may call it.
        """
        self._swept = True
        return self.place.sweep()

    # -- asynchronous ---------------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        """Whether a save is in flight."""
        return self._work.busy

    def poll(self) -> None:
        """Raise the error of a save in the background, once, without waiting."""
        self._work.poll()

    def wait(self) -> None:
        """Wait for the save in flight; raise its error, once."""
        self._work.wait()

    def close(self) -> None:
        """`wait`, and give the copies' memory back; the store may be used again."""
        self._work.wait()
        self._spare = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _order(entry: Entry) -> tuple[int, int]:
    return entry.step, entry.sequence
