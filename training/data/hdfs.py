"""HDFS as petastorm reads it. Takes longer to import than all else here: imported where files lie on HDFS alone."""

from __future__ import annotations

from typing import Any

from core.native_hdfs import when_started

# isort: split
from hdfs_native.fsspec import HdfsFileSystem  # after core.native_hdfs, which sets what the library reads when it is imported


class PatientHdfs(HdfsFileSystem):
    """The library's file system, whose ``open`` waits for a NameNode that is starting."""

    def _open(self, path: str, *given: Any, **named: Any) -> Any:
        return when_started(lambda: super(PatientHdfs, self)._open(path, *given, **named))
