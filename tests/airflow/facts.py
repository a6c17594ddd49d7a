"""Run by Airflow's own Python: parse the DAG files of one folder and write what came of it to a file."""

import json
import sys
from pathlib import Path
from typing import Any

from airflow.dag_processing.dagbag import BundleDagBag
from airflow.serialization.serialized_objects import DagSerialization


def of_task(task: Any) -> dict[str, Any]:
    return {
        "operator": type(task).__name__,
        "downstream": sorted(task.downstream_task_ids),
        "retries": task.retries,
        "retry_delay_s": task.retry_delay.total_seconds(),
        "timeout_s": task.execution_timeout.total_seconds(),
        "pool": task.pool,
        "at_once": task.max_active_tis_per_dag,
        "outlets": [asset.uri for asset in task.outlets],
        "reports": bool(task.on_failure_callback),
        "owner": task.owner,
    }


def of_dag(dag: Any) -> dict[str, Any]:
    core = DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dag))  # as the scheduler sees it
    first = core.next_dagrun_info(last_automated_run_info=None)
    interval = first and first.data_interval
    condition = core.timetable.asset_condition
    return {
        "tasks": {task.task_id: of_task(task) for task in dag.tasks},
        "catchup": dag.catchup,
        "runs_at_once": dag.max_active_runs,
        "first": interval and [interval.start.isoformat(), interval.end.isoformat()],
        "after": [asset.uri for _, asset in condition.iter_assets()] if condition else [],
        "deadlines": [[type(d.reference).__name__, d.interval.total_seconds(), d.callback.path] for d in dag.deadline or []],
    }


folder, out = map(Path, sys.argv[1:])
bag = BundleDagBag(dag_folder=folder, bundle_path=folder)
out.write_text(json.dumps({"errors": bag.import_errors, "dags": {name: of_dag(dag) for name, dag in bag.dags.items()}}))
