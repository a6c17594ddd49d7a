"""What is known of a log file's content, and a log file as it is found."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Self

HEAD = 1024
_BLOCK = 1 << 20
_JOINTS = {".", "-", "_"}


@dataclass(frozen=True, slots=True)
class Content:
    """Bytes that were seen in a file: ``offset`` of them were read, and the first ``length`` are known by two digests.

    The digests are of the first and the last KiB of those. ``size`` and ``modified`` are the file's when it was seen. A copy
    (``copy_of`` a name) holds a part of what another file holds, which was read up to ``offset`` there. ``packed`` is a digest
    of the compressed bytes.
    """

    offset: int
    length: int
    head: str
    tail: str | None
    size: int
    modified: float | None
    copy_of: str | None = None
    packed: str | None = None
    encoding: str | None = None

    @classmethod
    def from_json(cls, seen: dict[str, Any]) -> Self:
        """Read what ``to_json`` wrote, or a position of a version that knew files by name: an offset and a digest of the head."""
        offset = int(seen["offset"])
        return cls(
            offset,
            int(seen.get("length", offset)),
            str(seen["fingerprint"]),
            seen.get("tail"),
            int(seen.get("size", offset)),
            seen.get("modified"),
            seen.get("copy_of"),
            seen.get("packed"),
            seen.get("encoding"),
        )

    def to_json(self) -> dict[str, Any]:
        """A JSON-able form."""
        found: dict[str, Any] = {"offset": self.offset, "fingerprint": self.head, "tail": self.tail, "size": self.size}
        found["modified"] = self.modified
        if self.length != self.offset:
            found["length"] = self.length
        extra = {"copy_of": self.copy_of, "packed": self.packed, "encoding": self.encoding}
        return found | {key: value for key, value in extra.items() if value is not None}


@dataclass(slots=True)
class Sight:
    """A log file as it is found; ``open`` gives its content, of ``size`` bytes."""

    path: str
    size: int
    modified: float
    open: Callable[[], BinaryIO]
    packed: str | None = None
    _heads: dict[int, str] = field(default_factory=dict, repr=False)

    def read(self, start: int, size: int) -> bytes:
        """The bytes from ``start`` on, fewer at the end."""
        with self.open() as file:
            file.seek(start)
            return file.read(size)

    def holds(self, content: Content) -> bool:
        """Whether the file begins with that content. Nothing is no content: any file begins with it."""
        if not 0 < content.length <= self.size:
            return False
        if self._digest(min(HEAD, content.length)) != content.head:
            return False
        start = max(0, content.length - HEAD)
        return content.tail is None or digest(self.read(start, content.length - start)) == content.tail

    def _digest(self, size: int) -> str:
        """Of the first bytes."""
        if size not in self._heads:
            self._heads[size] = digest(self.read(0, size))
        return self._heads[size]

    def unchanged(self, content: Content) -> bool:
        """Whether nobody wrote to it since it was seen with that content."""
        if self.packed is not None or content.packed is not None:
            return self.packed == content.packed
        return (self.size, self.modified) == (content.size, content.modified)

    def begins(self, other: Sight) -> bool:
        """Whether the other file begins with all that this one holds."""
        if self.size > other.size or self.read(0, HEAD) != other.read(0, min(HEAD, self.size)):
            return False
        with self.open() as mine, other.open() as theirs:
            for start in range(0, self.size, _BLOCK):
                block = mine.read(min(_BLOCK, self.size - start))
                if block != theirs.read(len(block)) or not block:
                    return False
        return True


def describe(file: BinaryIO, offset: int, length: int, sight: Sight) -> Content:
    """The content of an open file, known by its first ``length`` bytes."""
    file.seek(0)
    head = file.read(min(HEAD, length))
    start = max(0, length - HEAD)
    file.seek(start)
    tail = file.read(length - start)
    return Content(offset, length, digest(head), digest(tail), sight.size, sight.modified, packed=sight.packed)


def digest(data: bytes) -> str:
    """The SHA-256, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def is_derived(name: str, other: str) -> bool:
    """Whether ``other`` is what a rotation of ``name`` could be called: ``app.log.1``, ``app-2013.log`` or ``old/app.log.gz``."""
    folder, _, live = name.rpartition("/")
    below, _, old = other.rpartition("/")
    stem, _, suffix = live.partition(".")
    if not old.startswith(stem) or (folder and f"{below}/".removeprefix(folder)[:1] != "/"):
        return False
    if folder == below and len(old) <= len(live):  # app.log is no rotation of app.log.1
        return False
    if old.startswith(live):
        return old == live or old[len(live)] in _JOINTS
    return f".{suffix}" in old[len(stem) :] and old[len(stem)] in _JOINTS
