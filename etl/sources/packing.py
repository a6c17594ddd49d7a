"""Compressed files: gzip (RFC 1952), Zstandard (RFC 8878) and zip, unpacked to a temporary file within bounds."""

from __future__ import annotations

import gzip
import io
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from enum import StrEnum
from pathlib import PurePosixPath
from typing import BinaryIO

import pyarrow as pa

from core.errors import SourceError

MAX_UNPACKED = 4 << 30
_MAX_RATIO = 1_000  # above what deflate reaches on any text; Zstandard packs a gigabyte of zeros into 30 KiB
_SMALL = 64 << 20
_IN_MEMORY = 8 << 20
_BLOCK = 1 << 20
_MAX_MEMBERS = 10_000


class Packing(StrEnum):
    """How a file is compressed."""

    GZIP = "gzip"
    ZSTD = "zstd"
    ZIP = "zip"


_SUFFIXES = {".gz": Packing.GZIP, ".zst": Packing.ZSTD, ".zstd": Packing.ZSTD, ".zip": Packing.ZIP}
_MAGIC = {Packing.GZIP: b"\x1f\x8b", Packing.ZSTD: b"\x28\xb5\x2f\xfd", Packing.ZIP: b"PK"}


class TornFile(SourceError):
    """A compressed file that ends before its content does."""


def packing_of(path: str) -> Packing | None:
    """What the suffix of a file's name says; None for a file that is as it is."""
    return _SUFFIXES.get(PurePosixPath(path).suffix.lower())


def unpacked_name(path: str) -> str:
    """The name without the suffix of the compression."""
    return path[: -len(PurePosixPath(path).suffix)]


def members(file: BinaryIO, where: str) -> list[tuple[str, int]]:
    """The files in a zip archive and how many compressed bytes each has, in order."""
    with _failures(where, Packing.ZIP), zipfile.ZipFile(file) as archive:
        found = [(one.filename, one.compress_size) for one in archive.infolist() if not one.is_dir()]
    names = [name for name, _ in found]
    if len(found) > _MAX_MEMBERS:
        raise SourceError(f"{where}: holds {len(found)} files, more than {_MAX_MEMBERS}: split it")
    if len(set(names)) < len(names):
        raise SourceError(f"{where}: holds two files of one name: give each a name of its own")
    if nested := next((name for name in names if packing_of(name) is not None), None):
        raise SourceError(f"{where}: holds {nested!r}, which is compressed once more: take it out of the archive")
    return found


@contextmanager
def unpack(file: BinaryIO, path: str, where: str, part: str | None = None) -> Iterator[tuple[BinaryIO, int]]:
    """The content of a compressed file, or of one member of an archive, and its size; gone when the block ends.

    Raises TornFile for a file that ends too early, SourceError for one that is damaged, is not what its name says, or becomes
    larger than 4 GiB or, above 64 MiB, than a thousand times its size.
    """
    packing = packing_of(path)
    if packing is None:
        raise SourceError(f"{where}: is not compressed")
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    if size and not file.read(4).startswith(_MAGIC[packing]):
        raise SourceError(f"{where}: is no {packing} file, though its name says so: rename it")
    file.seek(0)
    most = min(MAX_UNPACKED, max(_SMALL, _MAX_RATIO * size))
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as kept:
        with _failures(where, packing), closing(_stream(file, packing, where, part)) as stream:
            while block := stream.read(_BLOCK):
                kept.write(block)
                if kept.tell() > most:
                    raise SourceError(f"{where}: holds more than {most} bytes: unpack it and split it, if it may be trusted")
        found = kept.tell()
        kept.seek(0)
        yield kept, found  # type: ignore[misc]  # typeshed: a spooled file is no BinaryIO


def _stream(file: BinaryIO, packing: Packing, where: str, part: str | None) -> BinaryIO:
    if packing is Packing.GZIP:
        return gzip.GzipFile(fileobj=file)  # type: ignore[return-value]  # typeshed: it is no BinaryIO
    if packing is Packing.ZSTD:
        return pa.CompressedInputStream(pa.PythonFile(file, mode="r"), "zstd")  # type: ignore[no-any-return]
    names = [name for name, _ in members(file, where)]
    if part is None and len(names) != 1:
        raise SourceError(f"{where}: holds {len(names)} files: a log that is archived stands alone")
    return zipfile.ZipFile(file).open(part or names[0])  # type: ignore[return-value]


@contextmanager
def _failures(where: str, packing: Packing) -> Iterator[None]:
    try:
        yield
    except EOFError as error:
        raise TornFile(f"{where}: ends before its content does: put the whole file there") from error
    except (gzip.BadGzipFile, zipfile.BadZipFile, zlib.error, RuntimeError, KeyError) as error:
        raise SourceError(f"{where}: is no sound {packing} file: {error}: put a whole one there") from error
    except OSError as error:
        if "runcated" in str(error):
            raise TornFile(f"{where}: ends before its content does: put the whole file there") from error
        if error.errno is not None:
            raise
        raise SourceError(f"{where}: is no sound {packing} file: {error}: put a whole one there") from error
