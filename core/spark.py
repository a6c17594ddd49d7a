"""The Spark session: one builder for every job and test."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

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
) -> SparkSession:
    """A session with Delta and the JDBC drivers of ``jars`` loaded; an active session of this process is returned as it is.

    Raises ConfigError when Java or the jars are missing.
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
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    return session
