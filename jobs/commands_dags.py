"""``maas dags``: what Airflow schedules."""

from __future__ import annotations

from typing import Annotated

import typer

from core.settings import load_settings


def dags(
    as_json: Annotated[bool, typer.Option("--json", help="Print the plan instead of writing it.")] = False,
    profile: Annotated[str | None, typer.Option("--profile", help="Folder of conf/ whose settings apply.")] = None,
) -> None:
    """Write the plan that Airflow's DAGs are made from, out of conf/pipelines and conf/base/airflow.yaml; list its DAGs."""
    import json

    from jobs.schedule import load_scheduling
    from jobs.scheduling.plan import PLAN, make_plan, write_plan
    from jobs.show import console, show_dags

    settings = load_settings(profile=profile)
    if as_json:
        typer.echo(json.dumps(make_plan(settings, load_scheduling(settings)), indent=1))
        return
    plan = write_plan(settings)
    show_dags(console(), plan["dags"])
    typer.echo(f"written to {settings.at_home(PLAN)}")
