"""``maas up``, ``down`` and ``status``: MLflow's server and the model server, supervised, on this machine."""

from __future__ import annotations

import fcntl
import logging
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import psutil

from core.errors import PortInUse, ServiceError
from core.registry.bundles import BundleCache
from core.registry.store import Store
from core.settings import Settings
from jobs.processes import Record, Service, ServiceState, end, is_healthy, lives, write_json
from jobs.supervisor import LOCK, PLAN, RECORD

__all__ = ["ServiceState", "down", "server_command", "status", "up"]

_GIVE_UP_AFTER = 3
_MLFLOW, _MODEL_SERVER = "mlflow", "model-server"
_HEALTH = {_MLFLOW: "/health", _MODEL_SERVER: "/ping"}
_MLFLOW_GRACE_S, _MARGIN_S = 10.0, 5.0

_log = logging.getLogger("jobs.services")


def up(settings: Settings, *, timeout_s: float = 60) -> list[ServiceState]:
    """Bring the bundles up to date, start the services under a supervisor, and return when they answer.

    When they run already, their state is ``already up`` and nothing is started. A model that cannot be served stands in
    ``detail`` of the model server. Raises PortInUse before anything is started, and ServiceError when a service does not come
    up within ``timeout_s``; what was started is then ended.
    """
    run = _run_folder(settings)
    run.mkdir(parents=True, exist_ok=True)
    with _locked(run / "up.lock"):
        if _is_locked(run / LOCK):
            _wait_until_up(run, timeout_s)
            return [state.now("already up") if state.state == "up" else state for state in status(settings)]
        _end_leftovers(run)
        services = _services(settings)
        refused = "; ".join(error.message for error in BundleCache.open(settings).sync().refused)
        if refused:
            _log.warning("not served: %s", refused)
        _start_supervisor(settings, run, services)
        try:
            states = _wait_until_up(run, timeout_s)
        except BaseException:
            down(settings)
            raise
    return [state.now(state.state, refused if state.name == _MODEL_SERVER else "") for state in states]


def down(settings: Settings) -> list[ServiceState]:
    """End the services and their supervisor; returns those that ran, now ``down``. Nothing to end is no error."""
    run = _run_folder(settings)
    record = Record.read(run / RECORD)
    if record is None:
        return []
    if lives(record.supervisor, record.started):
        supervisor = psutil.Process(record.supervisor)
        supervisor.terminate()
        _, alive = psutil.wait_procs([supervisor], timeout=_grace_s(settings) + _MARGIN_S)
        for process in alive:
            process.kill()
    _end_leftovers(run)
    return [state.now("down") for state in record.services]


def status(settings: Settings) -> list[ServiceState]:
    """What the services are doing now, each asked for its health; empty when none was started."""
    record = Record.read(_run_folder(settings) / RECORD)
    if record is None:
        return []
    supervised = lives(record.supervisor, record.started)
    return [_look(state, supervised) for state in record.services]


def _look(state: ServiceState, supervised: bool) -> ServiceState:
    if not lives(state.pid, state.started):
        return state.now("restarting" if supervised else "down")
    if not supervised:
        return state.now("unsupervised", "its supervisor died: run `maas up`")
    host = state.url.removeprefix("http://").rpartition(":")[0]
    well = is_healthy(host, state.port, _HEALTH[state.name])
    return state.now("up" if well else "starting" if state.state == "starting" else "not answering")


def server_command(settings: Settings, port: int | None = None) -> list[str]:
    """The command that serves the bundle cache; ``port`` takes the place of ``serving.port``."""
    serving = settings.serving
    options = {
        "bundles": settings.at_home(serving.bundles),
        "host": serving.host,
        "port": serving.port if port is None else port,
        "max-body-mb": serving.max_body_mb,
        "max-rows": serving.max_rows,
        "threads": serving.threads,
        "drain-s": serving.drain_s,
    }
    return [
        sys.executable,
        "-m",
        "serving.server",
        *(text for key, value in options.items() for text in (f"--{key}", str(value))),
    ]


