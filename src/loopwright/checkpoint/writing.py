"""Write one checkpoint into a draft: a folder of safetensors and JSON, or one plain torch file."""

from __future__ import annotations

import bisect
import dataclasses
import uuid
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from loopwright.checkpoint.codec import MAX_JSON, to_json
from loopwright.checkpoint.errors import StateError
from loopwright.checkpoint.hashing import HashedFile, Steady
from loopwright.checkpoint.manifest import STATE, FileNote, Manifest, write_manifest
from loopwright.checkpoint.place import Draft
from loopwright.checkpoint.plain import to_plain
from loopwright.checkpoint.sealed import DATA, META_KEY, STATE_KEY, SealingFile
from loopwright.checkpoint.state import Packed
from loopwright.checkpoint.tensors import chunks_of

MAX_SEALED_META = 60_000


@dataclass(frozen=True, slots=True)
class Work:
    """A packed state and what its manifest will say."""

    name: str
    step: int
    sequence: int
    meta: Any
    packed: Packed

    @property
    def need(self) -> int:
        """Bytes it will take, nearly."""
        return self.packed.nbytes + len(to_json(self.packed.tree))

    def manifest(self, save_id: str, files: dict[str, FileNote]) -> Manifest:
        """The manifest once its files are known."""
        return Manifest(
            name=self.name,
            step=self.step,
            sequence=self.sequence,
            save_id=save_id,
            files=files,
            meta=self.meta,
            made_by={"torch": str(torch.__version__), "threads": str(torch.get_num_threads())},
        )


def write_folder(draft: Draft, work: Work) -> Manifest:
    """One safetensors file a group of tensors, ``state.json`` for the rest, the manifest last."""
    save_id = uuid.uuid4().hex
    tree = to_json({"save_id": save_id, "state": work.packed.tree})
    if len(tree) > MAX_JSON:
        raise StateError(f"{len(tree)} bytes of plain values; put long lists into tensors")
    written: dict[str, HashedFile] = {}
    with hash_thread() as pool:
        for stem, group in work.packed.groups.items():
            name = draft.file_name(f"{stem}.safetensors")
            with draft.open(name, pool=pool, steady=lambda view: True) as file:
                for chunk in chunks_of(group, save_id=save_id):
                    file.write(chunk)
            written[name] = file
        name = draft.file_name(STATE)
        with draft.open(name, pool=pool) as file:
            file.write(tree)
        written[name] = file
        manifest = work.manifest(save_id, {name: file.note() for name, file in written.items()})
    draft.commit(write_manifest(manifest))
    return manifest


def hash_thread() -> ThreadPoolExecutor:
    """One thread that hashes what another writes; started at the first large chunk."""
    return ThreadPoolExecutor(1, thread_name_prefix="checkpoint-hash")


def write_single(draft: Draft, work: Work) -> Manifest:
    """One file of torch.save with the manifest in the zip's comment."""
    save_id = uuid.uuid4().hex
    value, tensors = to_plain(work.packed)
    small = work
    if len(to_json(work.meta)) > MAX_SEALED_META:
        # Too long for a zip comment: it travels inside the file.
        small = dataclasses.replace(work, meta=None)
        rest = value if type(value) is dict else {STATE_KEY: value}
        value = {**rest, META_KEY: {"$": "json", "v": work.meta}}
    with hash_thread() as pool, draft.open(work.name, pool=pool, steady=inside(tensors)) as file:
        sealing = SealingFile(file)
        _torch_save(value, sealing, file)
        sealing.seal(lambda note: write_manifest(small.manifest(save_id, {DATA: note})))
    draft.commit(None)
    return work.manifest(save_id, {DATA: FileNote(file.size, "0" * 64)})


def _torch_save(value: Any, sealing: SealingFile, file: HashedFile) -> None:
    """torch.save, with the disk's own error where it has one."""
    try:
        torch.save(value, sealing)  # type: ignore[arg-type]
    except Exception:
        file.check()
        raise


def inside(tensors: Iterable[torch.Tensor]) -> Steady:
    """Answers whether bytes lie in the memory of these tensors (and so stay while they do)."""
    storages = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors}
    starts = sorted(storages)

    def lies_inside(view: memoryview) -> bool:
        address = np.frombuffer(view, np.uint8).__array_interface__["data"][0]
        place = bisect.bisect_right(starts, address) - 1
        return place >= 0 and address + len(view) <= starts[place] + storages[starts[place]]

    return lies_inside
