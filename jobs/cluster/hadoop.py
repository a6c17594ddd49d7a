"""HDFS and YARN: their configuration folder, and their processes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree as ET

from core.errors import ConfigError
from jobs.cluster.site import HOST, Site, execute, make_once
from jobs.processes import MARK, Service

_OPENS = "--add-opens=java.base/java.lang=ALL-UNNAMED"
_HDFS, _YARN = "org.apache.hadoop.hdfs.server", "org.apache.hadoop.yarn.server"
_LOG4J = """\
log4j.rootLogger=INFO,console
log4j.appender.console=org.apache.log4j.ConsoleAppender
log4j.appender.console.target=System.err
log4j.appender.console.layout=org.apache.log4j.PatternLayout
log4j.appender.console.layout.ConversionPattern=%d{ISO8601} %p %c{2}: %m%n
log4j.logger.http.requests=WARN
log4j.logger.org.apache.hadoop.hdfs.StateChange=WARN
log4j.logger.org.apache.hadoop.hdfs.server.datanode.DataNode.clienttrace=WARN
"""


def conf_folder(site: Site) -> Path:
    """The folder that ``hdfs.conf`` names; raises ConfigError when it names none."""
    if site.settings.hdfs.conf is None:
        raise ConfigError("settings hdfs.conf is missing: name the folder for Hadoop's configuration, such as hadoop/conf")
    return site.settings.at_home(site.settings.hdfs.conf)


def write_conf(site: Site) -> None:
    """Write the folder that servers and clients of HDFS and YARN read (``HADOOP_CONF_DIR``)."""
    folder = conf_folder(site)
    folder.mkdir(parents=True, exist_ok=True)
    queues = "yarn.scheduler.capacity."
    for name, properties in {
        "core-site": _core(site),
        "hdfs-site": _hdfs(site),
        "yarn-site": _yarn(site),
        "capacity-scheduler": {
            f"{queues}root.queues": "default",
            f"{queues}root.default.capacity": 100,
            f"{queues}maximum-am-resource-percent": 0.5,
        },
    }.items():
        _replace(folder / f"{name}.xml", _xml(properties))
    _replace(folder / "log4j.properties", _LOG4J)


def prepare_hdfs(site: Site) -> None:
    """Format the NameNode's folder, once."""

    def form(part: Path) -> None:
        java = _java(site, 128, f"{_HDFS}.namenode.NameNode")
        execute((*java, f"-Ddfs.namenode.name.dir=file://{part}", "-format", "-nonInteractive"), "formatting the NameNode")

    make_once(site.data("namenode"), form)


def hdfs(site: Site) -> list[Service]:
    """A NameNode and its DataNodes."""
    rpc, web = _ports(site)
    size, ports = site.file.hdfs, site.file.ports
    namenode = _service(
        site,
        "namenode",
        _java(site, size.namenode_heap_mb, f"{_HDFS}.namenode.NameNode"),
        port=rpc,
        health=f"namenode://{HOST}:{web}?datanodes={size.datanodes}",
        url=f"hdfs://{HOST}:{rpc}",
    )
    return [namenode, *(_datanode(site, number, ports.datanode_web + number) for number in range(1, size.datanodes + 1))]


def yarn(site: Site) -> list[Service]:
    """A ResourceManager and a NodeManager. Containers bear the NodeManager's mark: they end with it."""
    size, ports = site.file.yarn, site.file.ports
    manager = _service(
        site,
        "resourcemanager",
        _java(site, size.resourcemanager_heap_mb, f"{_YARN}.resourcemanager.ResourceManager"),
        port=ports.resourcemanager,
        health=f"resourcemanager://{HOST}:{ports.resourcemanager_web}?nodes=1",
        url=f"http://{HOST}:{ports.resourcemanager_web}",
    )
    node = _service(
        site,
        "nodemanager",
        _java(site, size.nodemanager_heap_mb, f"{_YARN}.nodemanager.NodeManager"),
        port=ports.nodemanager,
        health=f"nodemanager://{HOST}:{ports.nodemanager_web}",
        url=f"http://{HOST}:{ports.nodemanager_web}",
    )
    return [manager, node]


def _datanode(site: Site, number: int, web: int) -> Service:
    name, ports = f"datanode{number}", site.file.ports
    own = {
        "dfs.datanode.data.dir": f"file://{site.data(name)}",
        "dfs.datanode.address": f"{HOST}:{ports.datanode_data + number}",
        "dfs.datanode.http.address": f"{HOST}:{web}",
        "dfs.datanode.ipc.address": f"{HOST}:{ports.datanode_ipc + number}",
    }
    command = _java(site, site.file.hdfs.datanode_heap_mb, f"{_HDFS}.datanode.DataNode")
    options = tuple(f"-D{key}={value}" for key, value in own.items())
    url = f"http://{HOST}:{web}"
    health = f"{url}/jmx?qry=java.lang:type=Runtime"
    return _service(site, name, (*command, *options), port=ports.datanode_data + number, health=health, url=url)


def _service(site: Site, name: str, command: tuple[str, ...], *, port: int, health: str, url: str) -> Service:
    conf = str(conf_folder(site))
    environment = {"HADOOP_CONF_DIR": conf, "YARN_CONF_DIR": conf}
    return Service(name, command, HOST, port, health, site.log(name), grace_s=10, environment=environment, url=url)


def _java(site: Site, heap_mb: int, main: str) -> tuple[str, ...]:
    logs = Path(site.log("hadoop")).parent
    classes = (str(conf_folder(site)), str(site.settings.root / "jars" / "webapps"), site.jars("hadoop"))
    options = (_OPENS, f"-Dhadoop.log.dir={logs}", f"-Dyarn.log.dir={logs}")
    return site.java(heap_mb, options, classes=classes, main=main)


