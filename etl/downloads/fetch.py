"""One file over HTTP, in as many tries as it takes: asked for only when it is new, gone on with where it broke off."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from core.errors import SourceDown, SourceError
from etl.downloads.client import Answer, Client
from etl.downloads.facts import Facts, parse_time
from etl.downloads.partial import Partial
from etl.downloads.urls import Target

_BUSY = {408, 425, 429, 500, 502, 503, 504}
_MISSING = {404, 410}
_REFUSED = {401, 403, 407}
_OK, _PART, _SAME, _NO_RANGE = 200, 206, 304, 416
_CONDITIONS = {"If-None-Match", "If-Modified-Since"}
_CONTENT_RANGE = re.compile(r"bytes ([0-9]+)-([0-9]+)/([0-9]+|\*)")


@dataclass(frozen=True, slots=True)
class Patience:
    """How a server that fails is asked again: after pauses of a random length, up to one that doubles (full jitter).

    Source: "Exponential Backoff And Jitter", AWS Architecture Blog. ``Retry-After`` makes a pause longer, to ``longest_wait_s``
    at most. A try that brought bytes is not counted.
    """

    tries: int = 5
    first_s: float = 0.5
    longest_s: float = 20.0
    longest_wait_s: float = 120.0
    sleep: Callable[[float], None] = time.sleep


class _Busy(SourceError):
    """The server asks to come later; ``wait_s`` says when, if it does."""

    def __init__(self, message: str, wait_s: float = 0.0) -> None:
        super().__init__(message)
        self.wait_s = wait_s


def fetch(
    client: Client, target: Target, partial: Partial, known: Facts | None, *, patience: Patience, cut_is_told: bool
) -> bool:
    """Bring ``partial`` to the whole file at ``target``; False when it is the version that ``known`` is of.

    With ``cut_is_told``, an end that a broken connection could make is taken: the caller knows a checksum. Raises SourceError;
    SourceDown when the server did not answer at last. What came is kept for the next call.
    """
    end = time.monotonic() + client.limits.total_s
    failures, best = 0, partial.size
    while True:
        try:
            return _try(client, target, partial, known, end, cut_is_told=cut_is_told)
        except (SourceDown, _Busy) as error:
            failures = 1 if partial.size > best else failures + 1
            best = max(best, partial.size)
            if failures >= patience.tries:
                raise _plain(error, failures) from error
            _pause(patience, failures, error, end)


def _try(client: Client, target: Target, partial: Partial, known: Facts | None, end: float, *, cut_is_told: bool) -> bool:
    asked, whole = _asked(partial, known)
    with client.get(target, asked, end) as answer:
        if answer.status == _SAME and _CONDITIONS & set(asked):
            return whole
        if answer.status == _PART and "Range" in asked:
            _require_rest(answer, partial)
        elif answer.status == _OK:
            partial.begin(Facts.of(target.identity, answer.headers, answer.length))
        else:
            raise _refusal(answer, partial)
        if not answer.framed and not cut_is_told:
            raise SourceError(f"{target}: sends no length, so a cut could not be told: set the source's key 'sha256'")
        most = client.limits.body_bytes
        if (answer.length or 0) + partial.size > most:
            raise partial.too_long(most)
        partial.take(answer.pieces(), most)
    if partial.facts is not None and partial.facts.length is not None and not partial.complete:
        raise SourceDown(f"{target}: sent {partial.size:,} of {partial.facts.length:,} bytes: run again for the rest")
    return True


def _asked(partial: Partial, known: Facts | None) -> tuple[dict[str, str], bool]:
    """The headers that ask for what is missing, and whether the part is the file when the server says that it is as it was.

    A whole part is what a process left that ended before it was kept: the file may be another one by now.
    """
    facts = partial.facts
    if facts is not None and partial.complete and facts.conditions:
        return facts.conditions, True
    if facts is not None and facts.resumable is not None and partial.size and not partial.complete:
        return {"Range": f"bytes={partial.size}-", "If-Range": facts.resumable}, False
    return known.conditions if known is not None else {}, False


def _require_rest(answer: Answer, partial: Partial) -> None:
    """See that the bytes that come go on from where the part ends, and are of the same version; if not it is let go of.

    Fewer bytes than the rest may come. How long the file is in all must be known, or its end could not be told.
    """
    facts, size = partial.facts, partial.size
    match = _CONTENT_RANGE.fullmatch(answer.headers.get("content-range", ""))
    if match is not None and facts is not None and int(match[1]) == size:
        total = int(match[3]) if match[3] != "*" else facts.length
        if total is not None and facts.length in {None, total} and answer.headers.get("etag") in {None, facts.etag}:
            partial.facts = replace(facts, length=total)
            return
    partial.clear()
    raise SourceDown(f"{answer.target}: answers with other bytes than the rest from {size:,}: run again to fetch it anew")


def _refusal(answer: Answer, partial: Partial) -> SourceError:
    target, status = answer.target, answer.status
    if status == _NO_RANGE and partial.size:
        partial.clear()
        return SourceDown(f"{target}: is shorter than the part that was fetched: run again to fetch it anew")
    if status in _BUSY:
        wait_s = _retry_after(answer.headers.get("retry-after"))
        return _Busy(f"{target}: the server is busy or failing (HTTP status {status}): run again later", wait_s)
    if status in _MISSING:
        return SourceError(f"{target}: there is no such file (HTTP status {status}): check the URL")
    if status in _REFUSED:
        return SourceError(
            f"{target}: the server refuses (HTTP status {status}): check the source's key 'headers' and its secret"
        )
    return SourceError(f"{target}: the server answers with HTTP status {status}: check the URL")


def _plain(error: SourceError, tries: int) -> SourceError:
    kind = SourceDown if isinstance(error, SourceDown) else SourceError
    return kind(f"{error.message} (tried {tries} times)")


def _pause(patience: Patience, failures: int, error: SourceError, end: float) -> None:
    most = min(patience.longest_s, patience.first_s * 2 ** (failures - 1))
    asked = error.wait_s if isinstance(error, _Busy) else 0.0
    pause = asked + random.uniform(0, most)  # noqa: S311 — spreads callers, guards nothing
    if asked > patience.longest_wait_s:
        raise SourceError(f"{error.message}: it asks for a pause of {asked:.0f} s") from error
    if time.monotonic() + pause > end:
        raise SourceError(f"{error.message}: the source's 'timeout_s' is over") from error
    patience.sleep(pause)


def _retry_after(text: str | None) -> float:
    """The seconds that ``Retry-After`` names (RFC 9110, 10.2.3), as a number or a time; 0 for none and for what is neither."""
    if text is not None and re.fullmatch(r"[0-9]{1,9}", text.strip()):
        return float(text)
    at = parse_time(text)
    return max(0.0, (at - datetime.now(UTC)).total_seconds()) if at is not None else 0.0
