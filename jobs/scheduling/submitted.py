"""What Airflow's SparkSubmitOperator is told, so that it calls spark-submit as ``maas submit`` does."""

from __future__ import annotations

from typing import Any

from core.jvm import JAVA_OPTIONS
from core.settings import Settings
from jobs.session import job_script, submission

CONNECTION = "maas_spark"
"""The connection that names the master."""


def submit(settings: Settings, step: str, pipeline: str) -> dict[str, Any]:
    """The operator's arguments for a step of a pipeline; see ``jobs.session.submission``."""
    script = job_script(step)
    made = submission(settings, script, [pipeline])
    options = dict(zip(made.command[1::2], made.command[2::2], strict=False))
    return {
        "application": str(script),
        "application_args": [pipeline],
        "conn_id": CONNECTION,
        "spark_binary": made.command[0],
        "name": options["--name"],
        "driver_memory": options["--driver-memory"],
        "conf": {JAVA_OPTIONS: options["--driver-java-options"]},
        "env_vars": dict(made.environment),
    }


def connection(settings: Settings) -> dict[str, Any]:
    """What ``airflow connections import`` takes: the connection to the profile's master."""
    return {CONNECTION: {"conn_type": "spark", "host": settings.spark.master}}
