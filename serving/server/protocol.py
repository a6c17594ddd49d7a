"""uvicorn's HTTP/1.1 protocol over httptools, with bounds on what a client may send and refusals in JSON."""

from __future__ import annotations

import orjson
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

_MAX_HEAD = 32_768
_MAX_HEADERS = 100
_MAX_CHUNKS = 65_536
_MAX_DISCARDED = 256 << 20


class Protocol(HttpToolsProtocol):
    """Ends a connection whose request line and headers, count of chunks, or unread rest of a refused body are out of bounds."""

    def on_message_begin(self) -> None:
        """A new request: its counts start again."""
        super().on_message_begin()
        self._head = self._chunks = self._discarded = 0

    def on_url(self, url: bytes) -> None:
        """A part of the request line."""
        self._head += len(url)
        super().on_url(url)
        if self._head > _MAX_HEAD:
            raise ValueError("the request line is too long")

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header."""
        self._head += len(name) + len(value)
        if self._head > _MAX_HEAD or len(self.headers) >= _MAX_HEADERS:
            raise ValueError("the headers are too many or too long")
        super().on_header(name, value)

    def on_chunk_header(self) -> None:
        """One chunk: a flood of tiny ones costs far more than their bytes."""
        self._chunks += 1
        if self._chunks > _MAX_CHUNKS:
            raise ValueError("too many chunks")

    def on_body(self, body: bytes) -> None:
        """A part of the body. What comes after a refusal is read and dropped, for a while: a client reads when it has sent."""
        if self.cycle.response_complete:
            self._discarded += len(body)
            if self._discarded > _MAX_DISCARDED:
                self.transport.abort()
        super().on_body(body)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002
        """The answer to what is no HTTP/1.1 request within the bounds."""
        body = orjson.dumps({"error_code": "BAD_REQUEST", "message": "not an HTTP/1.1 request, or one beyond the limits"})
        head = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body)
        self.transport.write(STATUS_LINE[400] + head + body)
        self.transport.close()
