"""What a file looks like, in words a person can act on; reads only its first bytes."""

from __future__ import annotations

import struct

LEGACY_MAGIC = b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"

SIGNS: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"\x89PNG", "a PNG picture"),
    (b"GIF8", "a GIF picture"),
    (b"%PDF", "a PDF document"),
    (b"\x1f\x8b", "a gzip archive: unpack it first"),
    (b"BZh", "a bzip2 archive: unpack it first"),
    (b"\xfd7zXZ", "an xz archive: unpack it first"),
    (b"7z\xbc\xaf", "a 7z archive: unpack it first"),
    (b"Rar!", "a rar archive: unpack it first"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive: unpack it first"),
    (b"\x89HDF", "an HDF5 file (Keras?): convert it to safetensors first"),
    (b"GGUF", "a GGUF file (llama.cpp)"),
    (b"\x93NUMPY", "a .npy array: load it with numpy and save it as safetensors"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a Windows program"),
    (b"#!", "a script"),
    (b"version https://git-lfs", "a Git LFS pointer: fetch the real file with `git lfs pull`"),
    (b"ONNX", "an ONNX model"),
    (b"ptl", "a torch mobile model"),
    (b"PK\x05\x06", "an empty zip archive"),
)
TEXTS: tuple[tuple[bytes, str], ...] = (
    (b"<!doctype html", "an HTML page: the download answered with an error page"),
    (b"<html", "an HTML page: the download answered with an error page"),
    (b"<?xml", "an XML document (an error answer of a storage service?)"),
    (b"{", "a JSON document"),
    (b"[", "a JSON document or a text"),
)


def kind_of(start: bytes, size: int) -> str:
    """``zip``, ``tar``, ``legacy``, ``pickle``, ``safetensors`` or `` `` for anything else.

    >>> kind_of(b"PK\\x03\\x04rest", 100), kind_of(b"\\x80\\x02}q", 100), kind_of(b"hello", 5)
    ('zip', 'pickle', '')
    """
    if start[:4] == b"PK\x03\x04":
        return "zip"
    if start[257:262] == b"ustar":
        return "tar"
    if start[:1] == b"\x80" and start[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return "legacy" if start[2:14] == LEGACY_MAGIC else "pickle"
    if len(start) > 9 and start[8:9] == b"{":
        length = struct.unpack("<Q", start[:8])[0]
        if length <= size - 8:
            return "safetensors"
    return ""


def looks_like(start: bytes, size: int) -> str:
    """A phrase for what is no checkpoint.

    >>> looks_like(b"", 0), looks_like(b"<!DOCTYPE html><html>", 21)[:12]
    ('an empty file', 'an HTML page')
    """
    if size == 0:
        return "an empty file"
    for sign, phrase in SIGNS:
        if start.startswith(sign):
            return phrase
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    for sign, phrase in TEXTS:
        if text.startswith(sign):
            return phrase
    if not any(start[:64].strip(b"\0")):
        return "a file of zeros: a download or a copy that never finished"
    if all(byte in b"\t\r\n" or 32 <= byte < 127 for byte in start[:256]):
        return f"a text beginning {start[:30].decode('ascii')!r}"
    return f"nothing known (first bytes {start[:8].hex(' ')})"
