"""A second cluster beside the first: the same settings with every port moved."""

from __future__ import annotations

import re
import socket

from core.errors import PortInUse
from core.settings import Settings
from jobs.cluster.services_file import OFFSET, ServicesFile
from jobs.cluster.site import HOST

_PORT = re.compile(r"(?<=127\.0\.0\.1:)\d+")


def variables(settings: Settings, offset: int, home: str) -> dict[str, str]:
    """The environment under which all commands use a cluster at ports ``offset`` higher, below ``home``."""

    def moved(address: str) -> str:
        return _PORT.sub(lambda port: str(int(port.group()) + offset), address)

    addresses = {
        "LAKE__ROOT": settings.lake.root,
        "HDFS__WEB": ",".join(settings.hdfs.web),
        "S3__ENDPOINT": settings.s3.endpoint or "",
        "DATABASE__URL": settings.database.url,
        "JOURNAL__URL": settings.journal.url or "",
        "KAFKA__SERVERS": settings.kafka.servers,
        "MLFLOW__DATABASE": settings.mlflow.database,
        "SPARK__MASTER": settings.spark.master,
    }
    return {
        OFFSET: str(offset),
        "MAAS_PROFILE": settings.profile,
        "MAAS__HOME": home,
        **{f"MAAS__{key}": moved(address) for key, address in addresses.items() if address},
    }


def free_offset(settings: Settings) -> int:
    """A number that every port can be moved by to one that is free now; raises PortInUse when there is none."""
    file = ServicesFile.of(settings)
    outer = variables(settings, 0, "").values()
    ports = {int(port) for address in outer for port in _PORT.findall(address)} | {*file.ports.model_dump().values()}
    ports |= {port + number for port in (*_numbered(file),) for number in range(1, 10)}
    for offset in range(100, 3000, 100):
        if all(_is_free(port + offset) for port in ports):
            return offset
    raise PortInUse("no free ports for a second cluster beside those that run: end one of them")


def _numbered(file: ServicesFile) -> list[int]:
    ports = file.ports
    return [ports.datanode_data, ports.datanode_web, ports.datanode_ipc, ports.spark_worker, ports.spark_worker_web]


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
