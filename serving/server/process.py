"""The process around the application: its socket, its event loop, its signals."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import logging
import signal
import socket
from collections.abc import Callable, Generator

import uvloop
from uvicorn.config import Config
from uvicorn.server import Server

from core.errors import PortInUse, ServiceError
from serving.server.app import App
from serving.server.protocol import Protocol

_KEEP_ALIVE_S = 75
_BACKLOG = 2048


def bind(host: str, port: int) -> socket.socket:
    """A TCP socket bound to the address, not yet listening; port 0 takes a free one. Raises PortInUse, ServiceError."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        bound = socket.socket(family, kind, protocol)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PortInUse(f"{host}:{port}: another process listens there: end it, or choose another port", port=port) from error
        raise ServiceError(f"{host}:{port}: cannot be bound: {error.strerror or error}", host=host, port=port) from error
    return bound


def serve(
    app: App, bound: socket.socket, *, drain_s: float, on_ready: Callable[[], None], keep_alive_s: int = _KEEP_ALIVE_S
) -> None:
    """Serve until SIGTERM or SIGINT; then take no new connection, finish what is under way within ``drain_s``, and return.

    A connection on which no request became whole for ``keep_alive_s`` is closed.
    """
    config = Config(
        app,
        http=Protocol,
        ws="none",
        lifespan="on",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        backlog=_BACKLOG,
        timeout_keep_alive=keep_alive_s,
        timeout_graceful_shutdown=max(1, round(drain_s)),
    )
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    gc.collect()
    gc.freeze()  # what start-up made stays: no collection need look at it
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_Server(config, on_ready).serve([bound]))


class _Server(Server):
    """uvicorn's server, which ends with its drain and not by raising the signal again: a clean end has exit code 0."""

    def __init__(self, config: Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then say so."""
        await super().startup(sockets)
        self._on_ready()

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second; each tenth looks for idle connections."""
        if counter % 10 == 0:
            now = asyncio.get_running_loop().time()
            for connection in list(self.server_state.connections):
                if isinstance(connection, Protocol):
                    connection.sweep(now)
        return await super().on_tick(counter)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """SIGTERM and SIGINT begin the drain; a second SIGINT ends it."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)
