"""What the platform needs of the machine, looked at without starting any of it."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET

from pydantic import SecretStr

from core.settings import Settings
from jobs.health import Health, ask

_JAVA = (17, 21)
_DISK_GB = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: what was looked at, whether it will do, what was found, and what to do when it will not."""

    name: str
    good: bool
    found: str
    remedy: str = ""


def examine(settings: Settings) -> list[Finding]:
    """Every check, in the order in which a newcomer meets them. Nothing is written."""
    return [
        _python(),
        _java(),
        _compiler(),
        _packages(),
        _jars(settings.at_root(settings.spark.jars)),
        _airflow(settings.at_root(Path("airflow_dags/.venv"))),
        _disk(settings.at_home(Path())),
        *(
            _port(name, host, port)
            for name, host, port in (
                ("port of MLflow", settings.mlflow.host, settings.mlflow.port),
                ("port of the model server", settings.serving.host, settings.serving.port),
            )
        ),
        *examine_services(settings),
    ]


def examine_services(settings: Settings) -> list[Finding]:
    """The health of each service that the settings name, wherever it runs; none in a profile that needs none."""
    login = {"PASSWORD": _text(settings.database.password)}
    keys = {"ROOT_ACCESS_KEY": _text(settings.s3.access_key), "ROOT_SECRET_KEY": _text(settings.s3.secret_key)}
    named: list[tuple[str, str, str, Mapping[str, str]]] = []
    if settings.lake.root.startswith("hdfs:"):
        named += [("HDFS", "hdfs.web", f"namenode://{urlsplit(web).netloc}?datanodes=1", {}) for web in settings.hdfs.web]
    if settings.spark.master == "yarn":
        named.append(("YARN", "hdfs.conf", f"resourcemanager://{_yarn_page(settings)}?nodes=1", {}))
    if settings.database.url.startswith("mysql"):
        named.append(("MySQL", "database.url", f"mysql://{settings.database.url.split('://')[1]}", login))
    if settings.journal.url:
        named.append(("MongoDB", "journal.url", settings.journal.url, {}))
    if settings.s3.endpoint:
        named.append(("S3", "s3.endpoint", f"s3://{urlsplit(settings.s3.endpoint).netloc}", keys))
    named += [("Kafka", "kafka.servers", f"kafka://{server}", {}) for server in settings.kafka.servers.split(",") if server]
    return [_service(name, setting, ask(url, secrets), url) for name, setting, url, secrets in named]


def _service(name: str, setting: str, health: Health, url: str) -> Finding:
    place = f"{urlsplit(url).netloc.rpartition('@')[2]} (settings {setting})"
    remedy = "run `maas cluster up` where the services run on this machine, and see `maas cluster status`; else mend the setting"
    return Finding(name, health.well, f"{place} is well" if health.well else f"{place}: {health.trouble}", remedy)


def _yarn_page(settings: Settings) -> str:
    """Where the ResourceManager's web service is, as the configuration folder says; without one, where it is by default."""
    file = settings.at_home(settings.hdfs.conf or Path()) / "yarn-site.xml"
    values: dict[str | None, str | None] = {}
    if file.is_file():
        values = {entry.findtext("name"): entry.findtext("value") for entry in ET.parse(file).getroot()}  # noqa: S314 — our own
    return values.get("yarn.resourcemanager.webapp.address") or "127.0.0.1:8088"


def _text(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret else ""


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding(
        "Python", sys.version_info[:2] == (3, 11), version, "run `make setup`: it makes an environment with Python 3.11"
    )


def _java() -> Finding:
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home) / "bin" / "java") if home else shutil.which("java")
    remedy = "install OpenJDK 17 or 21 (apt-get install openjdk-17-jre-headless), or set JAVA_HOME to one"
    if java is None or not Path(java).exists():
        return Finding("Java", good=False, found=f"none{f' at {java}' if java else ''}", remedy=remedy)
    text = subprocess.run([java, "-version"], capture_output=True, text=True, check=False, timeout=20).stderr
    match = re.search(r'version "(\d+)([^"]*)"', text)
    found = match.group(1) + match.group(2) if match else "unknown"
    return Finding("Java", bool(match) and int(match.group(1)) in _JAVA if match else False, found, remedy)


def _compiler() -> Finding:
    compiler = shutil.which("g++")
    return Finding("g++", compiler is not None, compiler or "none", "apt-get install g++ (it builds Horovod)")


def _packages() -> Finding:
    needed = ("pyspark", "delta", "deltalake", "torch", "horovod", "petastorm", "mlflow", "onnxruntime", "uvicorn")
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    return Finding("packages", not missing, f"missing: {', '.join(missing)}" if missing else "complete", "run `make setup`")


def _jars(folder: Path) -> Finding:
    jars = sorted(path.name for path in folder.glob("*.jar"))
    complete = any(name.startswith("delta-spark") for name in jars)
    return Finding("jars", complete, f"{len(jars)} in {folder}", "run `make setup`")


def _airflow(environment: Path) -> Finding:
    there = (environment / "bin" / "airflow").is_file()
    return Finding(
        "Airflow", good=True, found=str(environment) if there else "not set up: run `make setup-airflow` to schedule pipelines"
    )


def _disk(home: Path) -> Finding:
    there = next(path for path in (home, *home.parents) if path.exists())
    free = shutil.disk_usage(there).free / 1e9
    return Finding("disk", free >= _DISK_GB, f"{free:.0f} GB free at {home}", f"free some space: {_DISK_GB} GB are needed")


def _port(name: str, host: str, port: int) -> Finding:
    with socket.socket() as probe:
        taken = port != 0 and probe.connect_ex((host, port)) == 0
    return Finding(
        name, not taken, f"{host}:{port} {'is in use' if taken else 'is free'}", "see `maas status`, or set another port"
    )
