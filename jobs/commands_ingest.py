"""``maas ingest``: one round, or rounds without end."""

from __future__ import annotations

from typing import Annotated

import typer

from core.settings import load_settings


def ingest(
    pipeline: Annotated[str, typer.Argument(help="Name of a file in conf/pipelines.")],
    follow: Annotated[bool, typer.Option("--follow", help="Go on, round after round, until SIGTERM.")] = False,
    every: Annotated[float, typer.Option(min=0.05, help="With --follow, seconds between rounds.")] = 10.0,
    profile: Annotated[
        str | None, typer.Option("--profile", help="Folder of conf/ whose settings apply (default: local).")
    ] = None,
) -> None:
    """Land what is new in a pipeline's sources; with --follow again and again, in one Spark session, until SIGTERM."""
    from jobs.context import open_context
    from jobs.follow import follow_sources, stopped_by_signal
    from jobs.ingest import ingest_sources
    from jobs.record import record

    with open_context(load_settings(profile=profile), pipeline, typer.echo) as context:
        if follow:
            with stopped_by_signal() as stop:
                report = record("ingest", lambda found: follow_sources(found, every, stop), context)
        else:
            report = record("ingest", ingest_sources, context)
    for line in report.lines:
        typer.echo(line)
