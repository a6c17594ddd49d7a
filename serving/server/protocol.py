"""uvicorn's HTTP/1.1 protocol over httptools, with bounds on what a client may send and refusals in JSON.

A request for a known invocation is held until the bytes that came with it are read. If it is whole by then, it is answered at
once (``App.answer_now``), without ASGI; if not, it goes uvicorn's way.
Idle connections are found by a look at all of them once a second (``sweep``), not by a timer for each request.
"""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from serving.server.app import App

_MAX_HEAD = 32_768
_MAX_HEADERS = 100
_MAX_PARTIAL = 524_288
"""Bytes that may come while a head is not whole: more than one read of the event loop, which may hold requests before it."""
_MAX_CHUNKS = 65_536
_MAX_DISCARDED = 256 << 20


class Protocol(HttpToolsProtocol):
    """Ends a connection whose head, count of chunks, unread rest of a refused body, or silence is out of bounds."""

    _head = _chunks = _discarded = _partial = 0
    _in_head = True
    _quiet_since = 0.0
    _held: bytes | None = None
    """The body so far of a request that may be answered at once."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client came: its first head is awaited from now on."""
        super().connection_made(transport)
        self._application: App = self.config.app  # type: ignore[assignment]
        self._quiet_since = self.loop.time()

    def data_received(self, data: bytes) -> None:
        """Bytes came; a head that does not end is not collected for ever."""
        super().data_received(data)
        if self._held is not None and not self.transport.is_closing():
            self._release()
        if self._in_head:
            self._partial += len(data)
            if self._partial > _MAX_PARTIAL and not self.transport.is_closing():
                self.send_400_response("")

    def on_message_begin(self) -> None:
        """A new request: its counts start again."""
        super().on_message_begin()
        self._head = self._chunks = self._discarded = self._partial = 0
        self._in_head = True

    def on_url(self, url: bytes) -> None:
        """A part of the request line."""
        self._head += len(url)
        if self._head > _MAX_HEAD:
            raise ValueError("the request line is too long")
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header."""
        self._head += len(name) + len(value)
        if self._head > _MAX_HEAD or len(self.headers) >= _MAX_HEADERS:
            raise ValueError("the headers are too many or too long")
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self._in_head = False
        if self._may_be_held():
            self._held = b""
        else:
            super().on_headers_complete()

    def on_chunk_header(self) -> None:
        """One chunk: a flood of tiny ones costs far more than their bytes."""
        self._chunks += 1
        if self._chunks > _MAX_CHUNKS:
            raise ValueError("too many chunks")

    def on_body(self, body: bytes) -> None:
        """A part of the body. What comes after a refusal is read and dropped, for a while: a client reads when it has sent."""
        if self._held is not None:
            self._held += body
            return
        if self.cycle.response_complete:
            self._discarded += len(body)
            if self._discarded > _MAX_DISCARDED:
                self.transport.abort()
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole; the next one's head may come."""
        self._in_head, self._partial = True, 0
        if self._held is not None:
            answer = self._application.answer_now(self.url, self.headers, self._held)
            if answer is not None:
                self._held = None
                self.transport.write(answer)
                self.server_state.total_requests += 1
                self._quiet_since = self.loop.time()
                return
            self._release()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """The answer is out: start the next request that waits, or wait for one."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        else:
            self._quiet_since = self.loop.time()

    def sweep(self, now: float) -> None:
        """Close the connection when no request is under way and none became whole for the keep-alive time."""
        idle = self.cycle is None or self.cycle.response_complete
        if idle and now - self._quiet_since > self.timeout_keep_alive and not self.transport.is_closing():
            self.transport.close()

    def _may_be_held(self) -> bool:
        """Whether nothing but an answer stands between this request and the next: no other, no close, no 100 Continue."""
        parser = self.parser
        return (
            self.url in self._application.repository.snapshot.routes
            and parser.get_method() == b"POST"
            and (self.cycle is None or self.cycle.response_complete)
            and not self.expect_100_continue
            and not self.flow.write_paused
            and parser.should_keep_alive()
            and not parser.should_upgrade()
        )

    def _release(self) -> None:
        """Hand what was held to uvicorn."""
        body, self._held = self._held, None
        super().on_headers_complete()
        if body:
            super().on_body(body)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002
        """The answer to what is no HTTP/1.1 request within the bounds."""
        document: dict[str, Any] = {"error_code": "BAD_REQUEST", "message": "not an HTTP/1.1 request, or one beyond the limits"}
        body = orjson.dumps(document)
        head = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body)
        self.transport.write(STATUS_LINE[400] + head + body)
        self.transport.close()
