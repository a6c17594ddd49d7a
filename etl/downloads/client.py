"""A client for GET that goes to no address that the guard does not admit, follows few redirects, and ends in time."""

from __future__ import annotations

import http.client
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import urllib3
from urllib3.response import HTTPResponse

from core.errors import SourceDown, SourceError
from etl.downloads.connection import Alarm, prepare
from etl.downloads.guard import Guard
from etl.downloads.urls import Target

_REDIRECTS = {301, 302, 303, 307, 308}
_PIECE = 1 << 16
_OWN = {"Accept": "*/*", "Accept-Encoding": "identity", "Connection": "close", "User-Agent": "maas-download"}


@dataclass(frozen=True, slots=True)
class Limits:
    """What a server may cost. ``total_s`` is for a whole download, with all its tries and pauses; the others for one answer."""

    body_bytes: int = 1 << 30
    total_s: float = 3600.0
    stall_s: float = 30.0
    head_bytes: int = 1 << 16
    redirects: int = 5


@dataclass(frozen=True, slots=True)
class Answer:
    """A server's answer whose body has not been read. ``framed``: its end can be told from a connection that was cut."""

    target: Target
    status: int
    headers: Mapping[str, str]
    length: int | None
    framed: bool
    response: HTTPResponse = field(repr=False)
    alarm: Alarm = field(repr=False)

    def pieces(self) -> Iterator[bytes]:
        """The body as it was sent, still encoded. Raises SourceDown when it breaks off, SourceError when the time is over."""
        while piece := self._read():
            yield piece

    def _read(self) -> bytes:
        with _failures(self.target, self.alarm):
            piece = self.response.read1(_PIECE, decode_content=False) or b""
            if self.alarm.rang:
                raise TimeoutError
            return piece


@dataclass(frozen=True, slots=True)
class Client:
    """GET, with ``secrets`` as headers that no other origin than the first one's sees. No cookies, no proxies, no ``.netrc``."""

    guard: Guard = field(default_factory=Guard)
    limits: Limits = Limits()
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    tls: ssl.SSLContext | None = field(default=None, repr=False)

    @contextmanager
    def get(self, target: Target, headers: Mapping[str, str], deadline: float | None = None) -> Iterator[Answer]:
        """The answer at ``target`` or where it redirects to; each hop is checked as the first one was.

        ``deadline`` is of ``time.monotonic``; ``limits.total_s`` from now when left out. Raises SourceError for what is refused,
        SourceDown for a server that does not answer.
        """
        end = time.monotonic() + self.limits.total_s if deadline is None else deadline
        first, secrets = target.origin, self.secrets
        for _ in range(self.limits.redirects + 1):
            if target.origin != first:
                secrets = {}  # for good: the way back is another's choice
            with self._ask(target, {**_OWN, **headers}, secrets, end) as answer:
                if answer.status not in _REDIRECTS:
                    yield answer
                    return
                target = _follow(answer)
        raise SourceError(f"{target}: more than {self.limits.redirects} redirects: put the last URL into the source")

    @contextmanager
    def _ask(self, target: Target, headers: Mapping[str, str], secrets: Mapping[str, str], end: float) -> Iterator[Answer]:
        admitted = self.guard.admit(target)
        if secrets and target.scheme != "https" and not admitted.named:
            raise SourceError(f"{target}: its headers hold a secret, which is sent by https only: change the URL")
        with Alarm(end) as alarm:
            connection = prepare(target, admitted.addresses, alarm, self.limits.stall_s, self.tls)
            try:
                with _failures(target, alarm):
                    connection.request("GET", target.path, headers={**headers, **secrets}, preload_content=False)
                    response = connection.getresponse()
                try:
                    yield self._checked(target, response, alarm)
                finally:
                    response.close()
            finally:
                connection.close()

    def _checked(self, target: Target, response: HTTPResponse, alarm: Alarm) -> Answer:
        size = sum(len(name) + len(value) + 4 for name, value in response.headers.items())
        if size > self.limits.head_bytes:
            raise SourceError(
                f"{target}: the answer's head is longer than {self.limits.head_bytes} bytes: ask the server's owner"
            )
        length, chunked = response.length_remaining, bool(response.chunked)
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Answer(target, response.status, headers, length, chunked or length is not None, response, alarm)


def _follow(answer: Answer) -> Target:
    location = answer.headers.get("location")
    if location is None:
        raise SourceError(f"{answer.target}: a redirect ({answer.status}) to nowhere: ask the server's owner")
    try:
        target = answer.target.join(location)
    except ValueError as error:
        raise SourceError(f"{answer.target}: redirects to what is not fetched: {error}") from error
    if answer.target.scheme == "https" and target.scheme == "http":
        raise SourceError(f"{answer.target}: redirects from https to http, at {target.host}: what came could be anyone's")
    return target


@contextmanager
def _failures(target: Target, alarm: Alarm) -> Iterator[None]:
    try:
        yield
    except (OSError, http.client.HTTPException, urllib3.exceptions.HTTPError) as error:
        if alarm.rang or alarm.left <= 0:
            raise SourceError(f"{target}: took longer than it may: raise the source's key 'timeout_s', or ask why") from error
        if isinstance(error, ssl.SSLCertVerificationError):
            raise SourceError(f"{target}: its certificate does not hold: {error.verify_message}: check the URL") from error
        if isinstance(error, TimeoutError | urllib3.exceptions.TimeoutError):
            raise SourceDown(f"{target}: the server does not answer: see that it runs, then run again") from error
        what = "".join(letter for letter in str(error)[:200] if letter.isprintable()) or type(error).__name__
        raise SourceDown(f"{target}: the connection fails: {what}: see that the server runs, then run again") from error
