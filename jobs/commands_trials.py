"""``maas rules test|explain``: rules on the examples beside them, and on one raw record."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from core.errors import ConfigError, TableError
from core.settings import load_settings

Profile = Annotated[str | None, typer.Option("--profile", help="Folder of conf/ whose settings apply (default: local).")]


def add_to(app: typer.Typer) -> None:
    """Add these commands to those of ``maas rules``."""
    app.command("test")(try_file)
    app.command()(explain)


def try_file(file: Annotated[Path, typer.Argument(help="A file of rules.")], profile: Profile = None) -> None:
    """Try the examples in a file of rules; exit 1 when one comes out otherwise than it says."""
    from etl.examples import try_examples
    from etl.rules.config import load_rules
    from jobs.session import open_session

    settings = load_settings(profile=profile)
    rules = load_rules(file, settings.rules.keys)
    count = sum(len(table.config.examples) for table in rules.tables)
    if not count:
        raise ConfigError(f"{file} has no examples: put some under the key 'examples' of a table")
    session = open_session(settings, "maas rules test")
    wrong = [line for table in rules.tables for line in try_examples(session, table)]
    for line in wrong:
        typer.echo(line)
    typer.echo(f"{count - len(wrong):,} of {count:,} examples come out as they say")
    if wrong:
        raise typer.Exit(1)


def explain(
    pipeline: Annotated[str, typer.Argument(help="Name of a file in conf/pipelines.")],
    source: Annotated[str, typer.Option(help="Where the record came from, as `maas quarantine show` has it.")],
    offset: Annotated[int, typer.Option(help="Its offset there.")],
    table: Annotated[list[str] | None, typer.Option(help="Only for this table, as extracted.NAME.")] = None,
    profile: Profile = None,
) -> None:
    """Say what the rules in force make of one raw record: which rule takes it, with which fields, and why each other does not."""
    from core.lake.catalog import Lake
    from etl.explain import explain as explain_record
    from jobs.rules import load_in_force
    from jobs.session import open_session
    from jobs.show import console
    from jobs.show_rules import show_explanation

    settings, out = load_settings(profile=profile), console()
    lake = Lake.of(settings)
    chosen = load_in_force(settings, pipeline).rules.choose(table or [])
    for rules in chosen:
        lake.check(rules.source)
    with out.status("starting Spark"):
        session = open_session(settings, "maas rules explain")
    missing = []
    for rules in chosen:
        try:
            found = explain_record(session, lake, rules, source, offset)
        except TableError as error:
            missing.append(error)
        else:
            show_explanation(out, rules.into, found)
    if len(missing) == len(chosen):
        raise missing[0]
