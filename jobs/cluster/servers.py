"""MariaDB, the MongoDB for tests, the S3 server, Kafka, and Spark standalone: their first set-up and their processes."""

from __future__ import annotations

import base64
import getpass
import hashlib
import importlib.util
import os
import pwd
import sys
import uuid
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import SecretStr

from core.errors import ConfigError
from jobs.cluster.site import HOST, Site, execute, make_once
from jobs.processes import Service

_KAFKA = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller}
advertised.listeners=PLAINTEXT://{host}:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
num.network.threads=2
num.io.threads=2
log.cleaner.dedupe.buffer.size=4194304
"""


def mariadb(site: Site) -> list[Service]:
    """The SQL server, with a database and a user for each that the settings name."""
    port = site.port("database.url", site.settings.database.url)
    folder = site.data("mariadb")
    command = (
        *_as_mysql(),
        site.program("mariadbd"),
        "--no-defaults",
        f"--datadir={folder}",
        "--socket=m.sock",
        f"--pid-file={folder}/m.pid",
        f"--port={port}",
        f"--bind-address={HOST}",
        f"--init-file={folder}/init.sql",
        f"--innodb-buffer-pool-size={site.file.mariadb.buffer_mb}M",
        "--performance-schema=off",
        "--skip-name-resolve",
        "--character-set-server=utf8mb4",
    )
    url = urlsplit(site.settings.database.url)
    address = f"mysql://{url.username}@{HOST}:{port}{url.path}"
    secrets = {"PASSWORD": _secret(site.settings.database.password)}
    return [Service("mariadb", command, HOST, port, address, site.log("mariadb"), grace_s=20, secrets=secrets, url=address)]


def prepare_mariadb(site: Site) -> None:
    """Make the data folder, once, and write what the server runs at each start: databases and users, passwords as hashes."""
    folder = site.data("mariadb")
    _reachable(folder.parent)
    make_once(folder, lambda part: _install_mariadb(site, part))
    script = folder / "init.sql"
    script.unlink(missing_ok=True)
    with os.fdopen(os.open(script, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
        out.write(_init_sql(site))
    _give_to_mysql(script)


def mongodb(site: Site) -> list[Service]:
    """mongo-java-server: plain CRUD and indexes; no transactions, no expiry, no authentication."""
    url = site.settings.journal.url
    if url is None:
        raise ConfigError("settings journal.url is missing: name mongodb://127.0.0.1:PORT/NAME")
    port = site.port("journal.url", url)
    classes = (str(site.settings.root / "jars" / "mongo" / "classes"), site.jars("mongo"))
    java = site.java(site.file.mongodb.heap_mb, _simple_log(), classes=classes, main="MongoMain")
    address = f"mongodb://{HOST}:{port}"
    command = (*java, str(port), str(site.data("mongodb") / "db"))
    return [Service("mongodb", command, HOST, port, address, site.log("mongodb"), grace_s=10, url=address)]


def prepare_mongodb(site: Site) -> None:
    """Make the folder of its file."""
    site.data("mongodb").mkdir(exist_ok=True)


def s3(site: Site) -> list[Service]:
    """The S3 server (versitygw), over folders; its keys come through the environment."""
    endpoint = site.settings.s3.endpoint or ""
    port = site.port("s3.endpoint", endpoint)
    folder = site.data("s3")
    command = (
        *(site.program("versitygw"), "--port", f"{HOST}:{port}", "--iam-dir", str(folder / "users"), "--quiet"),
        *(
            "posix",
            "--sidecar",
            str(folder / "attributes"),
            "--versioning-dir",
            str(folder / "versions"),
            str(folder / "objects"),
        ),
    )
    keys = site.settings.s3
    secrets = {"ROOT_ACCESS_KEY": _secret(keys.access_key), "ROOT_SECRET_KEY": _secret(keys.secret_key)}
    return [Service("s3", command, HOST, port, f"s3://{HOST}:{port}", site.log("s3"), grace_s=10, secrets=secrets, url=endpoint)]


def prepare_s3(site: Site) -> None:
    """Make the folders that it serves."""
    for name in ("objects", "users", "attributes", "versions"):
        (site.data("s3") / name).mkdir(parents=True, exist_ok=True)


def kafka(site: Site) -> list[Service]:
    """One Kafka node, broker and controller."""
    port = site.port("kafka.servers", site.settings.kafka.servers)
    command = (*_kafka_java(site, "kafka.Kafka"), str(site.data("kafka.properties")))
    return [Service("kafka", command, HOST, port, f"kafka://{HOST}:{port}", site.log("kafka"), grace_s=20, url=f"{HOST}:{port}")]


def prepare_kafka(site: Site) -> None:
    """Write its properties; format the log folder, once."""
    port = site.port("kafka.servers", site.settings.kafka.servers)
    site.data("kafka.properties").write_text(_kafka_properties(site, port, site.data("kafka")), encoding="utf-8")
    make_once(site.data("kafka"), lambda part: _format_kafka(site, port, part))


def spark(site: Site) -> list[Service]:
    """Spark standalone: a master and its workers, from the pyspark wheel."""
    size, ports = site.file.spark, site.file.ports
    port = (
        site.port("spark.master", master) if (master := site.settings.spark.master).startswith("spark:") else ports.spark_master
    )
    pyspark = Path(importlib.util.find_spec("pyspark").submodule_search_locations[0])  # type: ignore[union-attr, index] # a package of ours
    environment = {
        "SPARK_HOME": str(pyspark),
        "SPARK_LOCAL_IP": HOST,
        "PYSPARK_PYTHON": sys.executable,
        "SPARK_NO_DAEMONIZE": "1",
        "SPARK_SCALA_VERSION": "2.13",  # what the script spark-class would find out for a worker
    }

    def make(name: str, main: str, ports: tuple[int, int], health: str, arguments: tuple[str, ...] = ()) -> Service:
        port, web = ports
        java = site.java(192, classes=(f"{pyspark}/jars/*",), main=f"org.apache.spark.deploy.{main}")
        command = (*java, "--host", HOST, "--port", str(port), "--webui-port", str(web), *arguments)
        return Service(name, command, HOST, port, health, site.log(name), 10, environment, url=f"http://{HOST}:{web}")

    web = ports.spark_master_web
    services = [make("spark-master", "master.Master", (port, web), f"spark://{HOST}:{web}?workers={size.workers}")]
    for number in range(1, size.workers + 1):
        name, own, web = f"spark-worker{number}", ports.spark_worker + number, ports.spark_worker_web + number
        limits = ("--cores", str(size.cores), "--memory", f"{size.memory_mb}m", "--work-dir", str(site.data(name)))
        health = f"http://{HOST}:{web}/json/"
        services.append(make(name, "worker.Worker", (own, web), health, (*limits, f"spark://{HOST}:{port}")))
    return services


def _secret(value: SecretStr | None) -> str:
    if value is None:
        raise ConfigError("a password or key of the services is missing: `maas cluster up` makes it")
    return value.get_secret_value()


def _as_mysql() -> tuple[str, ...]:
    """What runs a command as the user mysql where we are root; MariaDB does not run as root."""
    return ("setpriv", "--reuid=mysql", "--regid=mysql", "--clear-groups") if os.geteuid() == 0 else ()


def _give_to_mysql(path: Path) -> None:
    if os.geteuid() == 0:
        user = pwd.getpwnam("mysql")
        os.chown(path, user.pw_uid, user.pw_gid)


def _reachable(folder: Path) -> None:
    """Raise ConfigError when the user mysql could not come to ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    closed = [place for place in (folder, *folder.parents) if not place.stat().st_mode & 0o001]
    if os.geteuid() == 0 and closed:
        raise ConfigError(
            f"MariaDB runs as the user mysql, who cannot enter {closed[-1]}: chmod o+x it, or set MAAS__HOME elsewhere"
        )


