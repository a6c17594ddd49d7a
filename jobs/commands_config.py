"""``maas config …``: the settings in force, and every version of the pipelines and rules that were run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from core.settings import load_settings

if TYPE_CHECKING:
    from core.database.configurations import Configurations

app = typer.Typer(help="Look at the configuration, and at what it was.", no_args_is_help=True)

Profile = Annotated[str | None, typer.Option("--profile", help="Folder of conf/ whose settings apply (default: local).")]
Kind = Annotated[str, typer.Option(help="pipeline, overlay (what a profile changes in one, named PROFILE/NAME) or rules.")]
Name = Annotated[str, typer.Argument(help="Name of a pipeline or rule set.")]


@app.command()
def show(profile: Profile = None) -> None:
    """Print the settings in force, as YAML."""
    import yaml

    typer.echo(yaml.safe_dump(load_settings(profile=profile).model_dump(mode="json"), sort_keys=False).rstrip())


@app.command()
def history(name: Name, kind: Kind = "pipeline", profile: Profile = None) -> None:
    """List the versions of a pipeline or rule set, newest first."""
    from jobs.show import console, show_versions

    with _configurations(profile) as configurations:
        show_versions(console(), configurations.history(kind, name))


@app.command()
def diff(name: Name, old: int, new: int, kind: Kind = "pipeline", profile: Profile = None) -> None:
    """Print what changed between two versions."""
    with _configurations(profile) as configurations:
        typer.echo(configurations.diff(kind, name, old, new), nl=False)


@app.command()
def get(
    name: Name,
    version: Annotated[int | None, typer.Option(help="Number of the version (default: the newest).", min=1)] = None,
    kind: Kind = "pipeline",
    profile: Profile = None,
) -> None:
    """Print a version as it was run."""
    with _configurations(profile) as configurations:
        typer.echo(configurations.get(kind, name, version).text, nl=False)


@app.command()
def push(name: Annotated[str, typer.Argument(help="Name of a file in conf/pipelines.")], profile: Profile = None) -> None:
    """Check a pipeline and its rules and keep their texts, as running it does; an unchanged text makes no new version."""
    from jobs.pipeline import load_pipeline
    from jobs.record import push as push_files

    settings = load_settings(profile=profile)
    for kept in push_files(settings, load_pipeline(settings, name)):
        typer.echo(f"{kept.kind} {kept.name} version {kept.version} {kept.digest[:12]}")


@contextmanager
def _configurations(profile: str | None) -> Iterator[Configurations]:
    from core.database.configurations import Configurations
    from core.database.database import Database

    database = Database.of(load_settings(profile=profile))
    try:
        yield Configurations(database)
    finally:
        database.close()
