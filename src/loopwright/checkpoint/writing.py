"""Write one checkpoint into a draft: a folder of safetensors and JSON, or one plain torch file."""

from __future__ import annotations

import dataclasses
import uuid
from dataclasses import dataclass
from typing import Any

import torch

from loopwright.checkpoint.codec import MAX_JSON, to_json
from loopwright.checkpoint.errors import StateError
from loopwright.checkpoint.manifest import STATE, FileNote, Manifest, write_manifest
from loopwright.checkpoint.place import Draft
from loopwright.checkpoint.plain import to_plain
from loopwright.checkpoint.sealed import DATA, SealingFile
from loopwright.checkpoint.state import Packed
from loopwright.checkpoint.tensors import chunks_of

MAX_SEALED_META = 60_000
META_KEY = "$meta"
STATE_KEY = "$state"


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
    files: dict[str, FileNote] = {}
    for stem, group in work.packed.groups.items():
        name = draft.file_name(f"{stem}.safetensors")
        with draft.open(name) as file:
            for chunk in chunks_of(group, save_id=save_id):
                file.write(chunk)
        files[name] = file.note()
    tree = to_json({"save_id": save_id, "state": work.packed.tree})
    if len(tree) > MAX_JSON:
        raise StateError(f"{len(tree)} bytes of plain values; put long lists into tensors")
    name = draft.file_name(STATE)
    with draft.open(name) as file:
        file.write(tree)
    files[name] = file.note()
    manifest = work.manifest(save_id, files)
    draft.commit(write_manifest(manifest))
    return manifest


def write_single(draft: Draft, work: Work) -> Manifest:
    """One file of torch.save with the manifest in the zip's comment."""
    save_id = uuid.uuid4().hex
    value = to_plain(work.packed)
    small = work
    if len(to_json(work.meta)) > MAX_SEALED_META:
        # Too long for a zip comment: it travels inside the file.
        small = dataclasses.replace(work, meta=None)
        rest = value if type(value) is dict else {STATE_KEY: value}
        value = {**rest, META_KEY: {"$": "json", "v": work.meta}}
    with draft.open(work.name) as file:
        sealing = SealingFile(file)
        _torch_save(value, sealing, file)
        sealing.seal(lambda note: write_manifest(small.manifest(save_id, {DATA: note})))
        file.note()
    draft.commit(None)
    return work.manifest(save_id, {DATA: FileNote(file.size, "0" * 64)})


def _torch_save(value: Any, sealing: SealingFile, file: Any) -> None:
    """torch.save, with the disk's own error where it has one."""
    try:
        torch.save(value, sealing)  # type: ignore[arg-type]
    except Exception:
        file.note()
        raise