def _install_mariadb(site: Site, part: Path) -> None:
    part.chmod(0o700)
    _give_to_mysql(part)
    command = (
        *_as_mysql(),
        site.program("mariadb-install-db"),
        "--no-defaults",
        f"--datadir={part}",
        "--auth-root-authentication-method=socket",
        f"--auth-root-socket-user={getpass.getuser()}",
        "--skip-test-db",
    )
    execute(command, "making MariaDB's data folder")


def _init_sql(site: Site) -> str:
    settings = site.settings
    named = ((settings.database.url, settings.database.password), (settings.mlflow.database, settings.mlflow.password))
    lines = []
    owner = ""
    for url, password in named:
        parts = urlsplit(url)
        if not parts.scheme.startswith("mysql"):
            continue
        owner = f"'{parts.username}'@'{HOST}'"
        digest = hashlib.sha1(hashlib.sha1(_secret(password).encode()).digest()).hexdigest().upper()  # noqa: S324 — what MariaDB keeps
        lines += [
            f"CREATE USER IF NOT EXISTS {owner};",
            f"ALTER USER {owner} IDENTIFIED BY PASSWORD '*{digest}';",
            *_database(parts.path.lstrip("/"), owner),
        ]
    for name in site.file.mariadb.databases:
        lines += _database(name, owner)
    return "\n".join(lines) + "\n"


def _database(name: str, owner: str) -> list[str]:
    """A database, and all rights on it and on those named NAME_x and x_NAME, which other platforms beside this one may have."""
    pattern = name.replace("_", r"\_")
    granted = (pattern, rf"{pattern}\_%", rf"%\_{pattern}")
    return [
        f"CREATE DATABASE IF NOT EXISTS `{name}` CHARACTER SET utf8mb4;",
        *(f"GRANT ALL ON `{databases}`.* TO {owner};" for databases in granted),
    ]


def _kafka_properties(site: Site, port: int, data: Path) -> str:
    return _KAFKA.format(host=HOST, port=port, controller=site.file.ports.kafka_controller, data=data)


def _format_kafka(site: Site, port: int, part: Path) -> None:
    properties = site.data("kafka-format.properties")
    properties.write_text(_kafka_properties(site, port, part), encoding="utf-8")
    name = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    execute(
        (*_kafka_java(site, "kafka.tools.StorageTool"), "format", f"--cluster-id={name}", "-c", str(properties)),
        "formatting Kafka's folder",
    )
    properties.unlink()


def _kafka_java(site: Site, main: str) -> tuple[str, ...]:
    return site.java(site.file.kafka.heap_mb, _simple_log(), classes=(site.jars("kafka"),), main=main)


def _simple_log() -> tuple[str, ...]:
    simple = "-Dorg.slf4j.simpleLogger"
    return (f"{simple}.defaultLogLevel=warn", f"{simple}.showDateTime=true", f"{simple}.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss")
