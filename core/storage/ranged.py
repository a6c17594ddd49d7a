"""A file of a server as a seekable file: bytes stream from where the reader stands, again from there when they break off."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any, Protocol

_BUFFER = 1 << 20


class Stream(Protocol):
    """Bytes that arrive in order."""

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes; none at the end."""
        ...

    def close(self) -> None:
        """Let the connection go."""
        ...


OpenAt = Callable[[int], Stream]
"""The bytes from an offset on; raises StorageError when that cannot be had."""
Lost = Callable[[Exception], None]
"""Told that a stream broke; raises StorageError to give up."""


class _Ranged(io.RawIOBase):
    def __init__(self, open_at: OpenAt, size: int, broken: tuple[type[Exception], ...], lost: Lost) -> None:
        super().__init__()
        self._open_at, self._size, self._lost = open_at, size, lost
        self._broken: tuple[type[Exception], ...] = (*broken, EOFError)
        self._at = 0
        self._stream: Stream | None = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        if at < 0:
            raise ValueError(f"no place before the beginning of a file: {at}")
        if at != self._at:
            self._let_go()
            self._at = at
        return at

    def readinto(self, buffer: Any, /) -> int:
        view = memoryview(buffer).cast("B")
        while self._at < self._size:
            if self._stream is None:
                self._stream = self._open_at(self._at)
            try:
                data = self._stream.read(min(len(view), self._size - self._at))
                if not data:
                    raise EOFError(f"the bytes ended at {self._at} of {self._size}")
            except self._broken as error:
                self._let_go()
                self._lost(error)
                continue
            view[: len(data)] = data
            self._at += len(data)
            return len(data)
        return 0

    def close(self) -> None:
        self._let_go()
        super().close()

    def _let_go(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None


def open_ranged(open_at: OpenAt, size: int, broken: tuple[type[Exception], ...], lost: Lost) -> io.BufferedReader:
    """A file of ``size`` bytes, buffered by 1 MiB. Errors of the kinds ``broken`` go to ``lost``, then reading goes on."""
    return io.BufferedReader(_Ranged(open_at, size, broken, lost), _BUFFER)
