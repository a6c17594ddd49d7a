import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from core.errors import ConfigError
from core.settings import Settings, load_settings
from jobs.run import STEPS
from jobs.schedule import load_scheduling
from jobs.scheduling import plan as planned

ROOT = Path(__file__).parents[3]


class Project:
    """A copy of conf/ whose files a test may change."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(ROOT / "conf", folder / "conf")

    def change(self, place: str, **changes: Any) -> None:
        file = self.folder / "conf" / place
        document = yaml.safe_load(file.read_text()) if file.is_file() else {}
        file.write_text(yaml.safe_dump({**document, **changes}, sort_keys=False))

    def schedule(self, **schedule: Any) -> None:
        self.change("pipelines/flights.yaml", schedule={"cron": "@daily", "start": "2013-01-01", **schedule})

    @property
    def settings(self) -> Settings:
        return load_settings(self.folder, "local", {})

    def plan(self) -> dict[str, dict[str, Any]]:
        """The DAGs by name."""
        made = planned.make_plan(self.settings, load_scheduling(self.settings))
        return {dag["id"]: dag for dag in made["dags"]}


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path)


def steps(dag: dict[str, Any]) -> list[str]:
    return [task["id"] for task in dag["tasks"]]


def test_a_pipeline_with_a_schedule_has_a_task_for_each_step(project):
    project.schedule(catchup=True, timezone="America/New_York", end="2014-01-01", deadline="6h", owner="airline")
    flights = project.plan()["flights"]
    assert steps(flights) == list(STEPS)
    assert flights["cron"] == "@daily" and flights["timezone"] == "America/New_York" and flights["catchup"] is True
    assert (flights["start"], flights["end"]) == ("2013-01-01", "2014-01-01")
    assert (flights["deadline_s"], flights["owner"]) == (21600, "airline")
    first = flights["tasks"][0]
    assert first["command"] == [str(Path(sys.executable).with_name("maas")), "run", "flights", "--step", "ingest"]
    assert first["interval"] is True


def test_a_new_step_becomes_a_task_by_itself(project, monkeypatch):
    project.schedule(retrain=True)
    monkeypatch.setitem(STEPS, "canary", "jobs.canary:canary")
    plan = project.plan()
    assert "canary" in steps(plan["flights_retrain"]) and "canary" not in steps(plan["flights"])


def test_a_pipeline_without_a_schedule_has_no_dag(project):
    project.change("pipelines/flights.yaml", schedule=None)
    assert not [name for name in project.plan() if name.startswith("flights")]


def test_retraining_waits_for_the_feature_table(project):
    project.schedule(retrain=True)
    plan = project.plan()
    assert steps(plan["flights"]) == ["ingest", "extract", "standardize"]
    assert steps(plan["flights_retrain"]) == ["train", "publish", "score"]
    assert plan["flights_retrain"]["cron"] is None
    assert plan["flights_retrain"]["after"] == plan["flights"]["tasks"][-1]["outlets"]
    assert plan["flights_retrain"]["after"][0]["name"] == "features.flights"
    assert not any(task["interval"] for task in plan["flights_retrain"]["tasks"])


def test_drift_is_a_dag_of_its_own_and_its_finding_is_not_tried_again(project):
    project.schedule(drift="0 6 * * *")
    (watch,) = project.plan()["flights_drift"]["tasks"]
    assert watch["command"][1:] == ["drift", "flights"]
    assert watch["final"]["3"] == "the data drifted"


def test_rules_that_stop_fitting_are_watched_by_a_dag_of_their_own(project):
    project.schedule(rules_drift="0 7 * * *")
    dag = project.plan()["flights_rules_drift"]
    (watch,) = dag["tasks"]
    assert dag["cron"] == "0 7 * * *"
    assert watch["command"][1:] == ["rules", "drift", "flights"]
    assert watch["final"]["3"] == "more records than before are taken by no rule"


def test_steps_have_the_effort_that_the_file_gives_them(project):
    project.schedule(retries=4, steps={"train": {"timeout": "9h", "retries": 0}})
    tasks = {task["id"]: task for task in project.plan()["flights"]["tasks"]}
    assert (tasks["train"]["timeout_s"], tasks["train"]["retries"]) == (32400, 0)
    assert (tasks["score"]["timeout_s"], tasks["score"]["retries"]) == (7200, 4)


def test_maintenance_runs_the_platforms_commands(project):
    plan = project.plan()
    commands = {name: dag["tasks"][0]["command"][1:] for name, dag in plan.items() if name.startswith("maintenance_")}
    assert commands == {
        "maintenance_optimize": ["tables", "optimize"],
        "maintenance_vacuum": ["tables", "vacuum", "--keep-days", "7"],
        "maintenance_archive": ["logs", "archive", "--keep-days", "30"],
    }


def test_maintenance_that_is_not_wanted_has_no_dag(project):
    project.change("base/airflow.yaml", maintenance={"optimize": {"cron": "@daily"}, "vacuum": None})
    assert [name for name in project.plan() if name.startswith("maintenance_")] == ["maintenance_optimize"]


def test_spark_submit_is_told_what_maas_submit_tells_it(project):
    project.schedule()
    project.change("base/airflow.yaml", runner="spark-submit")
    submit = project.plan()["flights"]["tasks"][0]["submit"]
    assert submit["application"] == str(ROOT / "jobs/ingest.py")
    assert submit["application_args"] == ["flights"]
    assert submit["spark_binary"].endswith("/spark-submit")
    assert submit["env_vars"]["MAAS_ROOT"] == str(project.folder)
    assert submit["conf"]["spark.driver.extraJavaOptions"].endswith("log4j2.properties")
    planned.write_plan(project.settings)
    connections = json.loads(project.settings.at_home(planned.CONNECTIONS).read_text())
    assert connections == {"maas_spark": {"conn_type": "spark", "host": project.settings.spark.master}}


def test_the_plan_is_written_with_the_pools_that_airflow_imports(project):
    project.change("base/airflow.yaml", pools={"spark": 2, "gpu": 1})
    made = planned.write_plan(project.settings)
    assert json.loads(project.settings.at_home(planned.PLAN).read_text()) == made
    pools = json.loads(project.settings.at_home(planned.POOLS).read_text())
    assert {name: pool["slots"] for name, pool in pools.items()} == {"spark": 2, "gpu": 1}


def test_a_plan_holds_no_secret(project, monkeypatch):
    settings = load_settings(project.folder, "local", {"MAAS__DATABASE__PASSWORD": "hunter2", "MAAS__S3__SECRET_KEY": "hunter2"})
    assert "hunter2" not in json.dumps(planned.make_plan(settings, load_scheduling(settings)))


@pytest.mark.parametrize(
    ("schedule", "words"),
    [
        ({"steps": {"trian": {"retries": 1}}}, ["flights.yaml", "no step 'trian'", "train"]),
        ({"pool": "gpu"}, ["'flights'", "no pool 'gpu'", "there are spark"]),
        ({"steps": {"train": {"pool": "gpu"}}}, ["task 'train'", "no pool 'gpu'"]),
    ],
)
def test_a_schedule_that_fits_nothing_is_refused(project, schedule, words):
    project.schedule(**schedule)
    with pytest.raises(ConfigError) as refused:
        project.plan()
    for word in words:
        assert word in refused.value.message


def test_two_dags_of_one_name_are_refused(project):
    project.schedule(retrain=True)
    text = (project.folder / "conf/pipelines/flights.yaml").read_text()
    (project.folder / "conf/pipelines/flights_retrain.yaml").write_text(text.replace("name: flights", "name: flights_retrain", 1))
    with pytest.raises(ConfigError, match="two DAGs would be named 'flights_retrain'"):
        project.plan()


def test_a_refused_plan_leaves_the_one_before(project):
    project.schedule()
    before = planned.write_plan(project.settings)
    project.schedule(pool="gpu")
    with pytest.raises(ConfigError):
        planned.write_plan(project.settings)
    assert json.loads(project.settings.at_home(planned.PLAN).read_text()) == before
