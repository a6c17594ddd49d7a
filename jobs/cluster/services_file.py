"""``conf/cluster/services.yaml``: what is started, with which ports and how much memory."""

from __future__ import annotations

import os
from typing import Literal, Self

from pydantic import Field

from core.config import Strict, load
from core.errors import ConfigError
from core.settings import Settings

OFFSET = "MAAS_CLUSTER_OFFSET"
"""The variable that moves every port of the file, so that a second cluster runs beside the first."""

Name = Literal["hdfs", "yarn", "mariadb", "mongodb", "s3", "kafka", "spark"]
_Port = Field(ge=1, le=65535)


class Ports(Strict):
    """What listens beside the addresses that clients know."""

    datanode_data: int = _Port
    datanode_web: int = _Port
    datanode_ipc: int = _Port
    resourcemanager: int = _Port
    resourcemanager_scheduler: int = _Port
    resourcemanager_tracker: int = _Port
    resourcemanager_admin: int = _Port
    resourcemanager_web: int = _Port
    nodemanager: int = _Port
    nodemanager_localizer: int = _Port
    nodemanager_web: int = _Port
    nodemanager_collector: int = _Port
    kafka_controller: int = _Port
    spark_master: int = _Port
    spark_master_web: int = _Port
    spark_worker: int = _Port
    spark_worker_web: int = _Port

    def moved(self, offset: int) -> Self:
        """Each port plus ``offset``."""
        return type(self)(**{name: port + offset for name, port in self.model_dump().items()})


class Hdfs(Strict):
    """A NameNode and its DataNodes."""

    datanodes: int = Field(ge=1, le=9)
    replication: int = Field(ge=1)
    block_mb: int = Field(ge=1)
    namenode_heap_mb: int = Field(ge=64)
    datanode_heap_mb: int = Field(ge=64)


class Yarn(Strict):
    """A ResourceManager and a NodeManager, and what its containers may have together."""

    memory_mb: int = Field(ge=512)
    cores: int = Field(ge=1)
    resourcemanager_heap_mb: int = Field(ge=64)
    nodemanager_heap_mb: int = Field(ge=64)


class MariaDb(Strict):
    """The SQL server; ``databases`` are made beside those that the settings name."""

    buffer_mb: int = Field(ge=8)
    databases: tuple[str, ...] = ()


class Heap(Strict):
    """A server of one Java process."""

    heap_mb: int = Field(ge=64)


class SparkStandalone(Strict):
    """A master and its workers; cores and memory are those of one worker."""

    workers: int = Field(ge=1, le=9)
    cores: int = Field(ge=1)
    memory_mb: int = Field(ge=512)


class ServicesFile(Strict):
    """The file."""

    start: tuple[Name, ...]
    ports: Ports
    hdfs: Hdfs
    yarn: Yarn
    mariadb: MariaDb
    mongodb: Heap
    kafka: Heap
    spark: SparkStandalone

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The file of the profile, its ports moved by ``MAAS_CLUSTER_OFFSET``; raises ConfigError."""
        file = settings.root / "conf" / settings.profile / "services.yaml"
        if not file.is_file():
            raise ConfigError(f"profile {settings.profile!r} starts no services: there is no {file}", file=str(file))
        read = load(file, cls)
        text = os.environ.get(OFFSET, "0")
        if not text.removeprefix("-").isdigit():
            raise ConfigError(f"{OFFSET} is {text!r}, expected a whole number")
        return read.model_copy(update={"ports": read.ports.moved(int(text))}) if int(text) else read
