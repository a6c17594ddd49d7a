"""``maas runs``: what the run journal holds."""

from __future__ import annotations

from typing import Annotated

import typer

from core.settings import load_settings


def runs(
    pipeline: Annotated[str | None, typer.Argument(help="Of this pipeline only.")] = None,
    limit: Annotated[int, typer.Option(help="How many, the newest first.", min=1)] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line, for programs.")] = False,
    profile: Annotated[str | None, typer.Option("--profile", help="Folder of conf/ whose settings apply.")] = None,
) -> None:
    """List the steps that ran, with interval, attempt, state, seconds and error."""
    import json

    from core.journal.places import open_journal
    from jobs.record import DIED, is_dead
    from jobs.show import console, show_runs

    journal = open_journal(load_settings(profile=profile))
    try:
        found = journal.newest(pipeline, limit)
    finally:
        journal.close()
    states = [DIED if is_dead(entry) else entry.state.value for entry in found]
    if as_json:
        for entry, state in zip(found, states, strict=True):
            typer.echo(json.dumps({**entry.to_document(), "state": state}))
    else:
        show_runs(console(), list(zip(found, states, strict=True)))
