"""Mutual exclusion between processes: on a local file system Delta has none."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.errors import StorageError, TableError

_POLL_S = 0.05
_held = threading.local()  # the locks of this thread: flock belongs to an open file, so asking twice would wait for oneself


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
