"""The main job on real data in one command: lay out the airline's sources, run `flights`, serve it, ask it, sum up."""

from __future__ import annotations

import json
import shlex
import time
import urllib.request
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
from rich.console import Console

from core.contracts import ACTIVE, Layer, ModelUid, TableName
from core.errors import ServiceError
from core.lake.catalog import Lake
from core.registry.versions import Registry
from core.settings import Settings, load_settings
from etl.standardize import load_fitted
from jobs import services
from jobs.airline import lay_out
from jobs.failures import one_line_errors
from jobs.pipeline import Loaded, load_pipeline
from jobs.run import run_pipeline
from jobs.show import console, show_rows, show_tables

PIPELINE = "flights"
_TOP_REASONS = 5


@dataclass(frozen=True, slots=True)
class Answer:
    """One question to the model server: the command that asks it, the answer, and what Spark said of the same record."""

    command: str
    body: str
    version: str
    record: dict[str, Any]
    online: float
    offline: float


def main() -> None:
    """Run the demo; errors of ours become one line and exit status 1."""
    with one_line_errors():
        run_demo(load_settings(), console())


def run_demo(settings: Settings, out: Console) -> None:
    """Everything, then the summary. The services stay up: `maas down` ends them."""
    started = time.monotonic()
    with out.status("laying out the airline's sources (once)"):
        lay_out(settings.at_home(Path("sources/flights")))
    loaded = load_pipeline(settings, PIPELINE)
    run_pipeline(settings, PIPELINE, None, console=out)
    with out.status("starting MLflow and the model server"):
        services.up(settings)
    lake = Lake.of(settings)
    summarize(settings, loaded, lake, out)
    out.print(f"\ndone in {time.monotonic() - started:.0f} s; end the services with `.venv/bin/maas down`", highlight=False)


def summarize(settings: Settings, loaded: Loaded, lake: Lake, out: Console) -> None:
    """Tables, quarantine, metrics, the version, a question with its answer, offline scores, addresses."""
    pipeline = loaded.pipeline
    version = Registry.open(settings).resolve(ModelUid(pipeline.publish.model, ACTIVE))
    out.print()
    show_tables(out, [lake.info(name) for name in lake.names()])
    show_rows(out, "quarantine: top reasons", ("table", "reason", "rows"), quarantine_reasons(lake))
    show_rows(out, "test month", ("metric", "network", "logistic regression", "base rate"), metrics(version.evaluation))
    answer = ask(settings, loaded, lake)
    scored = lake.info(TableName.parse(pipeline.score.into))
    mlflow = settings.mlflow
    out.print(f"[bold]model[/bold] {pipeline.publish.model} (version {version.version}, alias {ACTIVE})", highlight=False)
    out.print("[bold]ask it[/bold]")
    out.print(answer.command, highlight=False, soft_wrap=True, markup=False)
    out.print(f"→ {answer.body}", highlight=False, markup=False)
    flight = "{flight_number} on {flight_date} from {origin} to {dest}".format(**answer.record)
    difference = abs(answer.online - answer.offline)
    out.print(f"  flight {flight}; Spark scored it {answer.offline:.6f} (difference {difference:.1e})", highlight=False)
    out.print(f"[bold]scored offline[/bold] {scored.rows:,} rows in {scored.name}", highlight=False)
    out.print(f"[bold]MLflow UI[/bold] http://{mlflow.host}:{mlflow.port}", highlight=False)


def quarantine_reasons(lake: Lake) -> list[tuple[str, str, int]]:
    """The most frequent reasons over all quarantine tables, with their rows."""
    counts: Counter[tuple[str, str]] = Counter()
    for table in (name for name in lake.names() if name.layer is Layer.QUARANTINE):
        for file in lake.snapshot(table).files:
            reasons = pc.value_counts(pq.read_table(file, columns=["reason"])["reason"]).to_pylist()
            counts.update({(str(table), item["values"]): item["counts"] for item in reasons})
    return [(table, reason, rows) for (table, reason), rows in counts.most_common(_TOP_REASONS)]


def metrics(evaluation: dict[str, Any]) -> list[tuple[str, float, float, float]]:
    """Rows of metric, network, logistic regression, base rate."""
    names = {"roc_auc": "ROC AUC", "pr_auc": "PR AUC", "log_loss": "log loss", "brier": "Brier", "ece": "calibration error"}
    columns = [evaluation[who] for who in ("network", "logistic", "base_rate")]
    return [(label, *(float(column[name]) for column in columns)) for name, label in names.items()]  # type: ignore[misc]


def ask(settings: Settings, loaded: Loaded, lake: Lake) -> Answer:
    """Send one record of the test month to the model server, as the printed command would."""
    pipeline = loaded.pipeline
    table = TableName.parse(pipeline.features.table)
    fitted = load_fitted(lake, table, f"{pipeline.name}/standardize/{table}")
    inputs = [column.name for column in fitted.inputs]
    shown = ["flight_number", "flight_date", "flight_id"]
    file = lake.snapshot(table, partition={"split": "test"}).files[0]
    record = pq.ParquetFile(file).read_row_group(0, columns=[*inputs, *shown]).slice(0, 1).to_pylist()[0]
    payload = json.dumps({"dataframe_records": [{name: record[name] for name in inputs}]})
    url = f"http://{settings.serving.host}:{settings.serving.port}/models/{pipeline.publish.model}/invocations"
    body, version = _post(url, payload)
    command = f"curl -s {url} -H 'content-type: application/json' -d {shlex.quote(payload)}"
    return Answer(command, body, version, record, json.loads(body)["predictions"][0], _offline(pipeline.score.into, lake, record))


def _post(url: str, payload: str) -> tuple[str, str]:
    request = urllib.request.Request(url, payload.encode(), {"content-type": "application/json"})  # noqa: S310 — our own server
    try:
        with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310
            return response.read().decode(), response.headers["x-model-version"]
    except OSError as error:
        raise ServiceError(f"{url}: no answer: {error}; see `maas status` and the logs it names") from error


def _offline(table: str, lake: Lake, record: dict[str, Any]) -> float:
    wanted = pc.field("flight_id") == record["flight_id"]
    for file in lake.snapshot(TableName.parse(table)).files:
        found = pq.read_table(file, columns=["flight_id", "probability"], filters=wanted)
        if found.num_rows:
            return float(found["probability"][0].as_py())
    raise ServiceError(f"{table} has no score of flight_id {record['flight_id']}: run the step score")


if __name__ == "__main__":
    main()
