"""The Spark session: one builder for every job and test, on this machine, on YARN and on Spark's own cluster."""

from __future__ import annotations

import logging
import os
import shutil
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyspark
import pyspark.find_spark_home
from py4j.protocol import Py4JError, Py4JJavaError  # type: ignore[import-untyped]
from pyspark import SparkContext
from pyspark.errors import PySparkRuntimeError
from pyspark.sql import SparkSession

from core.errors import ConfigError, ServiceError
from core.executors import YARN, Executors, is_local, require_master
from core.jvm import JAVA_OPTIONS, java_options

LOG_STORE = "maas.lake.LinkLogStore"
"""What keeps the commits of two processes apart in a folder: ``core/lake/LinkLogStore.java``, a jar since set-up."""

_BASE = {
    "spark.delta.logStore.file.impl": LOG_STORE,
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    # else each function of a column costs five more calls of the JVM, to note the line that called it: 2 s for a table's rules
    "spark.python.sql.dataFrameDebugging.enabled": "false",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    "spark.sql.adaptive.enabled": "true",
    # HotSpot interprets methods above 8,000 bytes, which Spark's default allows: half the speed with many columns
    "spark.sql.codegen.hugeMethodLimit": "8000",
    "spark.databricks.delta.snapshotPartitions": "2",
    # training reads data files by their footers: a deletion vector would bring deleted rows back
    "spark.databricks.delta.properties.defaults.enableDeletionVectors": "false",
    # a copy of a folder without its hidden .crc files still has the checksums that are in the pages
    "spark.hadoop.parquet.page.verify-checksum.enabled": "true",
    # a NameNode that restarts, or is in safe mode, is asked again every two seconds, fifteen times
    "spark.hadoop.dfs.client.retry.policy.enabled": "true",
    "spark.hadoop.dfs.client.retry.policy.spec": "2000,15",
    "spark.sql.warehouse.dir": "file:/tmp/maas-no-warehouse",
}
_SHIPPED_PYTHON = "./environment/bin/python"
_POLL_S = 0.1
_TAGS = "spark.yarn.tags"


def build_session(
    name: str,
    *,
    master: str = "local[2]",
    driver_memory: str = "2g",
    shuffle_partitions: int = 2,
    jars: Path,
    options: Mapping[str, str] | None = None,
    log: Path | None = None,
    executors: Executors = Executors(),  # noqa: B008 — frozen
    hadoop: Path | None = None,
    user: str | None = None,
) -> SparkSession:
    """A session with Delta and the drivers of ``jars`` loaded; an active session of this process is returned as it is.

    ``executors`` are for clusters. ``hadoop`` is the folder of Hadoop's configuration, ``user`` the name that HDFS and YARN know
    us by (None: as the ticket says). Under spark-submit what its command line says comes first. What the JVM says goes to the
    file ``log`` (default: to standard error). Raises ConfigError when Java or the jars are missing, or the JVM does not start;
    ServiceError when the master does not answer, or gives no executor in time.
    """
    files = _require_jars(jars)
    if (active := SparkSession.getActiveSession()) is not None:
        return active
    submitted = _submitted()
    master = _choose_master(master, submitted, hadoop)
    _set_environment(hadoop, user, executors.environment)
    scheme = "" if is_local(master) or executors.environment else "local:"
    conf = {
        **_BASE,
        "spark.driver.memory": driver_memory,
        "spark.sql.shuffle.partitions": str(shuffle_partitions),
        "spark.jars": ",".join(f"{scheme}{file}" for file in files),
        **executors.conf(master, _spark_home()),
        **(options or {}),
        JAVA_OPTIONS: java_options(jars, (options or {}).get(JAVA_OPTIONS, "")),
        **submitted,
    }
    deadline = time.monotonic() + executors.start_timeout_s
    with _standard_error_in(log), _failures(master, log), _withdrawn_at(deadline, master, executors, conf):
        if submitted:
            _add_to_running_jvm(files)
        session = _start(name, master, {key: value for key, value in conf.items() if submitted.get(key) != value})
    if not is_local(master):
        _ship(session.sparkContext, executors)
        _await_executor(session, deadline, master, executors)
    return session


def _require_jars(folder: Path) -> list[Path]:
    """The jars of a session, absolute; raises ConfigError when they, or Java, are missing."""
    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        raise ConfigError("no Java found: install OpenJDK 17 or 21 (Debian: apt-get install openjdk-17-jre-headless)")
    files = sorted(folder.absolute().glob("*.jar"))
    for needed in ("delta-spark", "maas-lake"):
        if not any(file.name.startswith(needed) for file in files):
            raise ConfigError(f"no jar {needed} in {folder}: run `make setup`")
    return files


def _start(name: str, master: str, conf: Mapping[str, str]) -> SparkSession:
    logging.getLogger("py4j").setLevel(logging.WARNING)
    builder = SparkSession.builder.appName(name).master(master)
    for key, value in conf.items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    return session


def _spark_home() -> Path:
    """The folder of Spark's jars and scripts; under spark-submit pyspark itself is read from a zip."""
    found: Any = pyspark.find_spark_home._find_spark_home  # noqa: SLF001
    return Path(found())


def _submitted() -> dict[str, str]:
    """What the command line of spark-submit said; empty when this process starts its JVM itself."""
    if "PYSPARK_GATEWAY_PORT" not in os.environ:
        return {}
    SparkContext._ensure_initialized()  # noqa: SLF001
    return dict(pyspark.SparkConf().getAll())


