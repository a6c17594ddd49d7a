"""Tasks that run one command of the platform, and what is written down when a run fails or is late.

Airflow and the standard library only: the platform lives in another environment.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.providers.standard.hooks.subprocess import SubprocessHook
from airflow.sdk import Asset, BaseOperator
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

_INTERVAL = ["--from", "{{ data_interval_start | ts }}", "--to", "{{ data_interval_end | ts }}"]


class MaasOperator(BaseOperator):
    """Runs a command without a shell; its output is the task's log.

    With ``interval``, the command is given the run's data interval. An exit status in ``final`` is not tried again, one in
    ``skip`` is no failure: what follows is left out.
    """

    def __init__(
        self,
        *,
        command: Sequence[str],
        environment: Mapping[str, str],
        interval: bool,
        final: Mapping[str, str],
        skip: Mapping[str, str],
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.command = list(command)
        self.environment = dict(environment)
        self.interval = interval
        self.final = dict(final)
        self.skip = dict(skip)
        self._hook = SubprocessHook()

    def execute(self, context: Mapping[str, Any]) -> None:
        """Run the command; raises AirflowFailException where another try would fail as well."""
        arguments = _interval(context) if self.interval else []
        done = self._hook.run_command([*self.command, *arguments], env={**_own(os.environ), **self.environment})
        status = str(done.exit_code)
        if status in self.skip:
            raise AirflowSkipException(f"{self.skip[status]}: {done.output}")
        if status in self.final:
            raise AirflowFailException(f"{self.final[status]}: {done.output}")
        if done.exit_code:
            raise AirflowException(f"exit status {status}: {done.output}")

    def on_kill(self) -> None:
        """End the command and its children: the task was cleared, or took longer than its timeout."""
        self._hook.send_sigterm()


def _own(variables: Mapping[str, str]) -> dict[str, str]:
    """Without Airflow's options: its keys are none of a command's business."""
    return {name: value for name, value in variables.items() if not name.startswith("AIRFLOW__")}


def _interval(context: Mapping[str, Any]) -> list[str]:
    start, end = context.get("data_interval_start"), context.get("data_interval_end")
    if start is None or end is None:
        raise AirflowFailException("this run is about no interval: trigger it with a logical date")
    return ["--from", start.isoformat(), "--to", end.isoformat()]


def make_task(task: Mapping[str, Any], plan: Mapping[str, Any]) -> BaseOperator:
    """The operator of a task of the plan."""
    common: dict[str, Any] = {
        "task_id": task["id"],
        "retries": task["retries"],
        "retry_delay": timedelta(seconds=task["retry_delay_s"]),
        "retry_exponential_backoff": True,
        "execution_timeout": timedelta(seconds=task["timeout_s"]),
        "pool": task["pool"],
        "max_active_tis_per_dag": 1,  # backfills have a limit of runs of their own: a table has one writer nevertheless
        "outlets": [Asset(**asset) for asset in task["outlets"]],
        "on_failure_callback": partial(report_failure, file=plan["alerts"]),
    }
    submit = task["submit"]
    if submit is None:
        own = {name: task[name] for name in ("command", "interval", "final", "skip")}
        return MaasOperator(**own, environment=plan["environment"], **common)
    arguments = [*submit["application_args"], *(_INTERVAL if task["interval"] else [])]
    environment = {**plan["environment"], **submit["env_vars"]}
    return SparkSubmitOperator(**{**submit, "application_args": arguments, "env_vars": environment}, durable=False, **common)


def report_failure(context: Mapping[str, Any], file: str) -> None:
    """Write down that a task failed for good."""
    task = context["task_instance"]
    _write(file, "ERROR", f"{task.dag_id}.{task.task_id} failed: {context.get('exception')}", dag=task.dag_id, run=task.run_id)


def report_late(context: Mapping[str, Any], file: str, dag: str) -> None:
    """Write down that a run missed its deadline."""
    run = context.get("dag_run") or {}
    _write(file, "WARNING", f"{dag} missed its deadline", dag=dag, run=run.get("dag_run_id") or run.get("run_id"))


def _write(file: str, level: str, message: str, **facts: Any) -> None:
    """Add one line of JSON, as the platform's logs have them, to the day's file; at once, so that writers do not mix."""
    now = datetime.now(UTC)
    line = {"ts": now.isoformat(), "level": level, "logger": "airflow", "message": message[:2000], **facts}
    day = Path(f"{file}-{now:%Y-%m-%d}.jsonl")
    day.parent.mkdir(parents=True, exist_ok=True)
    with day.open("ab", buffering=0) as log:
        log.write(json.dumps(line).encode() + b"\n")
