"""JSON-line logs: one object a line, one file a process and day, every secret masked.

::

    {"ts": "2026-01-31T09:00:00.000000+00:00", "level": "INFO", "logger": "etl.ingest", "message": "…",
     "run_id": "…", "request_id": "…", "model": "flights", "version": 3, …extra}

The file of a day, ``NAME-2026-01-31.jsonl`` in UTC, is never renamed: once its day is over nobody writes to it, and it may go
into an archive. The context fields stand only where they are bound. Lines are ASCII, so no control character or line break of a
message can forge a line (CWE-117).
"""

from __future__ import annotations

import json
import logging
import math
import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

MASK = "***"
_LONGEST = 32_768
_DEEPEST = 8

_NAMES = r"password|passwd|passphrase|secret|token(?!s|iz)|api[_-]?key|authorization|credential|private[_-]?key"
_SECRET_KEY = re.compile(_NAMES, re.IGNORECASE)
# every repetition is bounded, so that a hostile line costs time in proportion to its length
_SECRET_TEXT = re.compile(
    rf"""((?:{_NAMES})\w{{0,20}}["']?\s{{0,3}}[=:]\s{{0,3}}["']?)((?:bearer|basic)\s{{1,3}})?[^\s"',;&}}]+""", re.IGNORECASE
)
_BEARER = re.compile(r"\b((?:bearer|basic)\s{1,3})[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE)
_URL_PASSWORD = re.compile(r"(://[^/\s:@]{0,256}:)[^/\s]*@")

_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
_context: ContextVar[Mapping[str, str | int]] = ContextVar("log_context", default=MappingProxyType({}))


def configure(folder: Path, name: str, level: str = "INFO", run_id: str | None = None) -> Path:
    """Send every record of this process, from ``level`` up, to ``folder/name-DAY.jsonl``, and return the path of today.

    ``run_id`` stands in each line unless one is bound. Called again, it replaces what it had set before.
    """
    folder.mkdir(parents=True, exist_ok=True)
    root = logging.getLogger()
    for handler in [h for h in root.handlers if isinstance(h, _DailyFile)]:
        root.removeHandler(handler)
        handler.close()
    new = _DailyFile(folder, name)
    new.setFormatter(JsonLines(run_id))
    root.addHandler(new)
    root.setLevel(level)
    return new.path


@contextmanager
def bind(
    *, run_id: str | None = None, request_id: str | None = None, model: str | None = None, version: int | None = None
) -> Iterator[None]:
    """Within the block, every record of this thread or task carries these fields; what is None stays as it was."""
    fields = {"run_id": run_id, "request_id": request_id, "model": model, "version": version}
    mark = _context.set({**_context.get(), **{key: value for key, value in fields.items() if value is not None}})
    try:
        yield
    finally:
        _context.reset(mark)


def mask(key: str, value: Any) -> Any:
    """``value`` as a log or a tracking store may hold it: ``***`` when ``key`` names a secret, and no password inside a text."""
    return _plain(value, key, 0)


def mask_text(text: str) -> str:
    """``text`` without the passwords of URLs and the values beside words such as ``token=``."""
    text = _URL_PASSWORD.sub(rf"\1{MASK}@", text)
    text = _SECRET_TEXT.sub(rf"\1\2{MASK}", text)
    return _BEARER.sub(rf"\1{MASK}", text)


class JsonLines(logging.Formatter):
    """Formats a record as one line of JSON, without the line break."""

    def __init__(self, run_id: str | None = None) -> None:
        super().__init__()
        self._always = {} if run_id is None else {"run_id": run_id}

    def format(self, record: logging.LogRecord) -> str:
        """One JSON object in ASCII; see the module's docstring for its fields."""
        line: dict[str, Any] = {
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": _short(mask_text(record.getMessage())),
            **self._always,
            **_context.get(),
        }
        if record.exc_info and record.exc_info[1] is not None:
            line["exception"] = self._exception(record.exc_info[1], record)
        for key, value in record.__dict__.items():
            if key not in _STANDARD and key not in line:
                line[key] = _plain(value, key, 0)
        return json.dumps(line, separators=(",", ":"), allow_nan=False)

    def _exception(self, error: BaseException, record: logging.LogRecord) -> dict[str, Any]:
        text = self.formatException(record.exc_info) if record.exc_info else ""
        fields = {"type": type(error).__name__, "message": _short(mask_text(str(error))), "trace": _short(mask_text(text))}
        facts = getattr(error, "facts", None)
        return {**fields, "facts": _plain(facts, "facts", 0)} if facts else fields


class _DailyFile(logging.Handler):
    """Appends each line in one write, so that processes that share a file do not tear each other's lines (POSIX O_APPEND)."""

    def __init__(self, folder: Path, name: str) -> None:
        super().__init__()
        self._folder, self._name, self._file = folder, name, -1
        self._open(_day(time.time()))

    def emit(self, record: logging.LogRecord) -> None:
        if self._file < 0:  # a library that says good-bye after logging has been shut down
            return
        try:
            if (day := _day(record.created)) > self._opened:  # a record of the day before may still come from another thread
                old = self._file
                self._open(day)
                os.close(old)
            os.write(self._file, (self.format(record) + "\n").encode("ascii"))
        except Exception:  # noqa: BLE001 — the logging module's own rule: a log that fails never ends the program
            self.handleError(record)

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        super().close()

    def _open(self, day: str) -> None:
        self.path = self._folder / f"{self._name}-{day}.jsonl"
        self._file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        self._opened = day


def _day(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d}"


def _plain(value: Any, key: str, depth: int) -> Any:
    """``value`` in JSON's types, masked."""
    if value is not None and _SECRET_KEY.search(key):
        return MASK
    if value is None or isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if depth < _DEEPEST and isinstance(value, Mapping):
        return {str(k): _plain(v, str(k), depth + 1) for k, v in value.items()}
    if depth < _DEEPEST and isinstance(value, list | tuple | set | frozenset):
        return [_plain(v, "", depth + 1) for v in value]
    return _short(mask_text(str(value)))


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… ({len(text) - _LONGEST} more characters)"
