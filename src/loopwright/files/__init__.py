"""Files that survive: atomic writes, sync discipline, confinement, one writer a folder."""

from loopwright.files.atomic import atomic_write
from loopwright.files.disk import Disk, remove_tree, write_all, write_file
from loopwright.files.lock import EXIT_LOCKED, Locked, RunLock
from loopwright.files.owners import not_ours_alone, private_folder
from loopwright.files.reading import OutsideRoot, confine, open_regular, read_bytes
from loopwright.files.space import check_space, in_words, probe

__all__ = [
    "EXIT_LOCKED",
    "Disk",
    "Locked",
    "OutsideRoot",
    "RunLock",
    "atomic_write",
    "check_space",
    "confine",
    "in_words",
    "not_ours_alone",
    "open_regular",
    "private_folder",
    "probe",
    "read_bytes",
    "remove_tree",
    "write_all",
    "write_file",
]
