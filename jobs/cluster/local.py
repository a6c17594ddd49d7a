"""``maas cluster up``, ``down`` and ``status``: the services of the cluster profile on this machine, supervised."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import urlsplit

from core.errors import ConfigError, ServiceError
from core.settings import Settings
from jobs.cluster import hadoop, servers
from jobs.cluster.keys import with_secrets
from jobs.cluster.services_file import Name, ServicesFile
from jobs.cluster.site import Site
from jobs.group import Group, Secrets, free_port
from jobs.processes import Service, ServiceState

_GRACE_S = 20.0
_START_S = 180.0
_APART: Name = "spark"


@dataclass(frozen=True, slots=True)
class _Part:
    """How one name of ``start`` becomes processes."""

    services: Callable[[Site], list[Service]]
    prepare: Callable[[Site], None] | None = None


_PARTS: Mapping[Name, _Part] = {
    "hdfs": _Part(hadoop.hdfs, hadoop.prepare_hdfs),
    "yarn": _Part(hadoop.yarn),
    "mariadb": _Part(servers.mariadb, servers.prepare_mariadb),
    "mongodb": _Part(servers.mongodb, servers.prepare_mongodb),
    "s3": _Part(servers.s3, servers.prepare_s3),
    "kafka": _Part(servers.kafka, servers.prepare_kafka),
    "spark": _Part(servers.spark),
}


def up(settings: Settings, only: Sequence[str] = (), *, timeout_s: float = _START_S) -> list[ServiceState]:
    """Start the services that ``services.yaml`` (or ``only``) names and return when each answers its own protocol.

    The first start makes their folders and passwords. Running again starts nothing. Raises PortInUse before anything is started,
    ConfigError, and ServiceError when a service does not come up; what was started is then ended.
    """
    file = ServicesFile.of(settings)
    wanted = _chosen(file, only)
    settings = with_secrets(settings)
    site = Site(settings, file)
    states = []
    for kept, theirs in (
        (group(settings), [n for n in wanted if n != _APART]),
        (_apart(settings), [n for n in wanted if n == _APART]),
    ):
        if theirs:
            states += _up(kept, site, theirs, timeout_s)
    if "s3" in wanted:
        make_bucket(settings)
    return states


def _up(kept: Group, site: Site, wanted: Sequence[Name], timeout_s: float) -> list[ServiceState]:
    states = kept.up(lambda: _make(site, wanted), _secrets(site.settings), timeout_s)
    running = {state.name for state in states}
    if missing := [service.name for name in wanted for service in _PARTS[name].services(site) if service.name not in running]:
        raise ServiceError(f"{', '.join(missing)} cannot join services that run already: `maas cluster down` first")
    return states


def down(settings: Settings, only: Sequence[str] = ()) -> list[ServiceState]:
    """End them all, or Spark's own cluster ``only``; returns those that ran. Nothing to end is no error."""
    if only and list(only) != [_APART]:
        raise ConfigError(f"{', '.join(only)} cannot be ended alone, only {_APART} can: `maas cluster down` ends all")
    ended = [_apart(settings)] if only else [_apart(settings), group(settings)]
    return [state for kept in ended for state in kept.down()]


def status(settings: Settings) -> list[ServiceState]:
    """What each is doing now, asked in its own protocol; empty when none was started."""
    return [state for kept in (group(settings), _apart(settings)) for state in kept.status(_secrets(settings))]


def memory(settings: Settings) -> dict[str, float]:
    """Megabytes that each service and its supervisor hold now; what processes share is counted once (PSS)."""
    apart = {f"{_APART}-{name}" if name == "supervisor" else name: held for name, held in _apart(settings).memory().items()}
    return group(settings).memory() | apart


def group(settings: Settings) -> Group:
    """The run folder and the supervisor of the services."""
    return Group.of(settings, "services/run", "maas cluster up", _GRACE_S)


def _apart(settings: Settings) -> Group:
    """Those of Spark's own cluster, which may come and go while the others run."""
    return Group.of(settings, f"services/run-{_APART}", f"maas cluster up --only {_APART}", _GRACE_S)


def _chosen(file: ServicesFile, only: Sequence[str]) -> list[Name]:
    known = list(_PARTS)
    if unknown := [name for name in only if name not in known]:
        raise ConfigError(f"unknown service {unknown[0]!r}: there are {', '.join(known)}")
    return [name for name in known if name in (only or file.start)]


def _make(site: Site, wanted: Sequence[Name]) -> list[Service]:
    """The services, their folders ready. What can be prepared beside each other is."""
    services = [service for name in wanted for service in _PARTS[name].services(site)]
    for service in services:
        free_port(service.host, service.port, service.name, "run a second cluster at other ports: `maas cluster env --help`")
    site.data("tmp").mkdir(parents=True, exist_ok=True)
    site.data("tmp").parent.chmod(0o711)  # MariaDB's user passes through it
    if {"hdfs", "yarn"} & set(wanted):
        hadoop.write_conf(site)
    with ThreadPoolExecutor() as pool:
        for done in [pool.submit(prepare, site) for name in wanted if (prepare := _PARTS[name].prepare)]:
            done.result()
    return services


def _secrets(settings: Settings) -> Secrets:
    """What the health of a service is asked with, as far as it is known."""
    database, keys = settings.database, settings.s3
    known: dict[str, dict[str, str]] = {}
    if database.password:
        known["mariadb"] = {"PASSWORD": database.password.get_secret_value()}
    if keys.access_key and keys.secret_key:
        known["s3"] = {
            "ROOT_ACCESS_KEY": keys.access_key.get_secret_value(),
            "ROOT_SECRET_KEY": keys.secret_key.get_secret_value(),
        }
    return known


def make_bucket(settings: Settings) -> None:
    """Make the bucket of MLflow's artifacts unless it is there."""
    from core.storage.s3 import make_bucket as make

    place = urlsplit(settings.mlflow.artifacts)
    if place.scheme == "s3":
        make(settings.s3, place.netloc)
