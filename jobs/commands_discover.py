"""``maas rules drift``."""

from __future__ import annotations

from typing import Annotated

import typer

from core.settings import load_settings
from jobs.commands_drift import DRIFTED


def drift(
    pipeline: Annotated[str, typer.Argument(help="Name of a file in conf/pipelines.")],
    significance: Annotated[
        float, typer.Option(min=0, max=1, help="Chance alone makes so great a rise in less than this share of cases.")
    ] = 0.01,
    records: Annotated[
        int, typer.Option(min=2, help="How many records that no rule takes are looked at, of each table.")
    ] = 100_000,
    profile: Annotated[str | None, typer.Option("--profile", help="Folder of conf/ whose settings apply.")] = None,
) -> None:
    """Propose rules as the next version when more new records than before are taken by none; exit 3 when it is so."""
    from jobs.rules_drift import examine_rules
    from jobs.show import console, show_rows

    found = examine_rules(load_settings(profile=profile), pipeline, significance=significance, records=records)
    rows = [
        (
            one.table,
            f"{one.before[0]:,} of {one.before[1]:,}",
            f"{one.newest.unmatched:,} of {one.newest.records:,}",
            f"{one.probability:.2g}",
            f"{len(one.candidates)} rules proposed" if one.drifted else "",
        )
        for one in found.tables
    ]
    show_rows(console(), f"records that no rule of {found.rules} takes", ("table", "before", "new", "by chance", ""), rows)
    if found.proposed is not None:
        typer.echo(
            f"kept as rules {found.rules} version {found.proposed.version}: `maas rules activate {found.rules}` puts it to work"
        )
    if found.drifted:
        raise typer.Exit(DRIFTED)
