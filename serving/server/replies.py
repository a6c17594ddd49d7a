"""What goes back: the one place where errors become HTTP statuses and JSON bodies."""

from __future__ import annotations

import logging
import os
import re
from dataclasses import dataclass
from http import HTTPStatus
from itertools import count
from typing import NamedTuple

import orjson

from core.errors import InputError, MaasError, ModelError, ModelNotFound, StorageError

Headers = list[tuple[bytes, bytes]]

JSON: tuple[bytes, bytes] = (b"content-type", b"application/json")
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")
_CODES = {
    400: "BAD_REQUEST",
    404: "RESOURCE_DOES_NOT_EXIST",
    405: "METHOD_NOT_ALLOWED",
    408: "REQUEST_TIMEOUT",
    413: "REQUEST_TOO_LARGE",
    415: "UNSUPPORTED_MEDIA_TYPE",
    431: "HEADERS_TOO_LARGE",
    500: "INTERNAL_ERROR",
    503: "TEMPORARILY_UNAVAILABLE",
}

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Refused(Exception):
    """A request that HTTP itself forbids: path, method, headers or size. It never leaves the transport."""

    status: int
    message: str
    headers: Headers


class Reply(NamedTuple):
    """A whole answer."""

    status: int
    headers: Headers
    body: bytes


def refuse(status: int, message: str, *headers: tuple[bytes, bytes]) -> Refused:
    """The error to raise for a request that is answered with ``status``."""
    return Refused(status, message, list(headers))


def error_reply(error: Exception, *, v2: bool = False) -> Reply:
    """The answer to an error: ``{"error_code", "message"}``, or ``{"error"}`` in the Open Inference Protocol.

    An error that is none of ours is a fault of the server: it is logged with its trace, and its text stays here.
    """
    if isinstance(error, Refused):
        return _reply(error.status, error.message, error.headers, v2=v2)
    if isinstance(error, MaasError):
        return _reply(_status(error), error.message, [], v2=v2)
    _log.error("a request failed on a fault of the server", exc_info=error)
    return _reply(500, "the server failed on this request: its log has the reason", [], v2=v2)


def head(status: int, headers: Headers) -> bytes:
    """Status line and headers as HTTP/1.1 writes them, without the empty line that ends them."""
    phrase = HTTPStatus(status).phrase.encode()
    return b"HTTP/1.1 %d %b\r\n%b" % (status, phrase, b"".join(b"%b: %b\r\n" % header for header in headers))


def json_reply(document: object, status: int = 200, *headers: tuple[bytes, bytes]) -> Reply:
    """An answer with a JSON body."""
    return Reply(status, [JSON, *headers], orjson.dumps(document))


class RequestIds:
    """Ids for answers: the client's own when it is sane, else one that no other process gives."""

    __slots__ = ("_next", "_prefix")

    def __init__(self) -> None:
        self._prefix = os.urandom(6).hex().encode()
        self._next = count(1).__next__

    def choose(self, given: bytes | None) -> bytes:
        """``given`` when it is 1 to 128 letters, digits and ``._:/+=@-``; else a new id."""
        if given is not None and _REQUEST_ID.fullmatch(given):
            return given
        return b"%b-%x" % (self._prefix, self._next())


def _status(error: MaasError) -> int:
    if isinstance(error, InputError):
        return 413 if "limit" in error.facts else 400
    if isinstance(error, ModelNotFound):
        return 404
    return 503 if isinstance(error, ModelError | StorageError) else 500


def _reply(status: int, message: str, headers: Headers, *, v2: bool) -> Reply:
    document = {"error": message} if v2 else {"error_code": _CODES.get(status, "BAD_REQUEST"), "message": message}
    body = orjson.dumps(document, default=str) if message.isascii() else orjson.dumps(_printable(document))
    return Reply(status, [JSON, *headers], body)


def _printable(document: dict[str, str]) -> dict[str, str]:
    """Lone surrogates, which may stand in a path, are no UTF-8."""
    return {key: text.encode("utf-8", "backslashreplace").decode() for key, text in document.items()}