def _services(settings: Settings) -> list[Service]:
    """The two servers; raises PortInUse naming the setting to change."""
    store, mlflow, serving = Store.of(settings), settings.mlflow, settings.serving
    logs = settings.at_home(settings.logs.folder)
    mlflow_port = _free_port(mlflow.host, mlflow.port, "mlflow.port", "MLflow's server")
    port = _free_port(serving.host, serving.port, "serving.port", "the model server")
    return [
        Service(
            name=_MLFLOW,
            command=tuple(store.server_command(mlflow.host, mlflow_port)),
            host=mlflow.host,
            port=mlflow_port,
            health=_HEALTH[_MLFLOW],
            log=str(logs / "mlflow.log"),
            grace_s=_MLFLOW_GRACE_S,
            environment=store.server_environment(),
        ),
        Service(
            name=_MODEL_SERVER,
            command=tuple(server_command(settings, port)),
            host=serving.host,
            port=port,
            health=_HEALTH[_MODEL_SERVER],
            log=str(logs / "model-server.log"),
            grace_s=serving.drain_s + _MARGIN_S,
        ),
    ]


def _free_port(host: str, port: int, setting: str, who: str) -> int:
    """``port``, or a free one for 0."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            variable = f"MAAS__{setting.replace('.', '__').upper()}"
            raise PortInUse(
                f"{host}:{port} is in use ({error.strerror}), and {who} needs it: end what listens there, "
                f"or set {setting} in conf/local/settings.yaml ({variable}) to another port",
                port=port,
                setting=setting,
            ) from error
        return int(probe.getsockname()[1])


def _start_supervisor(settings: Settings, run: Path, services: Sequence[Service]) -> None:
    logs = settings.at_home(settings.logs.folder)
    logs.mkdir(parents=True, exist_ok=True)
    write_json(run / PLAN, {"logs": str(logs), "level": settings.logs.level, "services": [asdict(s) for s in services]})
    with (logs / "supervisor.log").open("ab") as log:
        command = [sys.executable, "-m", "jobs.supervisor", str(run)]
        done = subprocess.run(
            command, cwd=run, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, check=False
        )
    if done.returncode:
        raise ServiceError(f"the supervisor did not start{_last_words(logs / 'supervisor.log')}")


def _wait_until_up(run: Path, timeout_s: float) -> tuple[ServiceState, ...]:
    """The states once all are up; raises ServiceError with the last line of the log of one that is not."""
    deadline = time.monotonic() + timeout_s
    while True:
        record = Record.read(run / RECORD)
        if record is None:
            raise ServiceError("the services were ended while they started: run `maas up` again")
        states = record.services
        if all(state.state == "up" for state in states):
            return states
        for state in states:
            if state.restarts >= _GIVE_UP_AFTER and state.state != "up":
                raise ServiceError(f"{state.name} ends again and again{_last_words(Path(state.log))}", service=state.name)
        if time.monotonic() > deadline:
            late = next(state for state in states if state.state != "up")
            raise ServiceError(
                f"{late.name} did not answer within {timeout_s:g} s{_last_words(Path(late.log))}", service=late.name
            )
        time.sleep(0.1)


def _last_words(log: Path) -> str:
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError:
        lines = []
    last = next((line.strip() for line in reversed(lines) if line.strip()), "nothing")
    return f"; the last it wrote is {last[:300]!r}, the rest is in {log}"


def _end_leftovers(run: Path) -> None:
    """End services whose supervisor is gone, and forget them."""
    end(run, _HEALTH, _MLFLOW_GRACE_S)
    (run / RECORD).unlink(missing_ok=True)


def _run_folder(settings: Settings) -> Path:
    return settings.at_home(Path("run"))


def _grace_s(settings: Settings) -> float:
    return max(settings.serving.drain_s, _MLFLOW_GRACE_S) + _MARGIN_S


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
