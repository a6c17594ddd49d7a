"""The journal in MongoDB: plain reads and writes and one unique index, which every server of that protocol keeps."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

import pymongo
from pydantic import SecretStr
from pymongo.collection import Collection
from pymongo.errors import AutoReconnect, DuplicateKeyError, InvalidURI, PyMongoError

from core.database import failures
from core.errors import ConfigError, StorageError
from core.journal.journal import Entry, State
from core.retries import persist

T = TypeVar("T")

_COLLECTION = "journal"
_KEY = ("pipeline", "step", "interval")
_TIMEOUT_MS = 5000


@dataclass(frozen=True, slots=True)
class MongoJournal:
    """See Journal. A write is acknowledged when a majority of the servers has it in its log."""

    client: pymongo.MongoClient[dict[str, Any]]
    collection: Collection[dict[str, Any]]
    place: str

    @classmethod
    def open(cls, url: str, password: SecretStr | None = None) -> Self:
        """The journal in the database that ``mongodb://[USER@]HOST:PORT/NAME`` names, made when it is missing.

        Raises ConfigError for another URL, StorageError when no server answers within five seconds.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("mongodb", "mongodb+srv") or not parts.path.strip("/"):
            raise ConfigError(f"journal.url is {url!r}: write mongodb://HOST:PORT/NAME")
        options: dict[str, Any] = {"serverSelectionTimeoutMS": _TIMEOUT_MS, "w": "majority", "journal": True}
        if password is not None:
            options["password"] = password.get_secret_value()
        try:
            client: pymongo.MongoClient[dict[str, Any]] = pymongo.MongoClient(url, **options)
        except (InvalidURI, pymongo.errors.ConfigurationError) as error:
            raise ConfigError(f"journal.url is {url!r}: {error}") from error
        journal = cls(client, client.get_default_database().get_collection(_COLLECTION), url)
        try:
            # once, with no patience: a server that is down when a run begins is said to be
            client.admin.command("ping")
            journal._make_indexes()
        except PyMongoError as error:
            client.close()
            raise _explain(error, url) from error
        return journal

    def begin(self, entry: Entry) -> Entry:
        """See Journal.begin."""

        def insert() -> Entry:
            if kept := self.collection.find_one({"_id": entry.id}):  # written, but the answer was lost
                return _entry(kept)
            same = dict(zip(_KEY, entry.key, strict=True))
            newest = self.collection.find_one(same, sort=[("attempt", -1)])
            running = self.collection.find_one({**same, "state": State.RUNNING.value}, sort=[("attempt", -1)])
            attempt = 1 if newest is None else newest["attempt"] + 1
            begun = replace(entry, attempt=attempt, overlaps=running["_id"] if running else None)
            self.collection.insert_one(_document(begun))
            return begun

        return self._call(insert)

    def end(self, entry: Entry) -> None:
        """See Journal.end."""
        self._call(lambda: self.collection.replace_one({"_id": entry.id}, _document(entry), upsert=True))

    def get(self, entry_id: str) -> Entry | None:
        """See Journal.get."""
        found = self._call(lambda: self.collection.find_one({"_id": entry_id}))
        return None if found is None else _entry(found)

    def newest(self, pipeline: str | None = None, limit: int = 50) -> list[Entry]:
        """See Journal.newest."""
        wanted = {} if pipeline is None else {"pipeline": pipeline}
        order = [("started", -1), ("_id", -1)]
        return [_entry(found) for found in self._call(lambda: list(self.collection.find(wanted).sort(order).limit(limit)))]

    def entries(self) -> Iterator[Entry]:
        """See Journal.entries."""
        order = [("started", 1), ("_id", 1)]
        return iter([_entry(found) for found in self._call(lambda: list(self.collection.find().sort(order)))])

    def load(self, entries: Iterable[Entry]) -> int:
        """See Journal.load. Not in one transaction: run it again when it was broken off."""
        documents = [_document(entry) for entry in entries]

        def replace_all() -> None:
            self.collection.delete_many({})
            if documents:
                self.collection.insert_many(documents)

        self._call(replace_all)
        return len(documents)

    def close(self) -> None:
        """See Journal.close."""
        self.client.close()

    def _make_indexes(self) -> None:
        self.collection.create_index([*((key, 1) for key in _KEY), ("attempt", 1)], unique=True, name="journal_attempt")
        self.collection.create_index([("started", 1)], name="journal_started")

    def _call(self, action: Callable[[], T]) -> T:
        """Again for a minute while the server is away, or another took the number of an attempt at the same moment."""
        try:
            return persist(action, lambda error: isinstance(error, AutoReconnect | DuplicateKeyError))
        except PyMongoError as error:
            raise _explain(error, self.place) from error


def _explain(error: PyMongoError, place: str) -> StorageError:
    if isinstance(error, AutoReconnect):
        return StorageError(
            f"{place}: MongoDB does not answer (settings journal.url): see `maas doctor`, and run again", journal=place
        )
    return StorageError(f"{place}: {failures.first_line(error)}", journal=place)


def _document(entry: Entry) -> dict[str, Any]:
    """Facts as JSON text: their names may hold what a field's name may not, and their integers be wider than 64 bits."""
    document = entry.to_document()
    facts = json.dumps(document["facts"], sort_keys=True)
    versions = json.dumps(document["versions"], sort_keys=True)
    return {"_id": document.pop("id"), **document, "facts": facts, "versions": versions}


def _entry(document: Mapping[str, Any]) -> Entry:
    plain = {key: value for key, value in document.items() if key != "_id"}
    texts = {key: json.loads(document[key]) for key in ("facts", "versions")}
    return Entry.from_document({"id": document["_id"], **plain, **texts})