def _ports(site: Site) -> tuple[int, int]:
    web = site.settings.hdfs.web
    return site.port("lake.root", site.settings.lake.root), site.port("hdfs.web", web[0] if web else "")


def _core(site: Site) -> Mapping[str, object]:
    return {
        "fs.defaultFS": f"hdfs://{HOST}:{_ports(site)[0]}",
        "hadoop.tmp.dir": site.data("tmp"),
        "hadoop.http.staticuser.user": site.settings.hdfs.user,
        "io.file.buffer.size": 65536,
        "ipc.client.connect.retry.interval": 200,
    }


def _hdfs(site: Site) -> Mapping[str, object]:
    rpc, web = _ports(site)
    return {
        "dfs.replication": site.file.hdfs.replication,
        "dfs.permissions.enabled": "false",
        "dfs.namenode.name.dir": f"file://{site.data('namenode')}",
        "dfs.namenode.rpc-address": f"{HOST}:{rpc}",
        "dfs.namenode.rpc-bind-host": HOST,
        "dfs.namenode.http-address": f"{HOST}:{web}",
        "dfs.namenode.http-bind-host": HOST,
        "dfs.namenode.handler.count": 4,
        "dfs.namenode.safemode.extension": 2000,  # of few blocks 99.9 % may be all but one: wait for its report
        "dfs.namenode.datanode.registration.ip-hostname-check": "false",
        "dfs.namenode.fs-limits.min-block-size": 1024,
        "dfs.blocksize": site.file.hdfs.block_mb << 20,
        # a dead DataNode is passed by after 3 s, and given up after 14 s instead of 10 minutes
        "dfs.heartbeat.interval": 1,
        "dfs.namenode.heartbeat.recheck-interval": 2000,
        "dfs.namenode.stale.datanode.interval": 3000,
        # a replica that the dying one was to take is asked for again after 15 s instead of 5 minutes
        "dfs.namenode.reconstruction.pending.timeout-sec": 15,
        "dfs.namenode.avoid.read.stale.datanode": "true",
        "dfs.namenode.avoid.write.stale.datanode": "true",
        "dfs.namenode.redundancy.considerLoad": "false",  # of two DataNodes one is always the busier
        "dfs.datanode.handler.count": 3,
        "dfs.datanode.hostname": HOST,
        "dfs.datanode.du.reserved": 0,
        "dfs.client.use.datanode.hostname": "true",
        # with two DataNodes there is none to take a dead one's place: go on with the other
        "dfs.client.block.write.replace-datanode-on-failure.policy": "NEVER",
    }


def _yarn(site: Site) -> Mapping[str, object]:
    size, ports = site.file.yarn, site.file.ports
    manager, node = "yarn.resourcemanager", "yarn.nodemanager"
    return {
        f"{manager}.hostname": HOST,
        f"{manager}.bind-host": HOST,
        f"{manager}.address": f"{HOST}:{ports.resourcemanager}",
        f"{manager}.scheduler.address": f"{HOST}:{ports.resourcemanager_scheduler}",
        f"{manager}.resource-tracker.address": f"{HOST}:{ports.resourcemanager_tracker}",
        f"{manager}.admin.address": f"{HOST}:{ports.resourcemanager_admin}",
        f"{manager}.webapp.address": f"{HOST}:{ports.resourcemanager_web}",
        f"{manager}.scheduler.class": f"{_YARN}.resourcemanager.scheduler.capacity.CapacityScheduler",
        f"{manager}.connect.retry-interval.ms": 500,
        f"{manager}.connect.max-wait.ms": 60000,
        "yarn.nm.liveness-monitor.expiry-interval-ms": 10000,
        "yarn.am.liveness-monitor.expiry-interval-ms": 60000,  # a JVM may take half a minute to start on a busy machine
        "yarn.scheduler.minimum-allocation-mb": 128,
        "yarn.scheduler.maximum-allocation-mb": size.memory_mb,
        f"{node}.hostname": HOST,
        f"{node}.bind-host": HOST,
        f"{node}.address": f"{HOST}:{ports.nodemanager}",
        f"{node}.localizer.address": f"{HOST}:{ports.nodemanager_localizer}",
        f"{node}.webapp.address": f"{HOST}:{ports.nodemanager_web}",
        f"{node}.collector-service.address": f"{HOST}:{ports.nodemanager_collector}",
        f"{node}.resource.memory-mb": size.memory_mb,
        f"{node}.resource.cpu-vcores": size.cores,
        f"{node}.vmem-check-enabled": "false",
        f"{node}.pmem-check-enabled": "false",
        f"{node}.local-dirs": site.data("nodemanager") / "local",
        f"{node}.log-dirs": site.data("nodemanager") / "logs",
        f"{node}.disk-health-checker.max-disk-utilization-per-disk-percentage": 99.0,
        f"{node}.env-whitelist": f"JAVA_HOME,HADOOP_CONF_DIR,PYSPARK_PYTHON,PATH,LANG,TZ,{MARK}",
    }


def _xml(properties: Mapping[str, object]) -> str:
    root = ET.Element("configuration")
    for key, value in properties.items():
        entry = ET.SubElement(root, "property")
        ET.SubElement(entry, "name").text = key
        ET.SubElement(entry, "value").text = str(value)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode") + "\n"


def _replace(file: Path, text: str) -> None:
    part = file.with_name(f".{file.name}.{os.getpid()}")
    part.write_text(text, encoding="utf-8")
    part.rename(file)
