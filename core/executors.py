"""What a session on a cluster needs besides a local one: executors, their Python, addresses, and a master that answers."""

from __future__ import annotations

import socket
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from core.errors import ConfigError, ServiceError

YARN = "yarn"
_STANDALONE = "spark://"
_KUBERNETES = "k8s://"
_ANSWER_S = 5.0
_RETRY_S = 0.5
_RM_PORT = 8032  # Hadoop's own default


@dataclass(frozen=True, slots=True)
class Executors:
    """How many executors a session asks for, and how large each is.

    ``memory`` is the JVM's heap; ``overhead`` is what Python workers and buffers may use besides. The driver is reached at
    ``host``. ``code`` is a zip of our packages that they import; ``environment`` an archive of the Python environment that they
    run in, where nodes do not have this one, and these jars, at the same paths.
    """

    count: int = 2
    cores: int = 1
    memory: str = "1g"
    overhead: str = "512m"
    host: str = "127.0.0.1"
    start_timeout_s: float = 120.0
    code: Path | None = None
    environment: Path | None = None

    def conf(self, master: str, spark_home: Path) -> dict[str, str]:
        """Spark's configuration for this many executors of ``master``; empty for a local one."""
        if is_local(master):
            return {}
        conf = {
            "spark.driver.host": self.host,
            "spark.driver.bindAddress": self.host,
            "spark.executor.instances": str(self.count),
            "spark.executor.cores": str(self.cores),
            "spark.executor.memory": self.memory,
            "spark.executor.memoryOverhead": self.overhead,
        }
        if ip_address(socket.gethostbyname(self.host)).is_loopback:
            conf["spark.executorEnv.SPARK_LOCAL_IP"] = self.host
        if master == YARN:
            return conf | self._yarn(spark_home)
        return conf if master.startswith(_KUBERNETES) else conf | {"spark.cores.max": str(self.count * self.cores)}

    def _yarn(self, spark_home: Path) -> dict[str, str]:
        conf = {
            "spark.yarn.jars": f"local:{spark_home}/jars/*",
            "spark.yarn.am.memory": "256m",
            "spark.yarn.am.memoryOverhead": "128m",
            # a ResourceManager that is gone is told within seconds, not after a quarter of an hour
            "spark.hadoop.yarn.resourcemanager.connect.max-wait.ms": "10000",
            "spark.hadoop.yarn.resourcemanager.connect.retry-interval.ms": "1000",
            "spark.hadoop.yarn.client.failover-max-attempts": "3",
        }
        if ip_address(socket.gethostbyname(self.host)).is_loopback:
            conf["spark.yarn.appMasterEnv.SPARK_LOCAL_IP"] = self.host
        return conf


def is_local(master: str) -> bool:
    """Whether ``master`` runs in this machine's one JVM; raises ConfigError for one that no session can have."""
    if master == "local" or master.startswith("local["):
        return True
    if master == YARN or master.startswith((_STANDALONE, _KUBERNETES)):
        return False
    raise ConfigError(f"spark.master {master!r}: write local[N], yarn, spark://HOST:PORT or k8s://https://HOST:PORT")


def require_master(master: str, hadoop: Path | None) -> None:
    """Return when the master's port answers; else raise ServiceError, after 5 s, that names it. A local master always answers.

    ``hadoop`` is the folder of Hadoop's configuration, which names YARN's ResourceManager; ConfigError when it is not there.
    """
    if is_local(master):
        return
    if master == YARN:
        places, what, hint = (
            _resource_managers(hadoop),
            "YARN's ResourceManager",
            "start YARN, or correct yarn-site.xml in the folder that settings hdfs.conf names",
        )
    elif master.startswith(_KUBERNETES):
        places, what, hint = (
            [_address(urlsplit(master.removeprefix(_KUBERNETES)).netloc, master)],
            "Kubernetes",
            "correct spark.master",
        )
    else:
        places, what, hint = _masters(master), "Spark's master", "start it, or correct spark.master"
    deadline = time.monotonic() + _ANSWER_S
    while not any(_answers(*place) for place in places):
        if time.monotonic() > deadline:
            named = ", ".join(f"{host}:{port}" for host, port in places)
            raise ServiceError(f"{what} does not answer at {named}: {hint}", address=named)
        time.sleep(_RETRY_S)


def _masters(master: str) -> list[tuple[str, int]]:
    return [_address(part, master) for part in master.removeprefix(_STANDALONE).split(",")]


def _address(text: str, where: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit():
        raise ConfigError(f"{where}: {text!r} is no HOST:PORT")
    return host, int(port)


def _resource_managers(hadoop: Path | None) -> list[tuple[str, int]]:
    if hadoop is None or not (hadoop / "yarn-site.xml").is_file():
        raise ConfigError(
            f"{hadoop or 'hdfs.conf is not set'}: no yarn-site.xml: name Hadoop's configuration folder in hdfs.conf"
        )
    known = dict(_properties(hadoop / "yarn-site.xml"))
    prefix = "yarn.resourcemanager"
    ids = known.get(f"{prefix}.ha.rm-ids", "")
    suffixes = [f".{name.strip()}" for name in ids.split(",")] if ids else [""]
    hosts = [known.get(f"{prefix}.hostname{suffix}", "") for suffix in suffixes]
    named = [known.get(f"{prefix}.address{suffix}", f"{host}:{_RM_PORT}") for suffix, host in zip(suffixes, hosts, strict=True)]
    return [_address(text.replace(f"${{{prefix}.hostname}}", hosts[0]), str(hadoop / "yarn-site.xml")) for text in named]


def _properties(file: Path) -> Iterator[tuple[str, str]]:
    try:
        root = ET.parse(file).getroot()  # noqa: S314 — the administrator's own file
    except ET.ParseError as error:
        raise ConfigError(f"{file}: not well-formed XML: {error}", file=str(file)) from error
    for item in root.iter("property"):
        yield item.findtext("name", "").strip(), item.findtext("value", "").strip()


def _answers(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=3).close()
    except OSError:
        return False
    return True
