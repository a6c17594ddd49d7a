"""What a server says of a file, and the conditions that follow from it (RFC 9110, chapters 8.8 and 13)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any, Self

_ETAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')
_STRONG_AFTER_S = 60
_PLAIN = {"", "identity"}


@dataclass(frozen=True, slots=True)
class Facts:
    """Of one version of a file. ``url`` is its target's identity, ``length`` that of the body, in the coding ``coding``."""

    url: str
    etag: str | None = None
    modified: str | None = None
    resumable: str | None = None
    """What says in ``If-Range`` that a part of the same bytes is wanted: a strong validator."""
    length: int | None = None
    coding: str = ""

    @classmethod
    def of(cls, url: str, headers: Mapping[str, str], length: int | None) -> Self:
        """What the headers of an answer with status 200 say; validators that are of no valid form are left out."""
        etag, modified = headers.get("etag"), parse_time(headers.get("last-modified"))
        etag = etag if etag and _ETAG.fullmatch(etag) else None
        resumable = etag if etag and not etag.startswith("W/") else None
        if etag is None and modified is not None and _is_strong(modified, parse_time(headers.get("date"))):
            resumable = format_datetime(modified, usegmt=True)
        coding = headers.get("content-encoding", "").strip().lower()
        shown = None if modified is None else format_datetime(modified, usegmt=True)
        return cls(url, etag, shown, resumable, length, "" if coding in _PLAIN else coding)

    @property
    def conditions(self) -> dict[str, str]:
        """The headers that ask for the file only when it is another one."""
        asked = {"If-None-Match": self.etag, "If-Modified-Since": self.modified}
        return {name: value for name, value in asked.items() if value is not None}

    def to_json(self) -> dict[str, Any]:
        """Read back by ``from_json``."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read what ``to_json`` gave."""
        return cls(**{name: document[name] for name in cls.__slots__})


def parse_time(text: str | None) -> datetime | None:
    """A time of HTTP (RFC 9110, 5.6.7); None for what is none."""
    try:
        found = parsedate_to_datetime(text or "")
        return found.astimezone(UTC) if found.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def _is_strong(modified: datetime, now: datetime | None) -> bool:
    """Whether a file cannot have changed twice at its time of change: that is long ago by the server's own clock."""
    return now is not None and (now - modified).total_seconds() >= _STRONG_AFTER_S
