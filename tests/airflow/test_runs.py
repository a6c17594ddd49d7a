"""`airflow dags test`: a run of a DAG without any service."""

import subprocess

import pytest

from jobs.run import STEPS

pytestmark = pytest.mark.timeout(1800)


@pytest.fixture(scope="module")
def platform(loaded):
    platform = loaded.copy("dags_test")
    platform.schedule(retries=2, retry_delay="10s", timeout="10m")
    platform.good("airflow", "db", "migrate")
    platform.good("airflow", "pools", "import", str(platform.home / "airflow/pools.json"))
    return platform


def test_a_run_whose_source_is_away_at_first_tries_again_and_doubles_nothing(platform):
    weather = platform.home / "sources/flights/weather"
    away = weather.rename(weather.with_name("away"))
    log = []
    command = platform.command("airflow", "dags", "test", "flights", "2013-01-07")
    with subprocess.Popen(**command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as running:
        for line in running.stdout:
            log.append(line)
            if "no such folder" in line and away.exists():
                away.rename(weather)
    assert running.returncode == 0, "".join(log)

    interval = "2013-01-06T00:00:00Z/2013-01-07T00:00:00Z"
    assert platform.journal("ingest")[1:] == [("failed", interval), ("done", interval)]
    for step in list(STEPS)[2:]:
        assert platform.journal(step) == [("done", interval)]
    assert platform.alerts() == []

    assert sorted(row["flight_id"] for row in platform.read("extracted.flights")) == platform.flights("2013-01-07")
    assert len(platform.read("raw.flights")) == len(platform.flights("2013-01-07"))
    assert len(platform.rows("scored.flights")) == len(platform.rows("features.flights")) > 1000


def test_an_error_that_trying_again_cannot_mend_fails_at_once_and_is_written_down(platform):
    rules = platform.root / "conf/rules/flights.yaml"
    kept = rules.rename(rules.with_suffix(".kept"))
    try:
        done = platform.run("airflow", "dags", "test", "flights", "2013-01-08")
    finally:
        kept.rename(rules)
    assert done.returncode == 1
    (alert,) = platform.alerts()
    assert alert["level"] == "ERROR" and alert["dag"] == "flights"
    assert alert["message"].startswith("flights.ingest failed: trying again changes nothing")
    assert "conf/rules/flights.yaml: no such file" in alert["message"]


def test_a_step_runs_through_airflows_spark_operator_as_well(platform):
    platform.change("local/airflow.yaml", runner="spark-submit")
    platform.schedule(retries=0, timeout="10m")
    platform.good("airflow", "connections", "import", str(platform.home / "airflow/connections.json"))
    before = len(platform.read("raw.flights"))
    said = platform.good("airflow", "tasks", "test", "flights", "ingest", "2013-01-09T00:00:00+00:00")
    interval = "2013-01-08T00:00:00Z/2013-01-09T00:00:00Z"
    assert platform.journal("ingest")[-1] == ("done", interval), said
    assert len(platform.read("raw.flights")) > before
