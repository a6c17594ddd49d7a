"""The Spark session: one builder for every job and test."""

from __future__ import annotations

import logging
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pyspark import SparkContext
from pyspark.errors import PySparkRuntimeError
from pyspark.sql import SparkSession

from core.errors import ConfigError

_BASE = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    "spark.sql.adaptive.enabled": "true",
    "spark.databricks.delta.snapshotPartitions": "2",
    # training reads data files by their footers: a deletion vector would bring deleted rows back
    "spark.databricks.delta.properties.defaults.enableDeletionVectors": "false",
    "spark.sql.warehouse.dir": "file:/tmp/maas-no-warehouse",
}


def build_session(
    name: str,
    *,
    master: str = "local[2]",
    driver_memory: str = "2g",
    shuffle_partitions: int = 2,
    jars: Path,
    options: Mapping[str, str] | None = None,
    log: Path | None = None,
) -> SparkSession:
    """A session with Delta and the JDBC drivers of ``jars`` loaded; an active session of this process is returned as it is.

    What the JVM says goes to the file ``log`` (default: to standard error). Raises ConfigError when Java or the jars are
    missing, or the JVM does not start.
    """
    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        raise ConfigError("no Java found: install OpenJDK 17 or 21 (Debian: apt-get install openjdk-17-jre-headless)")
    files = sorted(jars.glob("*.jar"))
    if not any(f.name.startswith("delta-spark") for f in files):
        raise ConfigError(f"no Delta jars in {jars}: run `make jars`")
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    os.environ.setdefault("PYSPARK_DRIVER_PYTHON", sys.executable)
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    builder = SparkSession.builder.appName(name).master(master)
    conf = {
        **_BASE,
        "spark.driver.memory": driver_memory,
        "spark.sql.shuffle.partitions": str(shuffle_partitions),
        "spark.jars": ",".join(str(f.absolute()) for f in files),
        **(options or {}),
    }
    for key, value in conf.items():
        builder = builder.config(key, value)
    logging.getLogger("py4j").setLevel(logging.WARNING)
    try:
        with _standard_error_in(log):
            if "PYSPARK_GATEWAY_PORT" in os.environ:
                _add_to_running_jvm(files)
            session = builder.getOrCreate()
            session.sparkContext.setLogLevel("ERROR")
    except PySparkRuntimeError as error:
        where = f"its last words are in {log}" if log else "its last words are above"
        raise ConfigError(f"Spark's JVM did not start; {where}; check `java -version` (17 or 21) and JAVA_HOME") from error
    return session


def _add_to_running_jvm(jars: list[Path]) -> None:
    """Under spark-submit the JVM runs already: it loads classes of the session from where its own loader is told to look."""
    SparkContext._ensure_initialized()  # noqa: SLF001
    jvm: Any = SparkContext._jvm  # noqa: SLF001
    loader = jvm.java.lang.Thread.currentThread().getContextClassLoader()
    for jar in jars:
        loader.addURL(jvm.java.io.File(str(jar.absolute())).toURI().toURL())


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
