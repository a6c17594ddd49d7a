"""The plan of all DAGs, as JSON: what Airflow's side knows of pipelines, which reads neither YAML nor our packages.

``HOME/airflow/dags.json`` holds the DAGs with their commands, ``pools.json`` what ``airflow pools import`` takes.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from core.errors import ConfigError
from core.settings import Settings
from core.storage.local import LocalStorage
from jobs.failures import STATUSES
from jobs.pipeline import Loaded, load_pipeline, pipeline_names
from jobs.run import STEPS, steps_of
from jobs.schedule import Effort, Keep, Schedule, Scheduling, Upkeep, load_scheduling
from jobs.scheduling.submitted import connection, submit

PLAN = Path("airflow/dags.json")
POOLS = Path("airflow/pools.json")
CONNECTIONS = Path("airflow/connections.json")
FORMAT = 2

_TRAIN = "train"
_FINAL = 78  # EX_CONFIG of sysexits.h; the next is free there
_SUPERSEDED = 79
_STATUSES = {"config": _FINAL, "rule": _FINAL, "publish_refused": _FINAL, "not_trained": _SUPERSEDED}
_DRIFTED = 3
_EPOCH = date(2026, 1, 1)

Document = dict[str, Any]


def write_plan(settings: Settings) -> Document:
    """Write the plan and what Airflow imports beside it, each at once or not at all, and return the plan."""
    scheduling = load_scheduling(settings)
    plan = make_plan(settings, scheduling)
    pools = {name: {"slots": slots, "description": "", "include_deferred": False} for name, slots in scheduling.pools.items()}
    documents = {PLAN: plan, POOLS: pools}
    if scheduling.runner == "spark-submit":
        documents[CONNECTIONS] = connection(settings)
    files = LocalStorage(settings.at_home(Path()))
    for path, document in documents.items():
        files.write_atomic(str(path), json.dumps(document, indent=1).encode())
    return plan


def make_plan(settings: Settings, scheduling: Scheduling) -> Document:
    """Every pipeline with a schedule as DAGs, and those of maintenance. Raises ConfigError naming the pipeline and the key."""
    home = settings.at_home(Path())
    dags: list[Document] = []
    for name in pipeline_names(settings):
        loaded = load_pipeline(settings, name)
        if (schedule := loaded.extraction.schedule) is not None:
            dags += _of_pipeline(settings, scheduling, loaded, schedule)
    dags += _of_maintenance(scheduling)
    _check_names(dags)
    _check_pools(dags, scheduling)
    return {
        "format": FORMAT,
        "environment": {
            "MAAS_ROOT": str(settings.root),
            "MAAS_PROFILE": settings.profile,
            "MAAS__HOME": str(home),
            STATUSES: json.dumps(_STATUSES),
        },
        "alerts": str(settings.at_home(settings.logs.folder) / "alerts"),
        "dags": dags,
    }


def _of_pipeline(settings: Settings, scheduling: Scheduling, loaded: Loaded, schedule: Schedule) -> Iterable[Document]:
    pipeline = loaded.extraction
    if unknown := sorted(set(schedule.steps) - set(STEPS)):
        raise ConfigError(f"{loaded.file}: schedule.steps: no step {unknown[0]!r}: steps are {', '.join(STEPS)}")
    names = steps_of(loaded)
    cut = len(names)
    assets = {}
    if schedule.retrain or schedule.drift or not loaded.ends_typed:
        whole = loaded.pipeline
        assets = {"standardize": whole.features.table, "score": whole.score.into}
        cut = names.index(_TRAIN) if schedule.retrain else cut
    outlets = {step: [_asset(settings, table)] for step, table in assets.items()}

    def tasks(steps: Sequence[str], interval: bool) -> list[Document]:
        return [
            _task(
                step,
                _maas("run", pipeline.name, "--step", step),
                schedule.effort(step),
                interval=interval,
                outlets=outlets.get(step, []),
                submit=submit(settings, step, pipeline.name) if scheduling.runner == "spark-submit" else None,
            )
            for step in steps
        ]

    common = {"owner": schedule.owner, "deadline_s": schedule.deadline, "start": str(schedule.start)}
    about = pipeline.description
    yield _dag(
        pipeline.name, about, tasks(names[:cut], schedule.interval), **common, **_times(schedule), catchup=schedule.catchup
    )
    if schedule.retrain:
        yield _dag(
            f"{pipeline.name}_retrain",
            f"{about}: a new version",
            tasks(names[cut:], False),
            **common,
            after=outlets["standardize"],
        )
    yield from _watches(pipeline.name, about, schedule, common)


def _watches(pipeline: str, about: str, schedule: Schedule, common: Document) -> Iterable[Document]:
    """What looks whether the data, or the rules, are still what they were."""
    for name, cron, words, finding in (
        ("drift", schedule.drift, ["drift"], "the data drifted"),
        ("rules_drift", schedule.rules_drift, ["rules", "drift"], "more records than before are taken by no rule"),
    ):
        if cron:
            watch = _task(name, _maas(*words, pipeline), schedule, final={_DRIFTED: finding})
            title = f"{about}: {' '.join(words)}"
            yield _dag(f"{pipeline}_{name}", title, [watch], **common, cron=cron, timezone=schedule.timezone)


def _of_maintenance(scheduling: Scheduling) -> Iterable[Document]:
    upkeep: dict[str, tuple[Upkeep | None, list[str], str]] = {
        "optimize": (scheduling.maintenance.optimize, ["tables", "optimize"], "Small files of tables into larger ones"),
        "vacuum": (scheduling.maintenance.vacuum, ["tables", "vacuum"], "Remove files that no version in keeping needs"),
        "archive": (scheduling.maintenance.archive, ["logs", "archive"], "Put old logs into the archive"),
    }
    for name, (wanted, words, about) in upkeep.items():
        if wanted is not None:
            kept = ["--keep-days", str(wanted.keep_days)] if isinstance(wanted, Keep) else []
            task = _task(name, _maas(*words, *kept), wanted)
            yield _dag(f"maintenance_{name}", about, [task], cron=wanted.cron, start=str(_EPOCH))


def _dag(name: str, about: str, tasks: list[Document], **more: Any) -> Document:
    tag = "maintenance" if name.startswith("maintenance_") else "pipeline"
    defaults = {
        "owner": "maas",
        "tags": [tag],
        "cron": None,
        "timezone": "UTC",
        "end": None,
        "catchup": False,
        "deadline_s": None,
        "after": [],
    }
    return {"id": name, "description": about, **defaults, **more, "tasks": tasks}


def _task(
    name: str,
    command: list[str],
    effort: Effort,
    *,
    interval: bool = False,
    outlets: Sequence[Mapping[str, str]] = (),
    final: Mapping[int, str] | None = None,
    submit: Document | None = None,
) -> Document:
    statuses = {_FINAL: "trying again changes nothing", **(final or {})}
    return {
        "id": name,
        "command": command,
        "interval": interval,
        "retries": effort.retries,
        "retry_delay_s": effort.retry_delay,
        "timeout_s": effort.timeout,
        "pool": effort.pool,
        "outlets": list(outlets),
        "final": {str(status): meaning for status, meaning in statuses.items()},
        "skip": {str(_SUPERSEDED): "newer features came meanwhile, which the next run trains"},
        "submit": submit,
    }


def _times(schedule: Schedule) -> Document:
    return {"cron": schedule.cron, "timezone": schedule.timezone, "end": None if schedule.end is None else str(schedule.end)}


def _asset(settings: Settings, table: str) -> dict[str, str]:
    return {"name": table, "uri": f"maas://{settings.profile}/{table}"}


def _maas(*arguments: str) -> list[str]:
    return [str(Path(sys.executable).with_name("maas")), *arguments]


def _check_names(dags: Sequence[Document]) -> None:
    twice = [name for name, count in Counter(dag["id"] for dag in dags).items() if count > 1]
    if twice:
        raise ConfigError(f"two DAGs would be named {twice[0]!r}: rename the pipeline that takes a name we derive")


def _check_pools(dags: Sequence[Document], scheduling: Scheduling) -> None:
    for dag in dags:
        for task in dag["tasks"]:
            if task["pool"] not in scheduling.pools:
                known = ", ".join(sorted(scheduling.pools))
                raise ConfigError(
                    f"DAG {dag['id']!r}, task {task['id']!r}: no pool {task['pool']!r} in airflow.yaml: there are {known}"
                )
