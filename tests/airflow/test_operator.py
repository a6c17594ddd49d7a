"""What Airflow makes of the exit status of a command."""

import json
from pathlib import Path

import pytest

DAGS = Path(__file__).parents[2] / "airflow_dags" / "dags"
SCRIPT = Path(__file__).with_name("operators.py")


@pytest.fixture(scope="module")
def outcomes(project):
    out = project.root / "outcomes.json"
    project.good("airflow-python", str(SCRIPT), str(DAGS), str(out))
    return json.loads(out.read_text())


def test_success_is_exit_status_0(outcomes):
    assert outcomes["good"] == ["done", ""]


def test_an_error_is_tried_again_and_its_line_is_told(outcomes):
    assert outcomes["bad"] == ["AirflowException", "exit status 1: maas: the disk is full"]
    assert outcomes["killed"][0] == "AirflowException" and "-9" in outcomes["killed"][1]


def test_an_error_that_would_come_again_is_final(outcomes):
    assert outcomes["final"] == ["AirflowFailException", "in vain: maas: no such key"]


def test_what_a_newer_run_does_is_skipped(outcomes):
    assert outcomes["superseded"][0] == "AirflowSkipException"


def test_a_command_is_given_the_interval(outcomes):
    assert outcomes["interval"][0] == "done"
    assert outcomes["seen"].splitlines() == ["--from", "2013-01-01T00:00:00+00:00", "--to", "2013-01-02T00:00:00+00:00"]


def test_a_run_without_an_interval_is_refused_before_anything_runs(outcomes):
    assert outcomes["no interval"][0] == "AirflowFailException"
    assert outcomes["ran without interval"] is False
