"""``maas rules …``: what rules make of records, before they are put to work."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from core.settings import load_settings
from jobs import commands_trials, commands_versions
from jobs.commands_discover import drift

app = typer.Typer(help="Find, check and try rules, and say which version of them runs.", no_args_is_help=True)
commands_trials.add_to(app)
commands_versions.add_to(app)
app.command()(drift)

Profile = Annotated[str | None, typer.Option("--profile", help="Folder of conf/ whose settings apply (default: local).")]
PipelineName = Annotated[str, typer.Argument(help="Name of a file in conf/pipelines.")]


@app.command()
def check(file: Annotated[Path, typer.Argument(help="A file of rules.")]) -> None:
    """Say what is wrong with a file of rules, without Spark: keys, types, patterns that could run without end."""
    from etl.rules.config import load_rules

    rules = load_rules(file)
    for table in rules.tables:
        typer.echo(f"{table.source} → {table.into}: {len(table.rules)} rules, {len(table.config.checks)} checks")
    typer.echo(f"rule set {rules.digest[:12]} can run")


@app.command()
def schema() -> None:
    """Print the JSON Schema of files of rules, for editors: they complete and check by it."""
    from etl.rules.config import json_schema

    typer.echo(json.dumps(json_schema(), indent=1, ensure_ascii=False))


@app.command()
def preview(
    pipeline: PipelineName,
    rules: Annotated[Path | None, typer.Option(help="A file of rules to compare with the pipeline's own.")] = None,
    table: Annotated[list[str] | None, typer.Option(help="Only this extracted table (may be given several times).")] = None,
    records: Annotated[int, typer.Option(min=1, help="How many of the newest raw records of each table are tried.")] = 10_000,
    profile: Profile = None,
) -> None:
    """Try the pipeline's rules on its newest raw records or, with --rules, say what other rules would change. Writes nothing."""
    from core.lake.catalog import Lake
    from etl.preview import preview as preview_table
    from etl.rules.config import load_rules
    from jobs.rules import load_in_force
    from jobs.session import open_session
    from jobs.show import console, show_preview

    settings, out = load_settings(profile=profile), console()
    loaded = load_in_force(settings, pipeline).rules
    own = {str(one.into): one for one in loaded.tables}
    chosen, lake = (load_rules(rules, settings.rules.keys) if rules else loaded).choose(table or []), Lake.of(settings)
    for one in chosen:
        lake.check(one.source)
    with out.status("starting Spark"):
        session = open_session(settings, "maas rules preview")
    for one in chosen:
        current = own.get(str(one.into)) if rules else None
        show_preview(out, preview_table(session, lake, one, current, records=records))


@app.command()
def discover(  # noqa: PLR0917 — the options of a command
    source: Annotated[str, typer.Argument(help="A raw table, as raw.name, or a text file.")],
    table: Annotated[str | None, typer.Option(help="The raw table that the rules will read (default: raw.FILE).")] = None,
    records: Annotated[int, typer.Option(min=2, help="How many records are looked at, without Spark.")] = 100_000,
    everything: Annotated[bool, typer.Option("--all", help="Look at all records, in Spark; --records is not asked.")] = False,
    kind: Annotated[
        str | None, typer.Option(help="json, delimited, keyvalue, separated, fixed or log (default: what explains most).")
    ] = None,
    pipeline: Annotated[
        str | None,
        typer.Option(help="Make a pipeline of this name for the file, with the rules as its draft, and print no rules."),
    ] = None,
    reference: Annotated[
        list[str] | None, typer.Option(help="A raw table that fields may lead to, as foreign keys (may be given several times).")
    ] = None,
    profile: Profile = None,
) -> None:
    """Print a file of rules for records that nobody has described: found by statistics."""
    from jobs.discover import discover as find
    from jobs.discover import kind_of

    settings, looked_at = load_settings(profile=profile), None if everything else records
    if pipeline is None:
        text = find(settings, source, table=table, records=looked_at, kind=kind_of(kind), references=reference or ())
        typer.echo(text, nl=False)
        return
    from core.errors import SourceError
    from jobs.new_pipeline import start_pipeline

    if not Path(source).is_file():
        raise SourceError(f"{source} is no file: --pipeline makes a pipeline for a file")
    text = find(settings, source, table=table or f"raw.{pipeline}", records=looked_at, kind=kind_of(kind))
    for line in start_pipeline(settings, pipeline, Path(source), text):
        typer.echo(line)
