"""Is a service well? Each is asked in its own protocol: a port that is open says little.

A service's health is asked by a URL, whose scheme says how:

- ``http://HOST:PORT/path``: answers 200
- ``namenode://HOST:PORT?datanodes=2``: out of safe mode, with that many live DataNodes
- ``resourcemanager://HOST:PORT?nodes=1``: that many active NodeManagers
- ``nodemanager://HOST:PORT``: says of itself that it is healthy
- ``spark://HOST:PORT?workers=2``: a standalone master with that many workers (PORT is its web page's)
- ``mysql://USER@HOST:PORT/DATABASE``: ``SELECT 1``
- ``mongodb://HOST:PORT``: ``ping``
- ``s3://HOST:PORT``: lists buckets
- ``kafka://HOST:PORT``: tells the brokers of the cluster
- ``airflow://HOST:PORT?component=scheduler&since=1700000000``: a process of Airflow that wrote its heartbeat since it was made;
  its API server tells (whose own component is the ``metadatabase``)

A service can answer and yet not be ready: a NameNode whose DataNodes are on their way must not be started again for that.
"""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any
from urllib.parse import SplitResult, parse_qsl, quote, urlsplit, urlunsplit

_PATIENCE_S = 2.0

_PERSISTENT = ("mongodb", "kafka")
"""Their clients go on trying where nothing listens."""

_AIRFLOW_DATABASE = "metadatabase"
_CLOCK_S = 1.0
"""When a process was made is known to the second; Airflow's need longer than that to their first heartbeat."""

Secrets = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Health:
    """Whether a service answers, and why it is not ready (empty: it is)."""

    answers: bool
    trouble: str = ""

    @property
    def well(self) -> bool:
        """Answers and is ready."""
        return self.answers and not self.trouble


def ask(url: str, secrets: Secrets) -> Health:
    """The health of the service at ``url``, within about two seconds. Never raises for what a server does."""
    parts = urlsplit(url)
    try:
        if parts.scheme in _PERSISTENT:
            socket.create_connection((parts.hostname or "", parts.port or 0), timeout=_PATIENCE_S).close()
        return Health(answers=True, trouble=_CHECKS[parts.scheme](parts, secrets))
    except ConnectionRefusedError:
        return Health(answers=False, trouble=f"nothing listens at {parts.hostname}:{parts.port}")
    except Exception as error:  # noqa: BLE001 — whatever a client library raises says that the server is not well
        return Health(
            answers=False, trouble=f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no reason'}"
        )


def _http(parts: SplitResult, _: Secrets) -> str:
    _get(parts, urlunsplit(("", "", parts.path or "/", parts.query, "")))
    return ""


def _namenode(parts: SplitResult, _: Secrets) -> str:
    (bean,) = _json(parts, "/jmx?qry=" + quote("Hadoop:service=NameNode,name=FSNamesystemState"))["beans"]
    wanted, live = int(_query(parts, "datanodes")), int(bean["NumLiveDataNodes"])
    if live < wanted:
        return f"{live} of {wanted} DataNodes live"
    return "" if bean["FSState"] == "Operational" else "in safe mode"


def _resourcemanager(parts: SplitResult, _: Secrets) -> str:
    metrics = _json(parts, "/ws/v1/cluster/metrics")["clusterMetrics"]
    wanted, active = int(_query(parts, "nodes")), int(metrics["activeNodes"])
    return "" if active >= wanted else f"{active} of {wanted} NodeManagers active"


def _nodemanager(parts: SplitResult, _: Secrets) -> str:
    node = _json(parts, "/ws/v1/node/info")["nodeInfo"]
    return "" if node["nodeHealthy"] else f"unhealthy: {node['healthReport']}"


def _spark(parts: SplitResult, _: Secrets) -> str:
    wanted, alive = int(_query(parts, "workers")), int(_json(parts, "/json/")["aliveworkers"])
    return "" if alive >= wanted else f"{alive} of {wanted} workers alive"


def _mysql(parts: SplitResult, secrets: Secrets) -> str:
    import pymysql

    connection = pymysql.connect(
        host=parts.hostname,
        port=parts.port or 0,
        user=parts.username,
        password=secrets["PASSWORD"],
        database=parts.path.lstrip("/"),
        connect_timeout=int(_PATIENCE_S),
        read_timeout=int(_PATIENCE_S),
    )
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return ""


def _mongodb(parts: SplitResult, _: Secrets) -> str:
    from pymongo import MongoClient

    patience_ms = int(1000 * _PATIENCE_S)
    with MongoClient[dict[str, Any]](
        parts.hostname, parts.port, serverSelectionTimeoutMS=patience_ms, socketTimeoutMS=patience_ms
    ) as client:
        client.admin.command("ping")
    return ""


def _s3(parts: SplitResult, secrets: Secrets) -> str:
    _s3_client(f"http://{parts.netloc}", secrets["ROOT_ACCESS_KEY"], secrets["ROOT_SECRET_KEY"]).list_buckets()
    return ""


@cache
def _s3_client(endpoint: str, access_key: str, secret_key: str) -> Any:
    """A client that says quickly that the server is not there."""
    from pydantic import SecretStr

    from core.settings import S3Settings
    from core.storage.s3 import s3_client

    settings = S3Settings(endpoint=endpoint, access_key=SecretStr(access_key), secret_key=SecretStr(secret_key))
    return s3_client(settings, patience_s=_PATIENCE_S)


def _kafka(parts: SplitResult, _: Secrets) -> str:
    from confluent_kafka.admin import AdminClient

    client = AdminClient({"bootstrap.servers": parts.netloc, "log_level": 0, "socket.timeout.ms": int(1000 * _PATIENCE_S)})
    return "" if client.list_topics(timeout=_PATIENCE_S).brokers else "no broker has joined"


def _airflow(parts: SplitResult, _: Secrets) -> str:
    component = _query(parts, "component")
    try:
        told = _json(parts, "/api/v2/monitor/health")[component]
    except (OSError, http.client.HTTPException):
        if component == _AIRFLOW_DATABASE:
            raise
        return "the API server, which tells its heartbeat, does not answer"  # no reason to start it again
    if component == _AIRFLOW_DATABASE:
        return "" if told["status"] == "healthy" else "its database does not answer"
    heartbeat, since = told[f"latest_{component}_heartbeat"], float(_query(parts, "since"))
    if told["status"] != "healthy" or datetime.fromisoformat(heartbeat).timestamp() < since + _CLOCK_S:
        raise TimeoutError(f"no heartbeat since {heartbeat if told['status'] else 'its start'}")
    return ""


def _get(parts: SplitResult, path: str) -> bytes:
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=_PATIENCE_S)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != http.client.OK:
            raise http.client.HTTPException(f"GET {path} answers {answer.status}")
        return body
    finally:
        connection.close()


def _json(parts: SplitResult, path: str) -> Any:
    return json.loads(_get(parts, path))


def _query(parts: SplitResult, key: str) -> str:
    return dict(parse_qsl(parts.query))[key]


_CHECKS: Mapping[str, Callable[[SplitResult, Secrets], str]] = {
    "http": _http,
    "namenode": _namenode,
    "resourcemanager": _resourcemanager,
    "nodemanager": _nodemanager,
    "spark": _spark,
    "mysql": _mysql,
    "mongodb": _mongodb,
    "s3": _s3,
    "kafka": _kafka,
    "airflow": _airflow,
}
