"""The library hdfs-native, kept from writing to standard error: it tells of failed tries, and raises what fails in the end."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

os.environ.setdefault("RUST_LOG", "hdfs_native=off")  # read when the library is imported

import hdfs_native

if TYPE_CHECKING:
    from hdfs_native.fsspec import HdfsFileSystem

__all__ = ["hdfs_native", "open_file_system"]


def open_file_system(authority: str, options: dict[str, str]) -> HdfsFileSystem:
    """The fsspec file system of ``HOST:PORT``, or of a name service; ``options`` are Hadoop's properties."""
    from hdfs_native.fsspec import HdfsFileSystem  # noqa: PLC0415 — takes longer to import than all else here

    host, _, port = authority.partition(":")
    return HdfsFileSystem(host, int(port) if port else None, **options)
