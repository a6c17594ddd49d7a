"""The command line. Commands import what they need when they run: help and doctor start without Spark and torch."""

from __future__ import annotations

from typing import Annotated

import typer

from core.settings import Settings, load_settings
from jobs import (
    commands_airflow,
    commands_alone,
    commands_cluster,
    commands_config,
    commands_logs,
    commands_quarantine,
    commands_rules,
    commands_spark,
    commands_tables,
)
from jobs.commands_backup import backup, restore
from jobs.commands_dags import dags
from jobs.commands_drift import drift
from jobs.commands_ingest import ingest
from jobs.commands_runs import runs
from jobs.failures import one_line_errors

app = typer.Typer(
    help="Batch-and-serve big data platform for models as a service.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(commands_config.app, name="config")
for command in (ingest, runs, dags, backup, restore, drift):
    app.command()(command)
app.add_typer(commands_cluster.app, name="cluster")
app.add_typer(commands_airflow.app, name="airflow")
app.add_typer(commands_tables.app, name="tables")
app.add_typer(commands_logs.app, name="logs")
app.add_typer(commands_rules.app, name="rules")
app.add_typer(commands_quarantine.app, name="quarantine")
commands_spark.add_to(app)
commands_alone.add_to(app)

Profile = Annotated[str | None, typer.Option("--profile", help="Folder of conf/ whose settings apply (default: local).")]
PipelineName = Annotated[str, typer.Argument(help="Name of a file in conf/pipelines.")]


def main() -> None:
    """Run the command line; errors of ours become one line and exit status 1."""
    with one_line_errors():
        app()


@app.command()
def run(
    pipeline: PipelineName,
    step: Annotated[list[str] | None, typer.Option(help="Run this step only (may be given several times).")] = None,
    start: Annotated[
        str | None, typer.Option("--from", help="Begin of the interval that the run is about (ISO 8601, UTC).")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", help="End of the interval, itself not in it (default: a day after).")] = None,
    profile: Profile = None,
) -> None:
    """Run a pipeline: ingest, extract, standardize, train, publish, score."""
    from jobs.context import read_interval
    from jobs.run import run_pipeline
    from jobs.show import console

    run_pipeline(load_settings(profile=profile), pipeline, step or None, interval=read_interval(start, end), console=console())


@app.command()
def up(profile: Profile = None) -> None:
    """Start MLflow (tracking server and UI) and the model server, supervised, on this machine only."""
    from jobs import services
    from jobs.show import console, show_services

    settings = load_settings(profile=profile)
    with console().status("starting MLflow and the model server"):
        states = services.up(settings)
    show_services(console(), states)


@app.command()
def down(profile: Profile = None) -> None:
    """End what `maas up` started."""
    from jobs import services
    from jobs.show import console, show_services

    show_services(console(), services.down(load_settings(profile=profile)))


@app.command()
def status(profile: Profile = None) -> None:
    """Show the services, their ports, process ids and health."""
    from jobs import services
    from jobs.show import console, show_services

    show_services(console(), services.status(load_settings(profile=profile)))


@app.command()
def serve(
    port: Annotated[int | None, typer.Option(help="Port to listen on (default: serving.port).")] = None,
    profile: Profile = None,
) -> None:
    """Run the model server in the foreground, with the active version of each registered model."""
    from jobs.serve import serve_models

    serve_models(load_settings(profile=profile), port)


@app.command()
def score(
    pipeline: PipelineName,
    table: Annotated[str | None, typer.Option(help="Table to score (default: the pipeline's).")] = None,
    into: Annotated[str | None, typer.Option(help="Table for the scores (default: the pipeline's).")] = None,
    model: Annotated[str | None, typer.Option(help="Model UID (default: the active version of the pipeline's model).")] = None,
    profile: Profile = None,
) -> None:
    """Score a table offline with a registered version."""
    from jobs.score import score_table

    report = score_table(load_settings(profile=profile), pipeline, table=table, into=into, model=model)
    for line in report.lines:
        typer.echo(line)


@app.command()
def models(profile: Profile = None) -> None:
    """List registered models with their versions and aliases."""
    from core.registry.versions import Registry
    from jobs.show import console, show_models

    show_models(console(), Registry.open(load_settings(profile=profile)).models())


@app.command()
def doctor(profile: Profile = None) -> None:
    """Check Java, compiler, packages, jars, disk and ports; exit 1 when something is missing."""
    from jobs.doctor import examine
    from jobs.show import console, show_findings

    settings: Settings = load_settings(profile=profile)
    findings = examine(settings)
    show_findings(console(), findings)
    if not all(finding.good for finding in findings):
        raise typer.Exit(1)


if __name__ == "__main__":
    main()
