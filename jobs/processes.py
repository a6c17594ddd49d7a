"""The processes of `maas up`, `maas cluster up` and `maas airflow up`: how they are started, recorded, recognized and ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import psutil

from core.errors import CorruptFile
from core.storage.whole import write_whole

MARK = "MAAS_SERVICE"
"""In the environment of each process of ours: run folder and service, so that a child is known when its parent is gone."""

_SAME_START_S = 1.0


@dataclass(frozen=True, slots=True)
class Service:
    """A server to be kept running."""

    name: str
    command: tuple[str, ...]
    host: str
    port: int
    health: str
    """The URL by which ``jobs.health`` asks how it is; ``{started}`` in it becomes the time when the process was made."""
    log: str
    grace_s: float
    """How long it may take to end after SIGTERM."""
    environment: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    """Environment too, and what its health is asked with; handed over through a pipe and never written to a file."""
    url: str = ""
    """What a person is shown as its address; empty: ``http://HOST:PORT``."""


@dataclass(frozen=True, slots=True)
class ServiceState:
    """What a service is doing.

    ``starting``, ``not ready``, ``up``, ``already up``, ``not answering``, ``restarting``, ``unsupervised`` or ``down``.
    """

    name: str
    state: str
    pid: int
    started: float
    """When the process was made, in seconds since 1970: a pid alone may be another's by now."""
    port: int
    url: str
    log: str
    health: str
    restarts: int = 0
    detail: str = ""
    """What there is to know beside it, such as a model that is not served."""

    def now(self, state: str, detail: str | None = None) -> Self:
        """The same service in another state."""
        return replace(self, state=state, detail=self.detail if detail is None else detail)


@dataclass(frozen=True, slots=True)
class Record:
    """The file ``services.json``: the supervisor and its services."""

    supervisor: int
    started: float
    services: tuple[ServiceState, ...]

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """What the file says, or None when there is none; raises CorruptFile."""
        try:
            document = json.loads(path.read_bytes())
            services = tuple(ServiceState(**state) for state in document["services"])
            return cls(int(document["supervisor"]), float(document["started"]), services)
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise CorruptFile(
                f"{path}: not a record of services: {error}: end them by hand and delete it", file=str(path)
            ) from error

    def write(self, path: Path) -> None:
        """Replace the file, whole or not at all."""
        write_json(path, asdict(self))


def write_json(path: Path, document: Any) -> None:
    """Replace a file that only its owner may read, whole or not at all."""
    write_whole(path, json.dumps(document, indent=1).encode())


def start(service: Service, run: Path) -> subprocess.Popen[bytes]:
    """Start the service in a session of its own, with its output at the end of its log."""
    environment = {**os.environ, **service.environment, **service.secrets, MARK: mark(run, service.name)}
    with Path(service.log).open("ab") as log:
        return subprocess.Popen(
            service.command, cwd=run, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True
        )


def mark(run: Path, name: str) -> str:
    """What the environment of each process of that service says."""
    return f"{run}:{name}"


def start_time(pid: int) -> float:
    """When process ``pid`` was made, or 0 when there is none."""
    try:
        return psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        return 0.0


def lives(pid: int, started: float) -> bool:
    """Whether ``pid`` is still the process that was made at ``started``, and not a dead one waiting to be reaped."""
    try:
        process = psutil.Process(pid)
        return abs(process.create_time() - started) < _SAME_START_S and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def members(run: Path, names: Iterable[str] | None = None) -> list[psutil.Process]:
    """The live processes that bear the mark of one of the services (None: of any): it and all that it started."""
    wanted = None if names is None else {mark(run, name) for name in names}
    found = []
    for process in psutil.process_iter():
        try:
            theirs = process.environ().get(MARK, "")
            ours = theirs.startswith(mark(run, "")) if wanted is None else theirs in wanted
            if ours and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def end(run: Path, names: Iterable[str] | None, grace_s: float) -> None:
    """End every process of those services (None: of all): SIGTERM, and after ``grace_s`` SIGKILL."""
    names = None if names is None else tuple(names)
    send(members(run, names), signal.SIGTERM)
    deadline = time.monotonic() + grace_s
    while members(run, names):
        if time.monotonic() > deadline:
            send(members(run, names), signal.SIGKILL)
        time.sleep(0.1)


def send(processes: Iterable[psutil.Process], number: signal.Signals) -> None:
    """Signal the processes; psutil checks that each is still the one that was found."""
    for process in processes:
        try:
            process.send_signal(number)
        except psutil.NoSuchProcess:
            continue


def open_files(folder: Path) -> set[Path]:
    """The files below ``folder`` that a process has open which this user may look at, without links in their paths."""
    root, found = folder.resolve(), set[Path]()
    for process in psutil.process_iter():
        try:
            found.update(Path(file.path) for file in process.open_files())
        except (psutil.NoSuchProcess, psutil.AccessDenied):  # another user's, or it has just ended
            continue
    return {file for file in found if file.is_relative_to(root)}
