"""The Spark session that the settings ask for, and the spark-submit command that runs a step in one."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import ConfigError
from core.executors import Executors, is_local
from core.jvm import java_options
from core.settings import Settings
from jobs.pack import pack_code, pack_environment
from jobs.run import STEPS

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_LOGGING = Path("conf/log4j2.properties")


def open_session(settings: Settings, name: str) -> SparkSession:
    """The session of this process. On a cluster its executors import our code from a zip that is made here when it changed."""
    from core.spark import build_session

    spark = settings.spark
    return build_session(
        name,
        master=spark.master,
        driver_memory=spark.driver_memory,
        shuffle_partitions=spark.shuffle_partitions,
        jars=settings.at_root(spark.jars),
        log=settings.at_home(settings.logs.folder) / "spark.log",
        options={"spark.local.dir": str(settings.at_home(Path("spark"))), **spark.options},
        executors=_executors(settings) if _is_remote(settings) else Executors(),
        hadoop=hadoop_conf(settings),
        user=None if settings.hdfs.kerberos else settings.hdfs.user,
    )


def hadoop_conf(settings: Settings) -> Path | None:
    """Hadoop's configuration folder, absolute; None when the settings name none. Raises ConfigError when it is not there."""
    if settings.hdfs.conf is None:
        return None
    folder = settings.at_home(settings.hdfs.conf)
    if not folder.is_dir():
        raise ConfigError(f"{folder}: no such folder: hdfs.conf names Hadoop's configuration (`make cluster-up` writes it)")
    return folder


def _executors(settings: Settings) -> Executors:
    spark = settings.spark
    return Executors(
        count=spark.executors,
        cores=spark.executor_cores,
        memory=spark.executor_memory,
        overhead=spark.executor_overhead,
        host=spark.host,
        start_timeout_s=spark.start_timeout_s,
        code=pack_code(settings),
        environment=pack_environment(settings) if spark.environment == "packed" else None,
    )


def _is_remote(settings: Settings) -> bool:
    """Whether executors may run elsewhere: under spark-submit its command line decides."""
    return "PYSPARK_GATEWAY_PORT" in os.environ or not is_local(settings.spark.master)


@dataclass(frozen=True, slots=True)
class Submission:
    """A command, and what its environment must hold besides."""

    command: list[str]
    environment: Mapping[str, str]


def job_script(step: str) -> Path:
    """The file that spark-submit runs for a step; raises ConfigError when it is no job."""
    script = Path(__file__).parent / f"{step}.py"
    if step not in STEPS or not script.is_file():
        raise ConfigError(f"no job {step!r}: jobs are {', '.join(STEPS)}")
    return script


def submission(settings: Settings, script: Path, arguments: Sequence[str], master: str | None = None) -> Submission:
    """How ``script`` is run by spark-submit on ``master`` (None: the settings' own).

    The session is configured by the script, in ``open_session``; the command line says what the JVM must know when it starts.
    """
    master = master or settings.spark.master
    is_local(master)
    submit = Path(sys.executable).parent / "spark-submit"
    command = [str(submit), "--master", master, "--name", f"maas {script.stem}", "--driver-memory", settings.spark.driver_memory]
    logging = f"-Dlog4j2.configurationFile=file:{settings.at_root(_LOGGING)}"
    command += ["--driver-java-options", java_options(settings.at_root(settings.spark.jars), logging)]
    environment = {
        "MAAS_ROOT": str(settings.root),
        "MAAS_PROFILE": settings.profile,
        "PYSPARK_DRIVER_PYTHON": sys.executable,
        "SPARK_LOCAL_IP": settings.spark.host,
    }
    if (conf := hadoop_conf(settings)) is not None:
        environment |= {"HADOOP_CONF_DIR": str(conf), "YARN_CONF_DIR": str(conf)}
        if not settings.hdfs.kerberos:
            environment["HADOOP_USER_NAME"] = settings.hdfs.user
    return Submission([*command, str(script), *arguments], environment)
