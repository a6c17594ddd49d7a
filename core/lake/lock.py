"""Mutual exclusion between processes that write one table: by a file of this machine, or by a MySQL server for several."""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sqlalchemy import URL, Connection, NullPool, create_engine, text
from sqlalchemy.exc import SQLAlchemyError

from core.database import failures
from core.database.engine import place
from core.errors import StorageError, TableError
from core.retries import persist

_POLL_S = 0.05
_WAIT_TIMEOUT_S = 31 * 86400
_held = (
    threading.local()
)  # the locks of this thread: a lock belongs to a file or connection, so asking twice would wait for oneself
_log = logging.getLogger(__name__)


class Locks(Protocol):
    """Locks by name. A lock ends with its process, however that ends."""

    def hold(self, name: str, wait_s: float) -> AbstractContextManager[None]:
        """Hold the lock for the block; a thread that holds it already goes straight through.

        Raises TableError after ``wait_s`` seconds, naming who holds it; StorageError when no lock can be taken at all.
        """
        ...


@dataclass(frozen=True, slots=True)
class FileLocks:
    """``flock`` on a file ``NAME.lock`` in ``folder``, for processes of one machine."""

    folder: Path

    def hold(self, name: str, wait_s: float) -> AbstractContextManager[None]:
        """See Locks.hold."""
        return hold(self.folder / f"{name}.lock", name, wait_s)


@dataclass(frozen=True, slots=True)
class MySqlLocks:
    """``GET_LOCK`` of a MySQL server, for processes of all machines; each block has its own connection, which is the lock."""

    url: URL
    scope: str
    """What the names belong to: a server's locks are for all who use it."""
    patience_s: float = 20.0
    """How long the server may be away: it has answered when the step began that wants a lock now."""

    def hold(self, name: str, wait_s: float) -> AbstractContextManager[None]:
        """See Locks.hold."""
        return self._hold(name, wait_s)

    @contextmanager
    def _hold(self, name: str, wait_s: float) -> Iterator[None]:
        key = "maas:" + hashlib.sha256(f"{self.scope}\0{name}".encode()).hexdigest()[:40]  # MySQL takes 64 letters
        mine: set[object] = _held.__dict__.setdefault("names", set())
        if key in mine:
            yield
            return
        try:
            connection, taken, holder = persist(lambda: self._ask(key, wait_s), failures.is_gone, wait_s=self.patience_s)
        except SQLAlchemyError as error:
            raise failures.explain(error, f"no lock for {name} at {place(self.url)}") from error
        if not taken:
            connection.close()
            raise TableError(
                f"{name} is still being written over connection {holder} of {self.url.host}:{self.url.port} after {wait_s:g} s: "
                "wait or end that run, then run again",
                connection=holder,
            )
        mine.add(key)
        try:
            yield
        finally:
            mine.discard(key)
            try:
                connection.close()  # frees the lock
            except SQLAlchemyError:
                _log.warning("%s: the connection that held the lock was lost; Delta's own commit check stood alone", name)

    def _ask(self, key: str, wait_s: float) -> tuple[Connection, object, object]:
        """A connection of its own, whether it has the lock, and else the number of the one that has it."""
        connection = create_engine(self.url, poolclass=NullPool).connect()
        try:
            connection.execute(text("SET SESSION wait_timeout = :s"), {"s": _WAIT_TIMEOUT_S})
            taken = connection.execute(text("SELECT GET_LOCK(:key, :wait)"), {"key": key, "wait": wait_s}).scalar()
            holder = None if taken else connection.execute(text("SELECT IS_USED_LOCK(:key)"), {"key": key}).scalar()
        except SQLAlchemyError:
            connection.close()
            raise
        return connection, taken, holder


@contextmanager
def hold(file: Path, what: str, wait_s: float) -> Iterator[None]:
    """Hold the lock of ``file`` for the block. A thread that holds it already goes straight through.

    The lock ends with its process, however that ends. Raises TableError after ``wait_s`` seconds, naming the holder's process.
    """
    mine: set[Path] = _held.__dict__.setdefault("files", set())
    if file in mine:
        yield
        return
    descriptor = _open(file)
    try:
        _wait(descriptor, file, what, wait_s)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        mine.add(file)
        try:
            yield
        finally:
            mine.discard(file)
    finally:
        os.close(descriptor)


@contextmanager
def hold_engine(file: Path, what: str, wait_s: float) -> Iterator[None]:
    """Hold for the block, without Spark, the POSIX lock on ``file`` that ``core.lake.engine`` takes in a JVM.

    Raises TableError when a JVM still has it after ``wait_s`` seconds.
    """
    descriptor, end = _open(file), time.monotonic() + wait_s
    try:
        while True:
            try:
                fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except (BlockingIOError, PermissionError):
                if time.monotonic() >= end:
                    raise TableError(engine_busy(what, wait_s), lock=str(file)) from None
                time.sleep(_POLL_S)
        yield
    finally:
        os.close(descriptor)


def engine_busy(what: str, wait_s: float) -> str:
    """What to say when another JVM holds a table's engine lock."""
    return (
        f"{what}: the Spark engine of a run that was killed is still writing after {wait_s:g} s: "
        "end that Java process, then run again"
    )


def _open(file: Path) -> int:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        return os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise StorageError(f"{file}: no lock can be taken there: {error.strerror}", path=str(file)) from error


def _wait(descriptor: int, file: Path, what: str, wait_s: float) -> None:
    end = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= end:
                holder = os.pread(descriptor, 32, 0).decode(errors="replace") or "unknown"
                raise TableError(
                    f"{what} is still being written by process {holder} after {wait_s:g} s: wait or end it, then run again",
                    lock=str(file),
                    process=holder,
                ) from None
            time.sleep(_POLL_S)
        else:
            return
