"""Commands about running on a cluster: ``maas submit`` and ``maas pack``."""

from __future__ import annotations

import os
import shlex
import subprocess
from typing import Annotated

import typer

from core.settings import load_settings

Profile = Annotated[str | None, typer.Option("--profile", help="Folder of conf/ whose settings apply (default: local).")]


def add_to(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(submit)
    app.command()(pack)


def submit(
    context: typer.Context,
    step: Annotated[str, typer.Argument(help="Name of a job: ingest, extract, standardize, train, publish, score.")],
    master: Annotated[str | None, typer.Option(help="yarn, spark://HOST:PORT or local[N] (default: spark.master).")] = None,
    show: Annotated[bool, typer.Option("--show", help="Print the command instead of running it.")] = False,
    profile: Profile = None,
) -> None:
    """Run a job by spark-submit; what follows (the pipeline and its options) is the job's."""
    from jobs.session import job_script, submission

    made = submission(load_settings(profile=profile), job_script(step), context.args, master)
    if show:
        variables = [f"{name}={shlex.quote(value)}" for name, value in made.environment.items()]
        typer.echo(" ".join(["env", *variables, shlex.join(made.command)]))
        return
    raise typer.Exit(subprocess.run(made.command, env={**os.environ, **made.environment}, check=False).returncode)


def pack(
    environment: Annotated[bool, typer.Option(help="The Python environment of executors too (from uv.lock).")] = False,
    profile: Profile = None,
) -> None:
    """Make what executors are sent: our packages as a zip, named by its content; print where it lies."""
    from jobs.pack import pack_code, pack_environment

    settings = load_settings(profile=profile)
    typer.echo(pack_code(settings))
    if environment:
        typer.echo(pack_environment(settings))
