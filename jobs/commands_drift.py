"""``maas drift``."""

from __future__ import annotations

from typing import Annotated

import typer

from core.settings import load_settings

DRIFTED = 3
"""The exit status that says: a column drifted. 1 is an error."""


def drift(  # noqa: PLR0917 — the options of a command
    pipeline: Annotated[str, typer.Argument(help="Name of a file in conf/pipelines.")],
    reference: Annotated[
        int | None, typer.Option(help="Version of the pipeline's model whose training rows are compared with (default: active).")
    ] = None,
    days: Annotated[int, typer.Option(min=1, help="How many days up to the newest row are looked at.")] = 30,
    threshold: Annotated[float, typer.Option(min=0, help="Index from which on a column has drifted.")] = 0.2,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for programs.")] = False,
    profile: Annotated[str | None, typer.Option("--profile", help="Folder of conf/ whose settings apply.")] = None,
) -> None:
    """Compare the newest features with those that a model was trained on; exit 3 when a column's index reaches the threshold."""
    import json
    from dataclasses import asdict

    from jobs.drift import examine
    from jobs.show import console, show_drift

    version, found = examine(load_settings(profile=profile), pipeline, reference=reference, days=days)
    drifted = found.drifted(threshold)
    if as_json:
        typer.echo(json.dumps({"model": str(version.uid), "threshold": threshold, "drifted": drifted, **asdict(found)}))
    else:
        show_drift(console(), str(version.uid), found, threshold)
    if drifted:
        raise typer.Exit(DRIFTED)
