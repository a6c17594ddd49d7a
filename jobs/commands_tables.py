"""``maas tables …``: the lake's tables, their compaction, their vacuum, and the versions that it leaves alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from core.errors import MaasError
from core.settings import load_settings

app = typer.Typer(help="List the lake's tables; compact and vacuum them.", invoke_without_command=True)

Profile = Annotated[str | None, typer.Option("--profile", help="Folder of conf/ whose settings apply (default: local).")]
Tables = Annotated[list[str] | None, typer.Argument(help="Tables, as layer.name (default: all; optimize: all but features).")]
Name = Annotated[str, typer.Argument(help="A table, as layer.name.")]
Version = Annotated[int, typer.Option(min=0, help="Version of the table.")]


@app.callback()
def tables(context: typer.Context, profile: Profile = None) -> None:
    """List the lake's tables with their versions, rows and sizes; commands below it care for them."""
    if context.invoked_subcommand is not None:
        if profile is not None:
            raise typer.BadParameter("write it after the command", param_hint="--profile")
        return
    from core.lake.catalog import Lake
    from jobs.show import console, show_tables

    lake = Lake.of(load_settings(profile=profile))
    show_tables(console(), [lake.info(name) for name in lake.names()])


@app.command()
def optimize(tables: Tables = None, profile: Profile = None) -> None:
    """Put the rows of many small files into few; versions before stay until a vacuum."""
    from core.lake.compaction import Compaction
    from jobs.maintenance import optimize_tables
    from jobs.show import console, show_compactions

    settings, out = load_settings(profile=profile), console()
    with out.status("compacting"):
        found = list(optimize_tables(settings, tables or []))
    show_compactions(out, [one for one in found if isinstance(one, Compaction)])
    _tell(found)


@app.command()
def vacuum(
    tables: Tables = None,
    keep_days: Annotated[float, typer.Option(min=0, help="Versions of the last so many days stay readable.")] = 7.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Name the files, remove none.")] = False,
    nothing_runs: Annotated[bool, typer.Option("--nothing-runs", help="Allow --keep-days below 1.")] = False,
    profile: Profile = None,
) -> None:
    """Remove data files that no version of the last days and no held version names."""
    from core.lake.vacuum import Vacuumed
    from jobs.maintenance import vacuum_tables
    from jobs.show import console, show_vacuumed

    settings, out = load_settings(profile=profile), console()
    with out.status("vacuuming"):
        found = list(vacuum_tables(settings, tables or [], keep_days=keep_days, short=nothing_runs, dry_run=dry_run))
    done = [one for one in found if isinstance(one, Vacuumed)]
    if dry_run:
        for one in done:
            for file in one.files:
                typer.echo(f"{one.table} {file.path}")
    show_vacuumed(out, done, dry_run=dry_run)
    _tell(found)


@app.command()
def hold(
    table: Name,
    version: Version,
    reason: Annotated[str, typer.Option(help="Why it must stay, for those who find it held.")],
    profile: Profile = None,
) -> None:
    """Keep a version readable, whatever a vacuum is told, until it is released."""
    from core.contracts import TableName
    from core.database.configurations import user
    from core.lake.holds import Holds

    made = Holds.of(load_settings(profile=profile)).add(TableName.parse(table), version, reason, user())
    typer.echo(f"{made.table} version {made.version} is held: {made.reason}")


@app.command()
def holds(profile: Profile = None) -> None:
    """List the versions that are held, by people and by the model versions that were trained on them."""
    from core.lake.holds import Holds
    from jobs.maintenance import model_holds
    from jobs.show import console, show_holds

    settings = load_settings(profile=profile)
    show_holds(console(), sorted([*Holds.of(settings).all(), *model_holds(settings)]))


@app.command()
def release(table: Name, version: Version, profile: Profile = None) -> None:
    """Hold a version no longer; what a model version was trained on stays all the same."""
    from core.contracts import TableName
    from core.lake.holds import Holds

    Holds.of(load_settings(profile=profile)).release(TableName.parse(table), version)
    typer.echo(f"{table} version {version} is released")


def _tell(found: Sequence[object]) -> None:
    """Say the errors among what was found, and end with the last."""
    errors = [one for one in found if isinstance(one, MaasError)]
    for error in errors[:-1]:
        typer.echo(f"maas: {error.message}", err=True)
    if errors:
        raise errors[-1]
