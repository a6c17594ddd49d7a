"""A web server of a test's own, whose answers the test chooses."""

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate, parsedate_to_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Handler = BaseHTTPRequestHandler
Page = Callable[[Handler], None]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    pages: dict[str, Page]
    asked: list[tuple[str, dict[str, str]]]

    def handle_error(self, *_: Any) -> None:
        """Clients that hang up are what these tests are about."""


class _Handler(Handler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:  # noqa: N802 — the library's name
        server: Any = self.server
        server.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
        server.pages.get(self.path, status(404))(self)
        self.close_connection = True

    def log_message(self, *_: Any) -> None:
        """Nothing is printed."""


@dataclass(frozen=True)
class Web:
    """A server at ``url`` that answers by ``pages``, and keeps what it was asked: paths with their headers."""

    port: int
    pages: dict[str, Page]
    asked: list[tuple[str, dict[str, str]]]
    scheme: str = "http"

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"


@contextmanager
def serve(tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> Iterator[Web]:
    server = _Server((host, 0), _Handler)
    server.pages, server.asked = {}, []
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield Web(server.server_port, server.pages, server.asked, "http" if tls is None else "https")
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def status(code: int, body: bytes = b"", **headers: str) -> Page:
    """A page with a status, a body and headers (``_`` for ``-``)."""

    def answer(handler: Handler) -> None:
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def redirect(location: str, code: int = 302) -> Page:
    return status(code, Location=location)


def raw(*pieces: bytes) -> Page:
    """Bytes as they are, head and all, then the end of the connection."""

    def answer(handler: Handler) -> None:
        for piece in pieces:
            handler.wfile.write(piece)
            handler.wfile.flush()

    return answer


def in_turn(*pages: Page) -> Page:
    """A page that is another one each time; the last one stays."""
    left = list(pages)

    def answer(handler: Handler) -> None:
        (left.pop(0) if len(left) > 1 else left[0])(handler)

    return answer


@dataclass
class Served:
    """A file as a good server gives it: validators, conditions, ranges. ``cuts``: where the next answers break off."""

    content: bytes
    etag: str | None = '"1"'
    modified: float | None = None
    ranges: bool = True
    cuts: list[int] = field(default_factory=list)
    coding: str | None = None

    def __call__(self, handler: Handler) -> None:
        asked = handler.headers
        modified = None if self.modified is None else formatdate(self.modified, usegmt=True)
        if self._is_same(asked.get("If-None-Match"), asked.get("If-Modified-Since")):
            self._head(handler, 304, modified)
            return
        start, code = 0, 200
        if self.ranges and asked.get("Range") and asked.get("If-Range") in {self.etag, modified}:
            start, code = int(asked["Range"].removeprefix("bytes=").rstrip("-")), 206
        if code == 206 and start >= len(self.content):
            status(416)(handler)
            return
        body = self.content[start:]
        more = {"Content-Length": str(len(body))}
        if code == 206:
            more["Content-Range"] = f"bytes {start}-{len(self.content) - 1}/{len(self.content)}"
        self._head(handler, code, modified, **more)
        handler.wfile.write(body[: self.cuts.pop(0)] if self.cuts else body)

    def _is_same(self, etag: str | None, since: str | None) -> bool:
        if etag is not None:
            return etag == self.etag
        return since is not None and self.modified is not None and parsedate_to_datetime(since).timestamp() >= int(self.modified)

    def _head(self, handler: Handler, code: int, modified: str | None, **headers: str) -> None:
        handler.send_response(code)
        for name, value in {"ETag": self.etag, "Last-Modified": modified, "Content-Encoding": self.coding, **headers}.items():
            if value is not None:
                handler.send_header(name, value)
        handler.end_headers()
