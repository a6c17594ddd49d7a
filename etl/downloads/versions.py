"""The versions of one file, in raw storage: each whole, under a name of its own, with what is known of it beside it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from core.errors import StorageError
from core.storage.storage import Storage
from etl.downloads.facts import Facts

_NAME = re.compile(r"([0-9]{6,})-[0-9a-f]{16}\.[a-z]+")


@dataclass(frozen=True, slots=True)
class Version:
    """A version that was fetched: its path, the SHA-256 of its bytes, and what the server said (None: not known)."""

    path: str
    sha256: str
    facts: Facts | None


@dataclass(frozen=True, slots=True)
class Versions:
    """Files ``NUMBER-DIGEST.suffix`` in a folder, each with ``….json`` beside it. A version is never replaced.

    A file is there whole or not at all. Its facts come after it: a process that is killed between leaves a version that is
    complete and read, and asked for once more.
    """

    files: Storage
    suffix: str

    def newest(self) -> Version | None:
        """The version with the largest number."""
        paths = self._paths()
        if not paths:
            return None
        try:
            with self.files.open_read(f"{paths[-1]}.json") as file:
                document = json.loads(file.read())
            return Version(paths[-1], str(document["sha256"]), Facts.from_json(document["facts"]))
        except (StorageError, ValueError, LookupError, TypeError):
            return Version(paths[-1], self.files.checksum(paths[-1]), None)

    def add(self, content: Callable[[], Iterable[bytes]], sha256: str, facts: Facts) -> Version:
        """Put a new version beside the others."""
        paths = self._paths()
        number = 1 + (_number(paths[-1]) if paths else 0)
        path = f"{number:06d}-{sha256[:16]}.{self.suffix}"
        self.files.write_atomic(path, content())
        return self.note(Version(path, sha256, facts))

    def note(self, version: Version) -> Version:
        """Keep what is known of a version."""
        facts = version.facts.to_json() if version.facts else None
        document = {"sha256": version.sha256, "fetched": datetime.now(UTC).isoformat(timespec="seconds"), "facts": facts}
        self.files.write_atomic(f"{version.path}.json", json.dumps(document, indent=1).encode())
        return version

    def _paths(self) -> list[str]:
        try:
            entries = self.files.list(f"*.{self.suffix}")
        except StorageError as error:
            if error.facts.get("missing") or isinstance(error.__cause__, FileNotFoundError):
                return []  # the folder is made with its first file
            raise
        return sorted((entry.path for entry in entries if _NAME.fullmatch(entry.path)), key=_number)


def digest(pieces: Iterable[bytes]) -> str:
    """The SHA-256 of the pieces together, in hexadecimal."""
    found = hashlib.sha256()
    for piece in pieces:
        found.update(piece)
    return found.hexdigest()


def _number(path: str) -> int:
    return int(path.split("-", 1)[0])
