"""``maas logs …``: what is done with the JSON-line logs."""

from __future__ import annotations

from typing import Annotated

import typer

from core.settings import load_settings

app = typer.Typer(help="Care for the JSON-line logs.", no_args_is_help=True)

Profile = Annotated[str | None, typer.Option("--profile", help="Folder of conf/ whose settings apply (default: local).")]


@app.callback()
def logs() -> None:
    """Care for the JSON-line logs."""


@app.command()
def archive(
    keep_days: Annotated[int, typer.Option(min=1, help="The last so many days, today among them, stay as they are.")] = 7,
    profile: Profile = None,
) -> None:
    """Compress the logs of older days, by month; a file that a process still has open stays."""
    from datetime import UTC, datetime, timedelta

    import monitoring.archive
    from jobs.processes import open_files
    from jobs.show import console, show_rows

    settings = load_settings(profile=profile)
    folder = settings.at_home(settings.logs.folder)
    before = datetime.now(UTC).date() - timedelta(days=keep_days - 1)
    names = monitoring.archive.due((path.name for path in folder.glob("*.jsonl") if path.is_file()), before)
    done = list(monitoring.archive.archive(folder, names, open_files(folder)))
    rows = [(one.name, str(one.place.relative_to(folder)), one.bytes, one.compressed) for one in done]
    show_rows(console(), "logs", ("file", "archive", "bytes", "compressed"), rows)
    for name in sorted(set(names) - {one.name for one in done}):
        typer.echo(f"{name} stays: a process has it open")
