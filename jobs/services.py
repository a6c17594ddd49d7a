"""``maas up``, ``down`` and ``status``: MLflow's server and the model server, supervised, on this machine."""

from __future__ import annotations

import logging
import sys

from core.registry.bundles import BundleCache
from core.registry.store import Store
from core.settings import Settings
from jobs.group import Group, free_port
from jobs.processes import Service, ServiceState

__all__ = ["ServiceState", "down", "group", "server_command", "status", "up"]

_MLFLOW, _MODEL_SERVER = "mlflow", "model-server"
_MLFLOW_GRACE_S, _MARGIN_S = 10.0, 5.0

_log = logging.getLogger("jobs.services")


def group(settings: Settings) -> Group:
    """The two servers' run folder and supervisor."""
    return Group.of(settings, "run", "maas up", max(settings.serving.drain_s, _MLFLOW_GRACE_S))


def up(settings: Settings, *, timeout_s: float = 60) -> list[ServiceState]:
    """Bring the bundles up to date, start the services under a supervisor, and return when they answer.

    When they run already, their state is ``already up`` and nothing is started. A model that cannot be served stands in
    ``detail`` of the model server. Raises PortInUse before anything is started, and ServiceError when a service does not come
    up within ``timeout_s``; what was started is then ended.
    """
    refused = ""

    def make() -> list[Service]:
        nonlocal refused
        services = _services(settings)
        refused = "; ".join(error.message for error in BundleCache.open(settings).sync().refused)
        if refused:
            _log.warning("not served: %s", refused)
        return services

    states = group(settings).up(make, {}, timeout_s)
    return [state.now(state.state, refused) if refused and state.name == _MODEL_SERVER else state for state in states]


def down(settings: Settings) -> list[ServiceState]:
    """End the services and their supervisor; returns those that ran, now ``down``. Nothing to end is no error."""
    return group(settings).down()


def status(settings: Settings) -> list[ServiceState]:
    """What the services are doing now, each asked for its health; empty when none was started."""
    return group(settings).status({})


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
    mlflow_port = _free_port(mlflow.host, mlflow.port, "mlflow.port", "MLflow's server", settings.profile)
    port = _free_port(serving.host, serving.port, "serving.port", "the model server", settings.profile)
    return [
        Service(
            name=_MLFLOW,
            command=tuple(store.server_command(mlflow.host, mlflow_port)),
            host=mlflow.host,
            port=mlflow_port,
            health=f"http://{mlflow.host}:{mlflow_port}/health",
            log=str(logs / "mlflow.log"),
            grace_s=_MLFLOW_GRACE_S,
            environment=store.server_environment(),
            secrets=store.secret_environment(),
        ),
        Service(
            name=_MODEL_SERVER,
            command=tuple(server_command(settings, port)),
            host=serving.host,
            port=port,
            health=f"http://{serving.host}:{port}/ping",
            log=str(logs / "model-server.log"),
            grace_s=serving.drain_s + _MARGIN_S,
        ),
    ]


def _free_port(host: str, port: int, setting: str, who: str, profile: str) -> int:
    """``port``, or a free one for 0."""
    variable = f"MAAS__{setting.replace('.', '__').upper()}"
    return free_port(host, port, who, f"set {setting} in conf/{profile}/settings.yaml ({variable}) to another port", setting)
