"""``maas backup`` and ``maas restore``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from core.settings import load_settings

Place = Annotated[str, typer.Argument(help="A folder, hdfs://HOST:PORT/folder or s3://BUCKET/prefix.")]
Profile = Annotated[str | None, typer.Option("--profile", help="Folder of conf/ whose settings apply (default: local).")]


def backup(place: Place, profile: Profile = None) -> None:
    """Write configurations, run journal, models with their files, and tables' commit logs to a new place."""
    from core.backup.backup import back_up

    settings = load_settings(profile=profile)
    _show("backing up", lambda progress: back_up(settings, _absolute(place), progress))


def restore(
    place: Place,
    force: Annotated[bool, typer.Option("--force", help="Put the backup in place of what there is.")] = False,
    table: Annotated[
        list[str] | None,
        typer.Option(
            "--table", help="Only the commit log of this table, LAYER.NAME; may be repeated. With --force also backwards."
        ),
    ] = None,
    profile: Profile = None,
) -> None:
    """Verify a backup wholly and make this platform hold what it holds; the models that an alias names are fetched."""
    from core.backup.restore import restore as bring_back
    from core.backup.tables import restore_tables
    from core.registry.bundles import BundleCache

    settings = load_settings(profile=profile)
    if table:
        _show("restoring", lambda progress: restore_tables(settings, _absolute(place), table, force=force, progress=progress))
        return
    _show("restoring", lambda progress: bring_back(settings, _absolute(place), force=force, progress=progress))
    refused = BundleCache.open(settings).sync().refused
    for error in refused:
        typer.echo(f"not served: {error.message}")


def _show(what: str, work: Callable[[Callable[[str], None]], Sequence[str]]) -> None:
    from jobs.show import console

    with console().status(what) as status:
        lines = work(lambda note: status.update(f"{what}: {note}"))
    for line in lines:
        typer.echo(line)


def _absolute(place: str) -> str:
    return place if "://" in place else str(Path(place).absolute())
