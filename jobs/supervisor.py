"""``python -m jobs.supervisor RUN``: keeps the services of ``RUN/plan.json`` running until SIGTERM.

It leaves its terminal, holds ``RUN/supervisor.lock`` while it lives, and writes ``RUN/services.json`` whenever something changes.
What dies is started again after 0.5 s, 1 s, 2 s … 30 s; a minute of health forgives earlier deaths. What stops answering for
30 s is ended and started again. The services' secrets come through standard input, once, and stay in memory.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from core.logs import configure
from jobs.health import ask
from jobs.processes import Record, Service, ServiceState, end, start, start_time

PLAN, RECORD, LOCK = "plan.json", "services.json", "supervisor.lock"

_TICK_S = 0.1
_PROBE_SOON_S = 0.3
_PROBE_EVERY_S = 2.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 30.0
_FORGIVEN_AFTER_S = 60.0
_HUNG_AFTER_S = 30.0
_START_UP_S = 180.0

_log = logging.getLogger("jobs.supervisor")


@dataclass(slots=True)
class Ward:
    """One service under supervision."""

    service: Service
    run: Path
    process: subprocess.Popen[bytes] | None = None
    state: str = "starting"
    detail: str = ""
    started: float = 0.0
    restarts: int = 0
    failures: int = 0
    start_at: float = 0.0
    probe_at: float = 0.0
    well_since: float | None = None
    unwell_since: float = 0.0

    @property
    def health(self) -> str:
        """The URL by which the process that runs now is asked."""
        return self.service.health.replace("{started}", f"{self.started:.3f}")

    def tick(self, now: float) -> None:
        """Start, probe or mourn the process, as the time says."""
        if self.process is None:
            if now >= self.start_at:
                self._start(now)
        elif (code := self.process.poll()) is not None:
            self._mourn(now, f"ended with {_outcome(code)}")
        elif now >= self.probe_at:
            self._probe(now)

    def describe(self) -> ServiceState:
        """The state as it is recorded."""
        service, pid = self.service, self.process.pid if self.process else 0
        url = service.url or f"http://{service.host}:{service.port}"
        return ServiceState(
            service.name,
            self.state,
            pid,
            self.started,
            service.port,
            url,
            service.log,
            self.health,
            self.restarts,
            self.detail,
        )

    def _start(self, now: float) -> None:
        self.process = start(self.service, self.run)
        self.started = start_time(self.process.pid)
        self.probe_at, self.well_since, self.unwell_since = now, None, now
        _log.info("started %s", self.service.name, extra={"service": self.service.name, "pid": self.process.pid})

    def _probe(self, now: float) -> None:
        health = ask(self.health, self.service.secrets)
        if health.answers:
            self.unwell_since = now
        elif now - self.unwell_since > (_START_UP_S if self.well_since is None else _HUNG_AFTER_S):
            self._mourn(now, "did not answer")
            return
        if health.well:
            if self.well_since is None:
                self.well_since = now
                _log.info(
                    "%s is up after %.1f s", self.service.name, time.time() - self.started, extra={"service": self.service.name}
                )
            self.state, self.detail = "up", ""
            if now - self.well_since > _FORGIVEN_AFTER_S:
                self.failures = 0
        elif health.answers:
            self.state, self.detail = "not ready", health.trouble
        self.probe_at = now + (_PROBE_EVERY_S if health.well else _PROBE_SOON_S)

    def _mourn(self, now: float, why: str) -> None:
        end(self.run, [self.service.name], self.service.grace_s)
        if self.process is not None:
            self.process.wait()
        pause = min(_FIRST_PAUSE_S * 2**self.failures, _LONGEST_PAUSE_S)
        self.process, self.started, self.state, self.detail = None, 0.0, "restarting", ""
        self.failures += 1
        self.restarts += 1
        self.start_at = now + pause
        _log.warning("%s %s, starts again in %.1f s", self.service.name, why, pause, extra={"service": self.service.name})


def main(run: Path, secrets: Mapping[str, Mapping[str, str]]) -> None:
    """Supervise until SIGTERM or SIGINT, then end all services and remove the record."""
    plan = json.loads((run / PLAN).read_text(encoding="utf-8"))
    with (run / LOCK).open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        configure(Path(plan["logs"]), "supervisor", plan["level"])
        wards = [Ward(Service(**service, secrets=secrets[service["name"]]), run) for service in plan["services"]]
        stop = _stop_on_signals()
        _supervise(wards, run, stop)
        _log.info("ending %s", ", ".join(ward.service.name for ward in wards))
        end(run, None, max(ward.service.grace_s for ward in wards))
        (run / RECORD).unlink(missing_ok=True)


def _supervise(wards: list[Ward], run: Path, stop: list[int]) -> None:
    written: tuple[ServiceState, ...] = ()
    me = os.getpid()
    while not stop:
        for ward in wards:
            ward.tick(time.monotonic())
        states = tuple(ward.describe() for ward in wards)
        if states != written:
            Record(me, start_time(me), states).write(run / RECORD)
            written = states
        time.sleep(_TICK_S)


def _stop_on_signals() -> list[int]:
    """A list that is empty until a signal to end arrives."""
    received: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda got, _: received.append(got))
    return received


def _outcome(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit status {code}"


def _leave_terminal(run: Path) -> None:
    """Go on in a child; the parent ends when the record is there, so that whoever waits for it can find the services."""
    child = os.fork()
    if not child:
        return
    while not (run / RECORD).exists():
        if os.waitpid(child, os.WNOHANG) != (0, 0):
            os._exit(1)
        time.sleep(0.01)
    os._exit(0)


if __name__ == "__main__":
    handed = json.load(sys.stdin)
    _leave_terminal(Path(sys.argv[1]))
    try:
        main(Path(sys.argv[1]), handed)
    except Exception:
        _log.exception("the supervisor ended by an error")
        raise