def _choose_master(profile: str, submitted: Mapping[str, str], hadoop: Path | None) -> str:
    """The master of the command line, else the profile's; raises ConfigError when the session could not be there."""
    given = submitted.get("spark.master", "local[*]")
    if given == "local[*]" and submitted and not is_local(profile):
        raise ConfigError(
            f"the profile's master is {profile}: give it to spark-submit (--master {profile}), or run `maas submit`"
        )
    chosen = profile if given == "local[*]" else given
    require_master(chosen, hadoop)
    return chosen


def _set_environment(hadoop: Path | None, user: str | None, environment: Path | None) -> None:
    """Set what the JVM, the executors and native readers look for in this process's environment."""
    if hadoop is not None:
        os.environ["HADOOP_CONF_DIR"] = os.environ["YARN_CONF_DIR"] = str(hadoop)
    if user is not None:
        os.environ.setdefault("HADOOP_USER_NAME", user)
    if environment is not None:
        os.environ["PYSPARK_PYTHON"] = _SHIPPED_PYTHON
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    os.environ.setdefault("PYSPARK_DRIVER_PYTHON", sys.executable)
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")


def _ship(context: SparkContext, executors: Executors) -> None:
    """Give executors our code and the environment; this process goes on with the code that it runs."""
    if executors.code is not None:
        path = list(sys.path)
        context.addPyFile(str(executors.code))
        sys.path[:] = path
    if executors.environment is not None:
        context.addArchive(f"{executors.environment}#environment")


def _await_executor(session: SparkSession, deadline: float, master: str, executors: Executors) -> None:
    """Return when the first executor is there; without one a job would wait for ever."""
    tracker = session.sparkContext._jsc.sc().statusTracker()  # noqa: SLF001 — not in Python's API
    while len(tracker.getExecutorInfos()) < 2:  # noqa: PLR2004 — the driver is one
        if time.monotonic() > deadline:
            session.stop()
            raise _no_room(master, executors)
        time.sleep(_POLL_S)


def _no_room(master: str, executors: Executors) -> ServiceError:
    return ServiceError(
        f"{master} gave no executor of {executors.cores} cores and {executors.memory} + {executors.overhead} in "
        f"{executors.start_timeout_s:g} s: its nodes are busy, too small or gone: look at its web page, or ask for less "
        "(spark.executor_memory, spark.executor_cores)"
    )


@contextmanager
def _withdrawn_at(deadline: float, master: str, executors: Executors, conf: dict[str, str]) -> Iterator[None]:
    """Withdraw the application when YARN has not started its master by then: Spark's constructor waits for it without end.

    ``conf`` gets a tag by which YARN finds the application.
    """
    if master != YARN:
        yield
        return
    tag, late = f"maas-{uuid.uuid4().hex}", threading.Event()
    conf[_TAGS] = ",".join(filter(None, (conf.get(_TAGS), tag)))
    timer = threading.Timer(deadline - time.monotonic(), _withdraw, (tag, late))
    timer.daemon = True
    timer.start()
    try:
        yield
    except Py4JJavaError as error:
        if late.is_set():
            raise _no_room(master, executors) from error
        raise
    finally:
        timer.cancel()


def _withdraw(tag: str, late: threading.Event) -> None:
    late.set()
    jvm: Any = SparkContext._jvm  # noqa: SLF001
    client = jvm.org.apache.hadoop.yarn.client.api.YarnClient.createYarnClient()
    client.init(jvm.org.apache.hadoop.yarn.conf.YarnConfiguration())
    client.start()
    for application in client.getApplications():
        if application.getApplicationTags().contains(tag):
            client.killApplication(application.getApplicationId())
    client.stop()


@contextmanager
def _failures(master: str, log: Path | None) -> Iterator[None]:
    where = f"its last words are in {log}" if log else "its last words are above"
    try:
        yield
    except PySparkRuntimeError as error:
        raise ConfigError(f"Spark's JVM did not start; {where}; check `java -version` (17 or 21) and JAVA_HOME") from error
    except Py4JJavaError as error:
        cause: Any = error.java_exception
        while cause.getCause() is not None:
            cause = cause.getCause()
        reason = str(cause.getMessage() or cause).strip().split("\n", 1)[0]
        kind = ConfigError if "IllegalArgument" in str(cause.getClass().getName()) else ServiceError
        raise kind(f"no Spark session on {master}: {reason}; {where}") from error
    except Py4JError as error:
        raise ServiceError(f"no Spark session on {master}: its JVM ended; {where}") from error


def _add_to_running_jvm(jars: list[Path]) -> None:
    """Under spark-submit the JVM runs already: it loads classes of the session from where its own loader is told to look."""
    jvm: Any = SparkContext._jvm  # noqa: SLF001
    loader = jvm.java.lang.Thread.currentThread().getContextClassLoader()
    for jar in jars:
        loader.addURL(jvm.java.io.File(str(jar)).toURI().toURL())


@contextmanager
def _standard_error_in(log: Path | None) -> Iterator[None]:
    """Let a process that is started in this block, and lives on, write its standard error to ``log``."""
    if log is None:
        yield
        return
    log.parent.mkdir(parents=True, exist_ok=True)
    kept = os.dup(2)
    try:
        with log.open("ab") as file:
            os.dup2(file.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
