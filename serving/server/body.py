"""A request's body: its type, its size, and how long it may take, checked before and while it is read."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from serving.server.replies import refuse

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

_JSON = b"application/json"
_UTF8 = (b"charset=utf-8", b'charset="utf-8"')


def check_head(headers: Mapping[bytes, bytes], limit: int) -> None:
    """Raise Refused for a body that need not be read: 415 when it is not plain JSON, 413 when it says that it is too large."""
    content_type = headers.get(b"content-type", _JSON)
    if content_type != _JSON or b"content-encoding" in headers or b"inference-header-content-length" in headers:
        _check_type(headers, content_type)
    if int(headers.get(b"content-length", b"0")) > limit:
        raise _too_large(limit)


async def read_body(receive: Receive, limit: int, timeout_s: float) -> bytes:
    """The whole body; raises Refused: 413 above ``limit`` bytes, 408 after ``timeout_s``, 499 when the client goes away."""
    message = await receive()
    if message.get("more_body"):
        return await _read_rest(message["body"], receive, limit, timeout_s)
    body: bytes = message.get("body", b"")
    if len(body) > limit:
        raise _too_large(limit)
    return body


async def _read_rest(first: bytes, receive: Receive, limit: int, timeout_s: float) -> bytes:
    parts, size = [first], len(first)
    try:
        async with asyncio.timeout(timeout_s):
            while size <= limit:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise refuse(499, "the client went away before its body was whole")
                parts.append(message["body"])
                size += len(message["body"])
                if not message.get("more_body") and size <= limit:
                    return b"".join(parts)
    except TimeoutError:
        raise refuse(408, f"the body was not whole after {timeout_s:g} s", (b"connection", b"close")) from None
    raise _too_large(limit)


def _check_type(headers: Mapping[bytes, bytes], content_type: bytes) -> None:
    if b"inference-header-content-length" in headers:
        raise refuse(400, "tensors in binary form are not taken here: send JSON, without binary_data")
    if headers.get(b"content-encoding", b"identity").lower() != b"identity":
        raise refuse(415, "a compressed body is not taken: send it without Content-Encoding", (b"accept-encoding", b"identity"))
    kind, *parameters = [part.strip().lower() for part in content_type.split(b";")]
    if kind != _JSON or any(parameter and parameter not in _UTF8 for parameter in parameters):
        shown = content_type[:60].decode("latin-1")
        raise refuse(415, f"Content-Type is {shown!r}: send application/json in UTF-8", (b"accept", _JSON))


def _too_large(limit: int) -> Exception:
    return refuse(413, f"the body is larger than {limit} bytes: send fewer rows in each request")
