"""``maas quarantine …``: the records that no rule made a row of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from core.settings import Settings, load_settings

if TYPE_CHECKING:
    from core.contracts import TableName

app = typer.Typer(help="Look at records that became no row, and try them again when rules were mended.", no_args_is_help=True)

Profile = Annotated[str | None, typer.Option("--profile", help="Folder of conf/ whose settings apply (default: local).")]
PipelineName = Annotated[str, typer.Argument(help="Name of a file in conf/pipelines.")]
Tables = Annotated[
    list[str] | None, typer.Option("--table", help="Only of this table, as extracted.NAME (may be given several times).")
]


@app.command()
def show(
    pipeline: PipelineName,
    table: Tables = None,
    reason: Annotated[str | None, typer.Option(help="Only records with this reason, as `maas quarantine stats` has it.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many records of each table, the newest batches first.")] = 20,
    profile: Profile = None,
) -> None:
    """Show quarantined records: where they came from, what is wrong, and how they begin."""
    from core.lake.catalog import Lake
    from etl.quarantine import newest
    from jobs.show import console
    from jobs.show_rules import show_held

    settings, out = load_settings(profile=profile), console()
    for name in _tables(settings, pipeline, table or []):
        show_held(out, name, newest(Lake.of(settings), name, limit, reason))


@app.command()
def stats(pipeline: PipelineName, table: Tables = None, profile: Profile = None) -> None:
    """Count quarantined records by table, rule, reason and batch."""
    from core.lake.catalog import Lake
    from etl.quarantine import counts
    from jobs.show import console
    from jobs.show_rules import show_counts

    settings = load_settings(profile=profile)
    show_counts(console(), {name: counts(Lake.of(settings), name) for name in _tables(settings, pipeline, table or [])})


@app.command()
def replay(pipeline: PipelineName, table: Tables = None, profile: Profile = None) -> None:
    """Try quarantined records with the rules of now: each that becomes a row leaves quarantine, exactly once."""
    from functools import partial

    from jobs.context import open_context
    from jobs.record import record
    from jobs.replay import replay_tables

    with open_context(load_settings(profile=profile), pipeline) as context:
        report = record("replay", partial(replay_tables, tables=table or []), context)
    for line in report.lines:
        typer.echo(line)


def _tables(settings: Settings, pipeline: str, names: list[str]) -> list[TableName]:
    """The tables in quarantine that there are, of the pipeline's rules."""
    from core.lake.catalog import Lake
    from jobs.rules import load_in_force

    lake = Lake.of(settings)
    chosen = [rules.quarantine for rules in load_in_force(settings, pipeline).rules.choose(names)]
    return [name for name in chosen if lake.exists(name)]
