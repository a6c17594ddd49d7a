"""What a journal holds, and what it can do, whatever keeps it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Protocol, Self

from core.contracts import Interval


class State(StrEnum):
    """How an attempt stands. A process that was killed leaves RUNNING behind: see host, pid and process_started."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Entry:
    """One attempt at one step of a pipeline. Times are in UTC; ``seconds`` is wall time."""

    id: str
    run_id: str
    pipeline: str
    step: str
    interval: Interval | None
    profile: str
    host: str
    pid: int
    process_started: float
    """When the process was made, in seconds since 1970: a pid alone may be another's by now."""
    started: datetime
    attempt: int = 0
    """Counted from 1 for pipeline, step and interval together; 0: not yet begun."""
    state: State = State.RUNNING
    overlaps: str | None = None
    """The entry that was running when this one began, at the same step and interval."""
    versions: Mapping[str, int] = field(default_factory=dict)
    """The configurations that it ran, such as ``{"pipeline/flights": 3}``."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Counts and names that the step reported."""
    ended: datetime | None = None
    seconds: float | None = None
    error_code: str | None = None
    error: str | None = None

    @property
    def key(self) -> tuple[str, str, str]:
        """What its attempts are counted by: pipeline, step, and the interval as a text, empty for none."""
        return self.pipeline, self.step, str(self.interval or "")

    def to_document(self) -> dict[str, Any]:
        """A JSON-able form, read back by ``from_document``: the same in every journal and in a backup."""
        document = {item.name: getattr(self, item.name) for item in fields(self)}
        return {
            **document,
            "interval": self.key[2],
            "state": self.state.value,
            "versions": dict(self.versions),
            "facts": dict(self.facts),
            "started": _text(self.started),
            "ended": None if self.ended is None else _text(self.ended),
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Read what ``to_document`` wrote."""
        start, _, end = document["interval"].partition("/")
        changed = {
            "interval": Interval.parse(start, end) if start else None,
            "state": State(document["state"]),
            "started": datetime.fromisoformat(document["started"]),
            "ended": datetime.fromisoformat(document["ended"]) if document["ended"] else None,
        }
        return cls(**{**document, **changed})


class Journal(Protocol):
    """Where entries are kept. Each method raises StorageError, naming the place, when that does not answer in time."""

    @property
    def place(self) -> str:
        """How the journal is named in messages; holds no password."""

    def begin(self, entry: Entry) -> Entry:
        """Keep a new entry, with the number of its attempt, and the newest one still running at the same step and interval.

        Processes that begin at the same moment get numbers of their own.
        """

    def end(self, entry: Entry) -> None:
        """Replace the entry of that id."""

    def get(self, entry_id: str) -> Entry | None:
        """The entry of that id, or None."""

    def newest(self, pipeline: str | None = None, limit: int = 50) -> list[Entry]:
        """The newest entries, of one pipeline or of all, newest first."""

    def entries(self) -> Iterator[Entry]:
        """All entries, oldest first."""

    def load(self, entries: Iterable[Entry]) -> int:
        """Keep entries of another journal as they are, in place of all that is here; returns how many."""

    def close(self) -> None:
        """End all connections."""


def _text(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat(timespec="microseconds")
