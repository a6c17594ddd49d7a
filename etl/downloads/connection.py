"""A connection to one of the addresses that were checked, under the name that was asked for, and its end in time."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Self

from urllib3.connection import HTTPConnection, HTTPSConnection

from etl.downloads.urls import Target


class Alarm:
    """Ends a connection at ``deadline`` (of ``time.monotonic``), whatever is read from it then: a head, a trickle, an end.

    A socket's own timeout begins anew with each byte, so it does not end a slow server's answer.
    """

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.rang = False
        self._socket: socket.socket | None = None
        self._timer = threading.Timer(max(0.0, self.left), self._ring)
        self._timer.daemon = True
        self._lock = threading.Lock()

    @property
    def left(self) -> float:
        """The seconds until the deadline; negative after it."""
        return self.deadline - time.monotonic()

    def watch(self, connected: socket.socket) -> None:
        """Take charge of a connection. A duplicate is kept: TLS takes the descriptor of the socket that it wraps away from it."""
        with self._lock:
            self._socket = connected.dup()
            if self.rang:
                self._end()

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        self._timer.join()
        if self._socket is not None:
            self._socket.close()

    def _ring(self) -> None:
        with self._lock:
            self.rang = True
            self._end()

    def _end(self) -> None:
        if self._socket is not None:
            with suppress(OSError):  # the server ended it first
                self._socket.shutdown(socket.SHUT_RDWR)


class _Pinned:
    """What the two kinds of connection share: no name is resolved here."""

    addresses: Sequence[str]
    alarm: Alarm

    def _new_conn(self) -> socket.socket:
        port, patience = self.port, self.timeout  # type: ignore[attr-defined]  # of the connection
        failed: OSError = OSError("no address")
        for address in self.addresses:
            try:
                connected = _dial(address, port, min(patience, max(self.alarm.left, 0.001)))
            except OSError as error:
                failed = error
                continue
            self.alarm.watch(connected)
            connected.settimeout(patience)
            return connected
        raise failed


class _Plain(_Pinned, HTTPConnection):
    pass


class _Encrypted(_Pinned, HTTPSConnection):
    pass


def prepare(
    target: Target, addresses: Sequence[str], alarm: Alarm, patience_s: float, tls: ssl.SSLContext | None
) -> HTTPConnection:
    """A connection, not yet made, to the first of ``addresses`` that answers; Host, SNI and certificate are of the target's host.

    Proxies of the environment are not asked: they would resolve the name again.
    """
    made: Any
    if target.scheme == "https":
        made = _Encrypted(target.host, target.port, timeout=patience_s, ssl_context=tls or ssl.create_default_context())
    else:
        made = _Plain(target.host, target.port, timeout=patience_s)
    made.addresses, made.alarm = addresses, alarm
    return made  # type: ignore[no-any-return]


def _dial(address: str, port: int, patience_s: float) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    connected = socket.socket(family, socket.SOCK_STREAM)
    try:
        connected.settimeout(patience_s)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connected.connect((address, port))
    except BaseException:
        connected.close()
        raise
    return connected
