"""What Spark raises, as one line of ours: the cause that a user can act on stands at the far end of a chain of exceptions."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from py4j.protocol import Py4JError  # type: ignore[import-untyped]
from pyspark.errors import PySparkException

import core.errors
from core.contracts import TableName
from core.errors import CorruptFile, DiskFull, MaasError, SourceDown, SourceError, StorageDown, StorageError, TableError

_OURS = re.compile(r"^(?:.*\b)?core\.errors\.(\w+): (.*)$", re.MULTILINE)
_CAUSE = re.compile(r"^(?:Caused by: |: )?((?:[a-z]\w*\.)+[A-Z]\w*(?:Exception|Error)): ?(.*)$", re.MULTILINE)
_NO_SPACE = ("No space left on device", "Disk quota exceeded", "File too large")
_CORRUPT = ("ChecksumException", "is not a Parquet file", "CANNOT_READ_FILE_FOOTER", "could not read footer", "FAILED_READ_FILE")
_LOST = ("FILE_NOT_EXIST", "DELTA_FILE_NOT_FOUND")
_DATA_FILE = re.compile(r"(?:hdfs://[^/\s]+|file:(?://)?)?(/[^\n'\"]*?\.parquet)\b")
_OUTSIDE = re.compile(
    r"\b(?:java\.sql\.SQL|com\.mysql\.cj\.|org\.postgresql\.|org\.sqlite\.|org\.apache\.kafka\.|Cannot fetch offset)"
)
_DOWN = re.compile(
    "Communications link failure|unexpectedly lost|Connection (?:refused|reset|is closed)|[Ss]hutdown in progress|"
    "TimeoutException|Timeout expired|"
    r"Connection to \S+ refused|I/O error occurred while sending to the backend|connection attempt failed|"
    "connection has been closed|terminating connection due to|the database system is (?:starting|shutting|in recovery|not yet)"
)
_CONFLICT = re.compile(r"DELTA_CONCURRENT_|DELTA_PROTOCOL_CHANGED|DELTA_METADATA_CHANGED|\bio\.delta\.exceptions\.Concurrent")
_NO_NAMENODE = ("failed on connection exception", "SafeModeException", "Name node is in safe mode", "NoRouteToHostException")
_CALLED = re.compile(r"\bto (\S+:\d+) failed on connection exception")
_NO_DATANODE = ("There are 0 datanode(s) running", "BlockMissingException", "Could not obtain block", "All datanodes")
_QUOTA = ("DSQuotaExceededException", "NSQuotaExceededException", "could only be written to")
_SHOWN = 300


class WriteConflict(TableError):
    """Another writer committed first, in a way that this commit cannot follow; the same write may be tried again."""

    retryable = True


@contextmanager
def spark_failures(table: TableName, *places: Path) -> Iterator[None]:
    """Raise what Spark raises in the block as an error of ours; ``places`` are the folders that it writes to.

    An error of ours from a worker comes out as itself, a full disk as DiskFull, a damaged file as CorruptFile, a lost commit
    race or a schema that does not fit as TableError, a database or message queue that fails as SourceError, all else as
    StorageError.
    """
    try:
        yield
    except (PySparkException, Py4JError, OSError) as error:
        raise _translate(error, table, places) from error


def _translate(error: Exception, table: TableName, places: tuple[Path, ...]) -> MaasError:
    text = _whole(error)
    if any(mark in text for mark in _NO_SPACE):
        place, free = _fullest(places)
        return DiskFull(
            f"disk full while writing {table}: {place} has {free} bytes free: free some space and run again", path=place
        )
    if match := _OURS.search(text):
        kind = getattr(core.errors, match[1], None)
        if isinstance(kind, type) and issubclass(kind, MaasError):
            return kind(match[2].strip())
    return _hdfs_failure(text, table) or _table_failure(text, root_cause(error), table)


def _table_failure(text: str, reason: str, table: TableName) -> MaasError:
    if _CONFLICT.search(text):
        return WriteConflict(f"{table}: another writer was first: {reason}: run again", table=str(table))
    if any(mark in text for mark in (*_CORRUPT, *_LOST)):
        return _damage(text, reason, table)
    if _OUTSIDE.search(text):
        kind = SourceDown if is_server_down(text) else SourceError
        return kind(f"{table}: its source failed while it was read: {reason}: see that it runs, then run again")
    if "DELTA_" in text or "AnalysisException" in text:
        return TableError(f"{table}: {reason}", table=str(table))
    return StorageError(f"{table}: {reason}", table=str(table))


def _damage(text: str, reason: str, table: TableName) -> CorruptFile:
    what = "is missing" if any(mark in text for mark in _LOST) else "is damaged"
    if match := _DATA_FILE.search(text):
        return CorruptFile(f"data file {match[0]} {what}: bring it back from a copy of the lake", path=match[1])
    return CorruptFile(f"a data file that was read for {table} {what}: {reason}: bring it back from a copy", table=str(table))


def _hdfs_failure(text: str, table: TableName) -> MaasError | None:
    if any(mark in text for mark in _NO_NAMENODE):
        return StorageDown(
            f"{table}: the NameNode of HDFS{_address(text)} does not answer or is in safe mode (settings lake.root): start it or "
            "wait, then run again",
            table=str(table),
        )
    if any(mark in text for mark in _NO_DATANODE):
        return StorageDown(f"{table}: no DataNode of HDFS has its data or takes more: start its DataNodes, then run again")
    if any(mark in text for mark in _QUOTA):
        return DiskFull(f"HDFS has no room for {table}: free some space or raise the quota, then run again")
    return None


def is_server_down(text: str) -> bool:
    """Whether a database or message queue ended the connection, or takes none."""
    return bool(_DOWN.search(text))


def _address(text: str) -> str:
    """Where Hadoop's client called, if it says so."""
    called = _CALLED.search(text)
    return f" at {called[1]}" if called else ""


def _whole(error: BaseException) -> str:
    """The text of an error and of all its causes; for a Java exception that includes its trace."""
    parts: list[str] = []
    link: BaseException | None = error
    while link is not None:
        parts.append(f"{type(link).__name__}: {link}")
        parts.append(str(getattr(link, "_stackTrace", "") or ""))
        link = link.__cause__ or link.__context__
    return "\n".join(parts)


def root_cause(error: Exception) -> str:
    """The message at the far end of the chain of causes, one line of at most 300 characters."""
    text = _whole(error)
    causes = _CAUSE.findall(text)
    kind, message = causes[-1] if causes else ("", text)
    line = (message or kind).strip().split("\n", 1)[0]
    return line[:_SHOWN]


def _fullest(places: tuple[Path, ...]) -> tuple[str, int]:
    found = [(shutil.disk_usage(folder).free, str(folder)) for folder in map(_nearest, places)]
    free, place = min(found)
    return place, free


def _nearest(place: Path) -> Path:
    return next(folder for folder in (place.absolute(), *place.absolute().parents) if folder.exists())
