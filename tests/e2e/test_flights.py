"""The main job: what a user sees of pipeline `flights` is true."""

import json
import math
import urllib.request
from collections import Counter

import pytest
from rich.console import Console

from core.contracts import ModelUid, TableName
from core.registry.versions import Registry
from jobs.demo import ask, metrics, quarantine_reasons, summarize
from jobs.pipeline import load_pipeline

EXTRACTED = ("flights", "weather", "planes", "airports", "airlines", "operations")


@pytest.fixture(scope="module")
def served(platform):
    done = platform.maas("up")
    assert done.returncode == 0, done.stdout + done.stderr
    return platform


def post(url, document):
    request = urllib.request.Request(url, json.dumps(document).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.load(response), dict(response.headers)


def test_counts_close_in_every_table(platform):
    for name in EXTRACTED:
        raw = platform.lake.info(TableName.parse(f"raw.{name}")).rows
        extracted = platform.lake.info(TableName.parse(f"extracted.{name}")).rows
        quarantine = TableName.parse(f"quarantine.{name}")
        refused = platform.lake.info(quarantine).rows if platform.lake.exists(quarantine) else 0
        assert raw == extracted + refused, name
        assert raw > 0


def test_damaged_log_lines_are_in_quarantine_with_reason_and_raw_bytes(platform):
    rows = platform.rows("quarantine.operations").to_pylist()
    raw = platform.lake.info(TableName.parse("raw.operations")).rows
    assert 0.003 < len(rows) / raw < 0.007
    reasons = Counter(row["reason"] for row in rows)
    assert {"no_rule", "not_utf8", "bad_cast"} <= set(reasons)
    lines = set()
    for path in (platform.home / "sources/flights/operations").iterdir():
        lines.update(path.read_bytes().split(b"\n"))
    assert all(row["raw"] in lines and row["message"] and row["rule_set"] for row in rows)


def test_the_model_beats_both_baselines_on_the_test_month(platform):
    evaluation = Registry.open(platform.settings).resolve(ModelUid("flights")).evaluation
    by_name = {name: values for name, *values in metrics(evaluation)}
    for name in ("ROC AUC", "PR AUC"):
        network, logistic, base = by_name[name]
        assert network > logistic > base
    network, logistic, base = by_name["log loss"]
    assert network < min(logistic, base)


def test_a_second_run_changes_nothing(platform):
    before = platform.versions()
    done = platform.maas("run", "flights")
    assert done.returncode == 0, done.stderr
    assert platform.versions() == before
    assert len(Registry.open(platform.settings).models()[0].versions) == 1
    assert "registered already" in done.stdout


def test_rest_answers_what_spark_scored_for_the_same_rows(served):
    fitted_inputs = [c.name for c in load_signature(served)]
    features = served.rows("features.flights", ["flight_id", *fitted_inputs]).slice(0, 500).to_pylist()
    ids = {row["flight_id"] for row in features}
    scored = {row["flight_id"]: row for row in served.rows("scored.flights").to_pylist() if row["flight_id"] in ids}
    records = [{name: row[name] for name in fitted_inputs} for row in features]
    url = f"http://127.0.0.1:{served.settings.serving.port}/models/flights/invocations"
    answer, headers = post(url, {"dataframe_records": records})
    assert headers["x-model-version"] == "1"
    for row, online in zip(features, answer["predictions"], strict=True):
        offline = scored[row["flight_id"]]
        assert (offline["model"], offline["version"]) == ("flights", 1)
        assert math.isclose(online, offline["probability"], rel_tol=0, abs_tol=1e-6)


def load_signature(platform):
    from core.bundle import open_bundle

    return open_bundle(platform.home / "bundles" / "flights" / "1").signature.inputs


def test_scoring_runs_as_a_module_and_under_spark_submit(platform):
    ways = {"scored.module": ("python", "-m", "jobs.score"), "scored.submitted": ("spark-submit", "jobs/score.py")}
    for into, command in ways.items():
        done = platform.run(*command, "flights", "--table", "features.flights", "--into", into, "--model", "flights:1")
        assert done.returncode == 0, done.stderr
        assert platform.lake.info(TableName.parse(into)).rows == platform.lake.info(TableName.parse("features.flights")).rows


def test_the_summary_shows_real_numbers(served):
    loaded = load_pipeline(served.settings, "flights")
    out = Console(record=True, width=200)
    summarize(served.settings, loaded, served.lake, out)
    text = out.export_text()
    answer = ask(served.settings, loaded, served.lake)
    assert abs(answer.online - answer.offline) < 1e-6
    assert answer.command in text
    assert f"{served.lake.info(TableName.parse('features.flights')).rows:,}" in text
    for table, reason, rows in quarantine_reasons(served.lake):
        assert table in text
        assert reason in text
        assert f"{rows:,}" in text


def test_the_printed_curl_line_gives_the_printed_answer(served):
    answer = ask(served.settings, load_pipeline(served.settings, "flights"), served.lake)
    assert json.loads(served.run("bash", "-c", answer.command).stdout) == json.loads(answer.body)


def test_down_ends_what_up_started(served):
    assert served.maas("down").returncode == 0
    assert "maas up" in served.maas("status").stdout
