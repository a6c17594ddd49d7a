"""WebHDFS as this platform uses it: several NameNodes, DataNodes that do not answer, a NameNode that starts.

Source: "WebHDFS REST API" of Hadoop 3.4. The client library knows several NameNodes, but not another DataNode.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Self, TypeVar
from urllib.parse import urlsplit

import requests
import urllib3
from hdfs import HdfsError, InsecureClient  # type: ignore[import-untyped]

from core.errors import ConfigError, DiskFull, StorageDown, StorageError
from core.settings import HdfsSettings

_TIMEOUT_S = (5.0, 60.0)
_WAITS = {"SafeModeException", "RetriableException", "StandbyException"}
_FULL = {"DSQuotaExceededException", "NSQuotaExceededException", "QuotaExceededException"}
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 3.0
BROKEN: tuple[type[Exception], ...] = (requests.ConnectionError, requests.Timeout, urllib3.exceptions.HTTPError, OSError)
"""How a DataNode that dies shows."""

T = TypeVar("T")


@dataclass(frozen=True)
class WebHdfs:
    """One file system. ``patience_s`` is how long a NameNode may be down or in safe mode before a call fails."""

    client: Any
    patience_s: float = 20.0
    dead: set[str] = field(default_factory=set)
    """DataNodes that did not answer, ``HOST:PORT`` of their data transfer: not to be chosen while others live."""

    @classmethod
    def of(cls, settings: HdfsSettings, patience_s: float = 20.0) -> Self:
        """A client of ``settings.web``. Raises ConfigError without an address, and when Kerberos is wanted but not installed."""
        if not settings.web:
            raise ConfigError(
                "hdfs.web names no NameNode: write http://HOST:PORT of its web address, of each where there are two"
            )
        url = ";".join(settings.web)
        if not settings.kerberos:
            return cls(InsecureClient(url, user=settings.user, timeout=_TIMEOUT_S), patience_s)
        try:
            from hdfs.ext.kerberos import KerberosClient  # type: ignore[import-untyped]  # noqa: PLC0415 — an extra
        except ImportError as error:
            raise ConfigError(
                "hdfs.kerberos is true, but the Kerberos extra is not installed: run `uv pip install 'hdfs[kerberos]'`"
            ) from error
        return cls(KerberosClient(url, timeout=_TIMEOUT_S), patience_s)

    def ask(self, operation: str, path: str, **options: str) -> Any:
        """The JSON answer (None where there is none) of a NameNode's operation, such as ``get_file_status``."""

        def call() -> Any:
            answer = getattr(self.client, f"_{operation}")(path, **options)
            return answer.json() if answer.content else None

        return self._patiently(call, path)

    def open_at(self, path: str, offset: int) -> Any:
        """The file's bytes from ``offset`` on, as an urllib3 response that is read and closed by the caller."""
        answer = self._on_datanode("open", "GET", path, offset=str(offset))
        answer.raw.datanode = urlsplit(answer.url).netloc
        return answer.raw

    def create(self, path: str, data: BinaryIO) -> None:
        """Make a file of what ``data`` holds from its beginning; when a DataNode does not answer, to another, from there."""
        self._on_datanode("create", "PUT", path, data, overwrite="true").close()

    def checksum(self, path: str) -> dict[str, Any]:
        """What HDFS says of the file: ``algorithm`` and, in hexadecimal, ``bytes``."""
        with self._on_datanode("get_file_checksum", "GET", path) as answer:
            return dict(answer.json()["FileChecksum"])

    def bury(self, address: str) -> None:
        """Choose the DataNode whose web address is ``address`` no more. A NameNode knows it by the port of its data transfer."""
        self.dead.add(self._transfer_addresses().get(address, address.rsplit(":", 1)[0]))

    def _on_datanode(self, operation: str, verb: str, path: str, data: BinaryIO | None = None, **options: str) -> Any:
        def call() -> Any:
            excluded = {"excludedatanodes": ",".join(sorted(self.dead))} if self.dead else {}
            where = getattr(self.client, f"_{operation}")(path, noredirect="true", **options, **excluded).json()["Location"]
            if data is not None:
                data.seek(0)
            try:
                answer = self.client._session.request(  # noqa: SLF001 — with the client's credentials
                    verb, where, data=data, stream=True, timeout=_TIMEOUT_S,
                    headers={"Content-Type": "application/octet-stream"},
                )  # fmt: skip
            except BROKEN as error:
                self.bury(urlsplit(where).netloc)
                raise _DatanodeLost(f"DataNode {urlsplit(where).netloc} does not answer") from error
            if not answer.ok:
                raise _remote_error(answer)
            return answer

        return self._patiently(call, path)

    def _patiently(self, call: Callable[[], T], path: str) -> T:
        """The answer of ``call``, asked again while the file system may come back."""
        end, pause = time.monotonic() + self.patience_s, _FIRST_PAUSE_S
        while True:
            known = set(self.dead)
            try:
                with _one_line(path):
                    return call()
            except StorageDown:
                if time.monotonic() + pause > end:
                    raise
            except _DatanodeLost as error:
                if self.dead != known:
                    continue  # ask for another one at once
                if time.monotonic() + pause > end:
                    raise StorageDown(f"{path}: {error}, nor does another: start the DataNodes of HDFS", path=path) from error
            self.dead.clear()  # they may be back, and no other may be left
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_S)

    def _transfer_addresses(self) -> dict[str, str]:
        for address in self.client.urls:
            try:
                answer = self.client._session.get(  # noqa: SLF001
                    f"{address.rstrip('/')}/jmx", params={"qry": "Hadoop:service=NameNode,name=NameNodeInfo"}, timeout=_TIMEOUT_S
                )
                nodes = json.loads(answer.json()["beans"][0]["LiveNodes"]).values()
            except (requests.RequestException, ValueError, LookupError):
                continue  # a NameNode that is down; hosts alone then
            return {node["infoAddr"]: node["xferaddr"] for node in nodes}
        return {}


class _DatanodeLost(Exception):
    pass


def _remote_error(answer: Any) -> HdfsError:
    try:
        remote = answer.json()["RemoteException"]
        return HdfsError(remote["message"], exception=remote["exception"])
    except (ValueError, LookupError):
        return HdfsError(f"HTTP status {answer.status_code}")


@contextmanager
def _one_line(path: str) -> Iterator[None]:
    """Raise what the library raises as an error of ours."""
    try:
        yield
    except HdfsError as error:
        raise _translate(error, path) from error
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise StorageDown(f"{path}: no NameNode of HDFS answers: start it, or correct hdfs.web", path=path) from error


def _translate(error: HdfsError, path: str) -> StorageError:
    kind, line = error.exception or "", str(error).split("\n", 1)[0]
    if kind == "FileNotFoundException":
        return StorageError(f"{path}: no such file in HDFS: check that it is there", path=path, missing=True)
    if kind in _WAITS or "Name node is in safe mode" in line:
        return StorageDown(f"{path}: the NameNode of HDFS is starting or in safe mode: wait until it is ready: {line}", path=path)
    if "Failed to find datanode" in line or "There are 0 datanode(s) running" in line:
        return StorageDown(f"{path}: HDFS has no DataNode that can take the call: start its DataNodes", path=path)
    if kind in _FULL or "could only be written to" in line:
        return DiskFull(f"HDFS has no room for {path}: free some space or raise the quota, and run again: {line}", path=path)
    return StorageError(f"{path}: HDFS refuses: {line}", path=path)
