"""``maas airflow …``: Airflow's services on this machine."""

from __future__ import annotations

from typing import Annotated

import typer

from core.settings import load_settings

app = typer.Typer(help="Start, show and end Airflow's services on this machine.", no_args_is_help=True)

Profile = Annotated[str | None, typer.Option("--profile", help="Folder of conf/ whose settings apply (default: local).")]

_COMMAND = "maas airflow up"


@app.command()
def up(profile: Profile = None) -> None:
    """Start Airflow's API server and pages, scheduler, DAG processor and triggerer, supervised, on this machine only."""
    from jobs.scheduling import services
    from jobs.scheduling.home import USER, password_file
    from jobs.show import console, show_cluster

    settings = load_settings(profile=profile)
    with console().status("starting Airflow"):
        states = services.up(settings)
    show_cluster(console(), states, services.memory(settings), _COMMAND)
    typer.echo(f"user {USER}, password in {password_file(settings)}")


@app.command()
def down(profile: Profile = None) -> None:
    """End them all, with the tasks that run."""
    from jobs.scheduling import services
    from jobs.show import console, show_cluster

    show_cluster(console(), services.down(load_settings(profile=profile)), {}, _COMMAND)


@app.command()
def status(profile: Profile = None) -> None:
    """Show each service: state, address, restarts and memory."""
    from jobs.scheduling import services
    from jobs.show import console, show_cluster

    settings = load_settings(profile=profile)
    show_cluster(console(), services.status(settings), services.memory(settings), _COMMAND)
