"""A backup as files in a place: JSON lines, copies of files, and a manifest that is written last.

::

    manifest.json           format, when, where from, and sha256 and size of each file below
    configurations.jsonl    a row a line
    journal.jsonl           an entry a line
    mlflow/TABLE.jsonl      a row a line, one file for each table of MLflow's database
    artifacts/…             the files of each registered version, where they lay below the root of artifacts
    lake.json, lake/…       commit logs of the lake's tables (core.backup.tables); its data files are not in a backup

A place without a manifest holds no backup: one that was broken off is none.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from core.errors import CorruptFile, StorageError
from core.storage.storage import Storage, check_path

MANIFEST = "manifest.json"
FORMAT = 1
_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Writer:
    """A backup under way in ``storage``, which holds none yet."""

    storage: Storage
    files: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def open(cls, storage: Storage, place: str) -> Self:
        """Raises StorageError when there is a backup already."""
        if storage.exists(MANIFEST):
            raise StorageError(f"{place} holds a backup already: name another place")
        return cls(storage)

    def write(self, path: str, pieces: Iterable[bytes]) -> None:
        """Put a file into the backup."""
        digest, size = hashlib.sha256(), 0

        def counted() -> Iterator[bytes]:
            nonlocal size
            for piece in pieces:
                digest.update(piece)
                size += len(piece)
                yield piece

        self.storage.write_atomic(path, counted())
        self.files[path] = {"sha256": digest.hexdigest(), "bytes": size}

    def write_lines(self, path: str, documents: Iterable[Mapping[str, Any]]) -> int:
        """Put documents into the backup, one a line; returns how many."""
        count = 0

        def lines() -> Iterator[bytes]:
            nonlocal count
            for document in documents:
                count += 1
                yield json.dumps(document, sort_keys=True).encode() + b"\n"

        self.write(path, lines())
        return count

    def finish(self, facts: Mapping[str, Any]) -> None:
        """Make it a backup: write the manifest."""
        manifest = {"format": FORMAT, **facts, "files": self.files}
        self.storage.write_atomic(MANIFEST, json.dumps(manifest, indent=1, sort_keys=True).encode())


@dataclass(frozen=True, slots=True)
class Reader:
    """A whole backup in ``storage``."""

    storage: Storage
    place: str
    facts: Mapping[str, Any]
    files: Mapping[str, Mapping[str, Any]]

    @classmethod
    def open(cls, storage: Storage, place: str) -> Self:
        """Reads the manifest and every file, and holds them against each other; raises StorageError or CorruptFile."""
        if not storage.exists(MANIFEST):
            raise StorageError(f"{place} holds no backup: it has no {MANIFEST}; a backup that was broken off is none")
        try:
            with storage.open_read(MANIFEST) as file:
                facts = json.load(file)
            files = {check_path(path): dict(known) for path, known in facts["files"].items()}
            form = facts["format"]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise CorruptFile(f"{place}/{MANIFEST} is no manifest of a backup: {error}", file=MANIFEST) from error
        if form != FORMAT:
            raise StorageError(f"{place} is a backup of form {form}, this platform reads {FORMAT}: use the platform that made it")
        reader = cls(storage, place, facts, files)
        reader._verify()
        return reader

    def read(self, path: str) -> Iterator[bytes]:
        """The bytes of a file of the backup, in pieces."""
        with self.storage.open_read(path) as file:
            while piece := file.read(_PIECE):
                yield piece

    def read_lines(self, path: str) -> Iterator[dict[str, Any]]:
        """The documents in a file of the backup."""
        with self.storage.open_read(path) as file:
            for line in file:
                yield json.loads(line)

    def below(self, folder: str) -> list[str]:
        """The paths of the backup's files in ``folder``."""
        return sorted(path for path in self.files if path.startswith(f"{folder}/"))

    def _verify(self) -> None:
        for path, known in self.files.items():
            if not self.storage.exists(path):
                raise CorruptFile(f"{self.place}: {path} is missing: the backup is not whole, use another", file=path)
            digest = hashlib.sha256()
            for piece in self.read(path):
                digest.update(piece)
            if digest.hexdigest() != known.get("sha256"):
                raise CorruptFile(f"{self.place}: {path} is not what was backed up: use another backup", file=path)
