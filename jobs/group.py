"""Services that one supervisor keeps: how they are brought up together, looked at and ended."""

from __future__ import annotations

import fcntl
import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from core.errors import PortInUse, ServiceError
from core.settings import Settings
from jobs.health import ask
from jobs.processes import Record, Service, ServiceState, end, lives, members, write_json
from jobs.supervisor import LOCK, PLAN, RECORD

_GIVE_UP_AFTER = 3
_MARGIN_S = 5.0

Secrets = Mapping[str, Mapping[str, str]]
"""Of each service by name."""


@dataclass(frozen=True, slots=True)
class Group:
    """The services of one run folder. ``command`` is what starts them, for messages."""

    run: Path
    logs: Path
    level: str
    command: str
    grace_s: float
    """How long the slowest service may take to end."""

    @classmethod
    def of(cls, settings: Settings, folder: str, command: str, grace_s: float) -> Group:
        """The group that runs in ``folder`` of the home folder."""
        return cls(
            settings.at_home(Path(folder)),
            settings.at_home(settings.logs.folder),
            settings.logs.level,
            command,
            grace_s + _MARGIN_S,
        )

    def up(self, services: Callable[[], Sequence[Service]], secrets: Secrets, timeout_s: float) -> list[ServiceState]:
        """Start what ``services`` gives and return when all is well; what runs already is ``already up``.

        Raises ServiceError when one does not come up within ``timeout_s``; what was started is then ended.
        """
        self.run.mkdir(parents=True, exist_ok=True)
        with _locked(self.run / "up.lock"):
            if _is_locked(self.run / LOCK):
                self.wait(timeout_s)
                return [state.now("already up") if state.state == "up" else state for state in self.status(secrets)]
            self._end_leftovers()
            self.start(services())
            try:
                return list(self.wait(timeout_s))
            except BaseException:
                self.down()
                raise

    def down(self) -> list[ServiceState]:
        """End the services and their supervisor; returns those that ran, now ``down``. Nothing to end is no error."""
        record = Record.read(self.run / RECORD)
        if record is None:
            return []
        if lives(record.supervisor, record.started):
            supervisor = psutil.Process(record.supervisor)
            supervisor.terminate()
            _, alive = psutil.wait_procs([supervisor], timeout=self.grace_s + _MARGIN_S)
            for process in alive:
                process.kill()
        self._end_leftovers()
        return [state.now("down", "") for state in record.services]

    def status(self, secrets: Secrets) -> list[ServiceState]:
        """What the services are doing now, each asked for its health; empty when none was started."""
        record = Record.read(self.run / RECORD)
        if record is None:
            return []
        supervised = lives(record.supervisor, record.started)
        return [self._look(state, supervised, secrets.get(state.name, {})) for state in record.services]

    def memory(self) -> dict[str, float]:
        """Megabytes that each service and its supervisor hold now; what processes share is counted once (PSS)."""
        record = Record.read(self.run / RECORD)
        if record is None:
            return {}
        held = {state.name: members(self.run, [state.name]) for state in record.services}
        held["supervisor"] = [psutil.Process(record.supervisor)] if lives(record.supervisor, record.started) else []
        return {name: sum(map(_pss, processes)) / 1e6 for name, processes in held.items()}

    def start(self, services: Sequence[Service]) -> None:
        """Start the supervisor with these services; it returns at once."""
        self.logs.mkdir(parents=True, exist_ok=True)
        plans = [asdict(service) for service in services]
        secrets = {plan["name"]: plan.pop("secrets") for plan in plans}
        write_json(self.run / PLAN, {"logs": str(self.logs), "level": self.level, "services": plans})
        with (self.logs / "supervisor.log").open("ab") as log:
            command = [sys.executable, "-m", "jobs.supervisor", str(self.run)]
            handed = json.dumps(secrets).encode()
            done = subprocess.run(
                command, cwd=self.run, input=handed, stdout=log, stderr=log, start_new_session=True, check=False
            )
        if done.returncode:
            raise ServiceError(f"the supervisor did not start{_last_words(self.logs / 'supervisor.log')}")

    def wait(self, timeout_s: float) -> tuple[ServiceState, ...]:
        """The states once all are up; raises ServiceError with the last line of the log of one that is not."""
        deadline = time.monotonic() + timeout_s
        while True:
            record = Record.read(self.run / RECORD)
            if record is None:
                raise ServiceError(f"the services were ended while they started: run `{self.command}` again")
            late = [state for state in record.services if state.state != "up"]
            if not late:
                return record.services
            for state in late:
                if state.restarts >= _GIVE_UP_AFTER:
                    raise ServiceError(f"{state.name} ends again and again{_last_words(Path(state.log))}", service=state.name)
            if time.monotonic() > deadline:
                why = f" ({late[0].detail})" if late[0].detail else ""
                raise ServiceError(
                    f"{late[0].name} did not answer within {timeout_s:g} s{why}{_last_words(Path(late[0].log))}",
                    service=late[0].name,
                )
            time.sleep(0.1)

    def _look(self, state: ServiceState, supervised: bool, secrets: Mapping[str, str]) -> ServiceState:
        if not lives(state.pid, state.started):
            return state.now("restarting" if supervised else "down")
        if not supervised:
            return state.now("unsupervised", f"its supervisor died: run `{self.command}`")
        health = ask(state.health, secrets)
        if health.well:
            return state.now("up", "")
        if health.answers:
            return state.now("not ready", health.trouble)
        return state.now("starting" if state.state == "starting" else "not answering", health.trouble)

    def _end_leftovers(self) -> None:
        """End services whose supervisor is gone, and forget them."""
        end(self.run, None, self.grace_s)
        (self.run / RECORD).unlink(missing_ok=True)


def free_port(host: str, port: int, who: str, remedy: str, setting: str = "") -> int:
    """``port``, or a free one for 0; raises PortInUse, which says what to do."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            message = f"{host}:{port} is in use ({error.strerror}), and {who} needs it: end what listens there, or {remedy}"
            raise PortInUse(message, port=port, setting=setting) from error
        return int(probe.getsockname()[1])


def _pss(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return 0


def _last_words(log: Path) -> str:
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError:
        lines = []
    last = next((line.strip() for line in reversed(lines) if line.strip()), "nothing")
    return f"; the last it wrote is {last[:300]!r}, the rest is in {log}"


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _is_locked(path: Path) -> bool:
    with path.open("ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
