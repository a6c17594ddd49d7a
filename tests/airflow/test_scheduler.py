"""What Airflow's own scheduler makes of a plan: backfill, retraining, deadlines. Commands only write down their calls."""

import json

import pytest

DAYS = ("2013-01-06", "2013-01-07", "2013-01-08")


@pytest.fixture(scope="module")
def scheduled(project):
    project.change("local/settings.yaml", airflow={"port": 0})
    project.schedule(retrain=True, deadline="1s", end=DAYS[-1])
    project.plan_backfill(DAYS[0], DAYS[-1])
    project.good("maas", "airflow", "up")
    try:
        write_down(project)
        project.finish_backfill()
        yield project
    finally:
        project.run("maas", "airflow", "down")


def write_down(project) -> None:
    """Replace the commands of the plan, which a task reads when it runs."""
    file = project.home / "airflow/dags.json"
    plan = json.loads(file.read_text())
    for dag in plan["dags"]:
        for task in dag["tasks"]:
            called = f'echo "$*" >> {project.home}/called'
            task["command"] = ["/bin/sh", "-c", called, "sh", dag["id"], task["id"]]
    file.write_text(json.dumps(plan))


def called(project, dag: str) -> list[list[str]]:
    lines = [line.split() for line in (project.home / "called").read_text().splitlines()]
    return [words[1:] for words in lines if words[0] == dag]


def test_a_backfill_runs_each_day_after_the_other(scheduled):
    assert scheduled.ended("flights") == ["success"] * 3
    about = [["--from", f"2013-01-0{day}T00:00:00+00:00", "--to", f"2013-01-0{day + 1}T00:00:00+00:00"] for day in (6, 7, 8)]
    steps = ("ingest", "extract", "standardize")
    assert called(scheduled, "flights") == [[step, *interval] for interval in about for step in steps]


def test_runs_have_the_intervals_of_their_days(scheduled):
    runs = scheduled.query(
        "SELECT run_type, date(data_interval_start), date(data_interval_end) FROM dag_run WHERE dag_id = 'flights' ORDER BY 2"
    )
    assert runs == [
        ("backfill", "2013-01-06", "2013-01-07"),
        ("backfill", "2013-01-07", "2013-01-08"),
        ("backfill", "2013-01-08", "2013-01-09"),
    ]


def test_new_features_start_a_training_after_the_last_of_them(scheduled):
    runs = scheduled.ended("flights_retrain")
    assert set(runs) == {"success"} and len(runs) <= 3
    assert called(scheduled, "flights_retrain") == [["train"], ["publish"], ["score"]] * len(runs)
    everything = [line.split()[:2] for line in (scheduled.home / "called").read_text().splitlines()]
    last = len(everything) - everything[::-1].index(["flights", "standardize"])
    assert ["flights_retrain", "train"] in everything[last:]
    assert scheduled.query("SELECT DISTINCT run_type FROM dag_run WHERE dag_id = 'flights_retrain'") == [("asset_triggered",)]


def test_a_missed_deadline_is_written_down_once_a_run(scheduled):
    late = [alert for alert in scheduled.alerts() if alert["dag"] == "flights"]
    assert {(alert["level"], alert["message"]) for alert in late} == {("WARNING", "flights missed its deadline")}
    runs = scheduled.query("SELECT run_id FROM dag_run WHERE dag_id = 'flights'")
    assert sorted(alert["run"] for alert in late) == sorted(run for (run,) in runs)
