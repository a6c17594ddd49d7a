"""Commands that run one service in the foreground: ``maas mlflow`` and ``maas bundles``."""

from __future__ import annotations

from typing import Annotated

import typer

from core.settings import load_settings

Profile = Annotated[str | None, typer.Option("--profile", help="Folder of conf/ whose settings apply (default: local).")]


def add_to(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(mlflow)
    app.command()(bundles)


def mlflow(profile: Profile = None) -> None:
    """Run MLflow's server (tracking, registry, pages) in the foreground."""
    from jobs.alone import serve_mlflow

    serve_mlflow(load_settings(profile=profile))


def bundles(
    every: Annotated[float | None, typer.Option(min=1, help="Go on, and look again every so many seconds.")] = None,
    profile: Profile = None,
) -> None:
    """Copy the versions that aliases name to where the model server of this machine looks for them."""
    from jobs.alone import copy_bundles, follow_registry

    def say(line: str) -> None:
        typer.echo(f"maas: {line}", err=True)

    settings = load_settings(profile=profile)
    if every is None:
        copy_bundles(settings, say)
    else:
        follow_registry(settings, every, say)
