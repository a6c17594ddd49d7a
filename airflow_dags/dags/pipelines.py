"""All DAGs, from the plan that ``maas dags`` wrote into the home folder, which ``MAAS__HOME`` names (default: ``var``)."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from airflow.sdk import DAG, Asset, CronDataIntervalTimetable, DeadlineAlert, DeadlineReference, SyncCallback
from maas_tasks import make_task, report_late

FORMAT = 2
PLAN = Path(__file__).parents[2] / os.environ.get("MAAS__HOME", "var") / "airflow/dags.json"


def read_plan(file: Path) -> dict[str, Any]:
    """The plan in ``file``; an error that Airflow shows says what to do."""
    if not file.is_file():
        raise FileNotFoundError(f"{file}: no plan of DAGs: run `maas dags`, or name the home folder by MAAS__HOME")
    plan: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    if plan.get("format") != FORMAT:
        raise ValueError(f"{file}: format {plan.get('format')}, these DAG files read {FORMAT}: run `maas dags` again")
    return plan


def make_dag(about: Mapping[str, Any], plan: Mapping[str, Any]) -> DAG:
    """One DAG of the plan, its tasks in a row."""
    dag = DAG(
        about["id"],
        description=about["description"],
        schedule=_schedule(about),
        start_date=_midnight(about["start"], about["timezone"]),
        end_date=about["end"] and _midnight(about["end"], about["timezone"]),
        catchup=about["catchup"],
        max_active_runs=1,
        tags=about["tags"],
        default_args={"owner": about["owner"]},
        deadline=_deadline(about, plan),
    )
    with dag:
        tasks = [make_task(task, plan) for task in about["tasks"]]
        for first, second in pairwise(tasks):
            first >> second
    return dag


def _schedule(about: Mapping[str, Any]) -> CronDataIntervalTimetable | list[Asset]:
    if about["after"]:
        return [Asset(**asset) for asset in about["after"]]
    return CronDataIntervalTimetable(about["cron"], timezone=about["timezone"])


def _midnight(day: str, timezone: str) -> datetime:
    return datetime.fromisoformat(day).replace(tzinfo=ZoneInfo(timezone)).astimezone(UTC)


def _deadline(about: Mapping[str, Any], plan: Mapping[str, Any]) -> DeadlineAlert | None:
    if about["deadline_s"] is None:
        return None
    late = SyncCallback(report_late, kwargs={"file": plan["alerts"], "dag": about["id"]})
    return DeadlineAlert(DeadlineReference.DAGRUN_QUEUED_AT, timedelta(seconds=about["deadline_s"]), late)


plan = read_plan(PLAN)
for one in plan["dags"]:
    globals()[one["id"]] = make_dag(one, plan)
