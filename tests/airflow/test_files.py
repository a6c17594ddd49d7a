"""The DAG files as Airflow reads them, without a database and without running anything."""

import ast
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jobs.run import STEPS

DAGS = Path(__file__).parents[2] / "airflow_dags" / "dags"
FACTS = Path(__file__).with_name("facts.py")
SCHEDULE = {
    "timezone": "America/New_York",
    "catchup": True,
    "retries": 3,
    "retry_delay": "2m",
    "deadline": "6h",
    "drift": "0 6 * * *",
    "owner": "airline",
    "steps": {"train": {"timeout": "9h"}},
}


@pytest.fixture(scope="module")
def parse(project) -> Callable[..., dict[str, Any]]:
    def parse(folder: Path = DAGS) -> dict[str, Any]:
        out = project.home / "facts.json"
        project.good("airflow-python", str(FACTS), str(folder), str(out))
        return json.loads(out.read_text())

    return parse


@pytest.fixture(scope="module")
def parsed(project, parse) -> dict[str, Any]:
    """The DAGs of a pipeline whose steps are in one DAG."""
    project.schedule(**SCHEDULE)
    return parse()


@pytest.fixture(scope="module")
def retraining(project, parse, parsed) -> dict[str, Any]:
    project.schedule(**SCHEDULE, retrain=True)
    return parse()["dags"]


def test_every_dag_imports(parsed):
    assert parsed["errors"] == {}
    assert set(parsed["dags"]) == {
        "flights",
        "flights_drift",
        "maintenance_optimize",
        "maintenance_vacuum",
        "maintenance_archive",
    }


def test_dag_files_import_airflow_and_the_standard_library_only():
    files = sorted(DAGS.glob("**/*.py"))
    own = {file.stem for file in files}
    assert own == {"pipelines", "maas_tasks"}
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0
                names = [node.module or ""]
            else:
                continue
            for name in names:
                assert name.partition(".")[0] in {"airflow", *own, *sys.stdlib_module_names}, f"{file.name} imports {name}"


def test_steps_follow_each_other(parsed):
    tasks = parsed["dags"]["flights"]["tasks"]
    assert list(tasks) == list(STEPS)
    assert [task["downstream"] for task in tasks.values()] == [*([name] for name in list(STEPS)[1:]), []]


def test_tasks_have_retries_timeouts_pool_and_owner(parsed):
    tasks = parsed["dags"]["flights"]["tasks"]
    for name, task in tasks.items():
        assert task["operator"] == "MaasOperator"
        assert (task["retries"], task["retry_delay_s"], task["pool"], task["owner"]) == (3, 120, "spark", "airline")
        assert task["timeout_s"] == (32400 if name == "train" else 7200)
        assert task["reports"]


def test_a_table_has_one_writer(parsed):
    flights = parsed["dags"]["flights"]
    assert flights["runs_at_once"] == 1
    assert all(task["at_once"] == 1 for task in flights["tasks"].values())


def test_a_run_is_about_a_day_of_the_pipelines_time_zone(parsed):
    flights = parsed["dags"]["flights"]
    assert flights["first"] == ["2013-01-01T05:00:00+00:00", "2013-01-02T05:00:00+00:00"]
    assert flights["catchup"] is True


def test_a_run_has_a_deadline(parsed):
    assert parsed["dags"]["flights"]["deadlines"] == [["DagRunQueuedAtDeadline", 21600, "maas_tasks.report_late"]]
    assert parsed["dags"]["maintenance_vacuum"]["deadlines"] == []


def test_retraining_starts_when_the_feature_table_was_brought_up_to_date(retraining):
    features = ["maas://local/features.flights"]
    assert list(retraining["flights"]["tasks"]) == ["ingest", "extract", "standardize"]
    assert retraining["flights"]["tasks"]["standardize"]["outlets"] == features
    assert list(retraining["flights_retrain"]["tasks"]) == ["train", "publish", "score"]
    assert retraining["flights_retrain"]["after"] == features
    assert retraining["flights_retrain"]["first"] is None


def test_without_catchup_days_that_are_past_are_left_to_backfills(project, parse, parsed):
    project.schedule(end="2013-01-08")
    assert parse()["dags"]["flights"]["first"] is None


def test_steps_may_go_through_airflows_spark_operator(project, parse, parsed):
    project.change("local/airflow.yaml", runner="spark-submit")
    project.schedule(**SCHEDULE)
    tasks = parse()["dags"]["flights"]["tasks"]
    (project.root / "conf/local/airflow.yaml").unlink()
    assert {task["operator"] for task in tasks.values()} == {"SparkSubmitOperator"}


@pytest.mark.parametrize(
    ("plan", "words"),
    [(None, ["no plan of DAGs", "run `maas dags`"]), ({"format": 0, "dags": []}, ["format 0", "run `maas dags` again"])],
)
def test_a_missing_or_older_plan_is_named(project, parse, parsed, plan, words):
    file = project.home / "airflow/dags.json"
    kept = file.with_name("kept.json")
    shutil.move(file, kept)
    if plan is not None:
        file.write_text(json.dumps(plan))
    found = parse()
    shutil.move(kept, file)
    (message,) = found["errors"].values()
    assert found["dags"] == {}
    for word in words:
        assert word in message
