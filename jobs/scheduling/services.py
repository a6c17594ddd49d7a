"""``maas airflow up``, ``down`` and ``status``: Airflow's processes on this machine, supervised."""

from __future__ import annotations

import json

from core.settings import Settings
from jobs.group import Group, free_port
from jobs.processes import Service, ServiceState
from jobs.schedule import load_scheduling
from jobs.scheduling.home import FOLDER, Home, password, program, secret_environment, with_keys
from jobs.scheduling.plan import write_plan
from jobs.scheduling.rest import Rest
from jobs.scheduling.submitted import connection

_GRACE_S = 20.0
_START_S = 240.0

_NO_LOG_SERVER = "--skip-serve-logs"
"""It would listen on every interface, whatever the options say."""


def up(settings: Settings, *, timeout_s: float = _START_S) -> list[ServiceState]:
    """Write the plan of DAGs, start Airflow's services, return when each is well; the first start makes keys and tables.

    What runs already is ``already up``, and takes the plan and its pools too. Raises ConfigError when Airflow is not installed or
    a pipeline is wrong, PortInUse before anything is started, and ServiceError when a service does not come up; what was started
    is then ended.
    """
    program(settings)
    write_plan(settings)
    states = group(settings).up(lambda: _services(settings), {}, timeout_s)
    pools = [{"name": name, "slots": slots} for name, slots in load_scheduling(settings).pools.items()]
    Rest.login(states[0].url, password(settings)).put("/pools", pools)
    return states


def down(settings: Settings) -> list[ServiceState]:
    """End them all, with the tasks that run; returns those that ran. Nothing to end is no error."""
    return group(settings).down()


def status(settings: Settings) -> list[ServiceState]:
    """What each is doing now; empty when none was started."""
    return group(settings).status({})


def memory(settings: Settings) -> dict[str, float]:
    """Megabytes that each service and its supervisor hold now."""
    return group(settings).memory()


def group(settings: Settings) -> Group:
    """The run folder and the supervisor of the services."""
    return Group.of(settings, str(FOLDER / "run"), "maas airflow up", _GRACE_S)


def _services(settings: Settings) -> list[Service]:
    home = Home(settings, _free_port(settings))
    settings = with_keys(settings)
    home.prepare()
    server = ("api-server", "--host", settings.airflow.host, "--port", str(home.port), "--workers", "1")
    services = [
        _service(settings, home, server, "metadatabase"),
        _service(settings, home, ("scheduler", _NO_LOG_SERVER), "scheduler"),
        _service(settings, home, ("dag-processor",), "dag_processor"),
    ]
    if settings.airflow.triggerer:
        services.append(_service(settings, home, ("triggerer", _NO_LOG_SERVER), "triggerer"))
    return services


def _service(settings: Settings, home: Home, command: tuple[str, ...], component: str) -> Service:
    name = f"airflow-{command[0]}"
    return Service(
        name=name,
        command=(str(program(settings)), *command),
        host=settings.airflow.host,
        port=home.port,
        health=f"airflow://{settings.airflow.host}:{home.port}?component={component}&since={{started}}",
        log=str(settings.at_home(settings.logs.folder) / f"{name}.log"),
        grace_s=_GRACE_S,
        environment={**home.environment(), **_connections(settings)},
        secrets=secret_environment(settings),
        url=home.url if command[0] == "api-server" else "listens nowhere",
    )


def _connections(settings: Settings) -> dict[str, str]:
    """The connections that tasks name, as variables."""
    return {f"AIRFLOW_CONN_{name.upper()}": json.dumps(told) for name, told in connection(settings).items()}


def _free_port(settings: Settings) -> int:
    airflow = settings.airflow
    remedy = f"set airflow.port in conf/{settings.profile}/settings.yaml (MAAS__AIRFLOW__PORT) to another port"
    return free_port(airflow.host, airflow.port, "Airflow's API server", remedy, "airflow.port")
