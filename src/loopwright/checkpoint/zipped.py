"""The zip container of torch files, read by its central directory and believed in nothing.

Stored records only, no name twice, no two records over the same bytes: what can be read is
never more than the file.
"""

from __future__ import annotations

import os
import struct
import zlib
from dataclasses import dataclass
from typing import BinaryIO

from loopwright.checkpoint.errors import Broken, Refused

END = struct.Struct("<4s4H2IH")
END64_PLACE = struct.Struct("<4sIQI")
END64 = struct.Struct("<4sQ2H2I4Q")
ENTRY = struct.Struct("<4s6H3I5H2I")
LOCAL = struct.Struct("<4s5H3I2H")
MAX_ENTRIES = 200_000
MAX_DIRECTORY = 64 << 20
READ = 4 << 20


@dataclass(frozen=True, slots=True)
class Record:
    """One stored record: name, size in bytes, checksum, place of its local header."""

    name: str
    size: int
    crc: int
    header: int


class ZipFile:
    """The records of a zip file of stored records; `Broken` or `Refused` for any other.

    >>> import io
    >>> ZipFile(io.BytesIO(b"no zip at all"))
    Traceback (most recent call last):
    ...
    loopwright.checkpoint.errors.Broken: no end of a zip file: cut short?
    """

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.size = file.seek(0, os.SEEK_END)
        start, length, count = _directory_place(file, self.size)
        if count > MAX_ENTRIES or length > MAX_DIRECTORY:
            raise Refused(f"a zip file of {count} records")
        file.seek(start)
        self.records = _entries(file.read(length), count)
        self.places = self._check_places(start)

    def _check_places(self, end: int) -> dict[str, int]:
        """Where each record's bytes begin; records may not overlap or leave the file."""
        places: dict[str, int] = {}
        free = 0
        for record in sorted(self.records.values(), key=lambda record: record.header):
            if record.header < free:
                raise Refused(f"the zip records at {record.header} lie over each other")
            self.file.seek(record.header)
            head = self.file.read(LOCAL.size)
            if len(head) != LOCAL.size or head[:4] != b"PK\x03\x04":
                raise Broken(f"no record at {record.header} for {record.name[:80]!r}")
            fields = LOCAL.unpack(head)
            places[record.name] = record.header + LOCAL.size + fields[-2] + fields[-1]
            free = places[record.name] + record.size
            if free > end:
                raise Broken(f"{record.name[:80]!r} reaches beyond its file")
        return places

    def read(self, name: str, *, limit: int) -> bytes:
        """A small record, checksum checked."""
        record = self.records[name]
        if record.size > limit:
            raise Refused(f"{name[:80]!r} has {record.size} bytes, more than {limit}")
        data = bytearray(record.size)
        self.fill(name, memoryview(data))
        return bytes(data)

    def fill(self, name: str, view: memoryview) -> None:
        """Read a record into a buffer of its size; `Broken` unless the checksum is right."""
        record, done, crc = self.records[name], 0, 0
        self.file.seek(self.places[name])
        while done < record.size:
            part = self.file.read(min(READ, record.size - done))
            if not part:
                raise Broken(f"{name[:80]!r} is cut short")
            view[done : done + len(part)] = part
            crc = zlib.crc32(part, crc)
            done += len(part)
        if crc != record.crc:
            raise Broken(
                f"{name[:80]!r} is damaged: its checksum differs (or it was written with "
                "torch.serialization.set_crc32_options(False))"
            )


def _directory_place(file: BinaryIO, size: int) -> tuple[int, int, int]:
    """Start, length and entry count of the central directory."""
    tail_start = max(0, size - END.size - 65535)
    file.seek(tail_start)
    tail = file.read(END.size + 65535)
    place = tail.rfind(b"PK\x05\x06")
    while place >= 0:
        found = tail[place : place + END.size]
        if len(found) == END.size and place + END.size + END.unpack(found)[-1] == len(tail):
            break
        place = tail.rfind(b"PK\x05\x06", 0, place)
    if place < 0:
        raise Broken("no end of a zip file: cut short?")
    _, disk, _, _, count, length, start, _ = END.unpack(found)
    if 0xFFFF in (disk, count) or 0xFFFFFFFF in (length, start):
        start, length, count = _zip64_place(file, tail_start + place)
    if disk not in (0, 0xFFFF) or start + length > size:
        raise Broken("a zip directory outside its file")
    return start, length, count


def _zip64_place(file: BinaryIO, end: int) -> tuple[int, int, int]:
    """The same from the record of large files."""
    file.seek(max(0, end - END64_PLACE.size))
    raw = file.read(END64_PLACE.size)
    if len(raw) != END64_PLACE.size or raw[:4] != b"PK\x06\x07":
        raise Broken("a zip file that says it is large, without the record for it")
    file.seek(min(END64_PLACE.unpack(raw)[2], end))
    record = file.read(END64.size)
    if len(record) != END64.size or record[:4] != b"PK\x06\x06":
        raise Broken("the record of a large zip file is missing")
    fields = END64.unpack(record)
    return fields[9], fields[8], fields[7]


def _entries(raw: bytes, count: int) -> dict[str, Record]:
    """The central directory, entry by entry."""
    records: dict[str, Record] = {}
    place = 0
    for _ in range(count):
        head = raw[place : place + ENTRY.size]
        if len(head) != ENTRY.size or head[:4] != b"PK\x01\x02":
            raise Broken("a damaged zip directory")
        fields = ENTRY.unpack(head)
        name_end = place + ENTRY.size + fields[10]
        extra_end = name_end + fields[11]
        record = _entry(fields, raw[place + ENTRY.size : name_end], raw[name_end:extra_end])
        if record.name in records:
            raise Refused(f"the zip name {record.name[:80]!r} stands there twice")
        records[record.name] = record
        place = extra_end + fields[12]
    if place != len(raw):
        raise Broken("a zip directory of another length than it says")
    return records


def _entry(fields: tuple[int, ...], name: bytes, extra: bytes) -> Record:
    """One directory entry; large numbers come from the extra field."""
    flags, method = fields[3], fields[4]
    crc, packed, size, header = fields[7], fields[8], fields[9], fields[16]
    if flags & 1 or method != 0:
        raise Refused("a zip file with packed or encrypted records: not torch's")
    wide = _zip64_extra(extra)
    if size == 0xFFFFFFFF:
        size = next(wide, size)
    if packed == 0xFFFFFFFF:
        packed = next(wide, packed)
    if header == 0xFFFFFFFF:
        header = next(wide, header)
    if packed != size:
        raise Broken("a stored zip record with two sizes")
    try:
        return Record(name.decode("utf-8"), size, crc, header)
    except UnicodeDecodeError as error:
        raise Broken("a zip name that is no text") from error


def _zip64_extra(extra: bytes):  # type: ignore[no-untyped-def]
    """The 64-bit numbers of an entry, in order."""
    place = 0
    while place + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, place)
        if kind == 1:
            body = extra[place + 4 : place + 4 + length]
            yield from (n for (n,) in struct.iter_unpack("<Q", body[: len(body) // 8 * 8]))
        place += 4 + length
