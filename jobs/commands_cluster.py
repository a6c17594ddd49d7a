"""``maas cluster …``: the services of the cluster profile on this machine."""

from __future__ import annotations

from typing import Annotated

import typer

from core.settings import load_settings

app = typer.Typer(help="Start, show and end the services of the cluster profile on this machine.", no_args_is_help=True)

_Profile = Annotated[str, typer.Option("--profile", help="Folder of conf/ whose services.yaml applies.")]


@app.command()
def up(
    only: Annotated[str, typer.Option(help="These only, such as hdfs,kafka (default: `start` in services.yaml).")] = "",
    profile: _Profile = "cluster",
) -> None:
    """Start HDFS, YARN, MariaDB, MongoDB, S3 and Kafka; return when each answers in its own protocol."""
    from jobs.cluster import local
    from jobs.show import console, show_cluster

    settings = load_settings(profile=profile)
    with console().status("starting the services"):
        local.up(settings, _names(only))
    show_cluster(console(), local.status(load_settings(profile=profile)), local.memory(settings))


@app.command()
def down(
    only: Annotated[str, typer.Option(help="`spark`: end Spark's own cluster and leave the others.")] = "",
    profile: _Profile = "cluster",
) -> None:
    """End them all; their data stays."""
    from jobs.cluster import local
    from jobs.show import console, show_cluster

    show_cluster(console(), local.down(load_settings(profile=profile), _names(only)), {})


@app.command()
def status(profile: _Profile = "cluster") -> None:
    """Show each service: state, address, restarts and memory."""
    from jobs.cluster import local
    from jobs.show import console, show_cluster

    settings = load_settings(profile=profile)
    show_cluster(console(), local.status(settings), local.memory(settings))


@app.command()
def env(
    offset: Annotated[int, typer.Option(help="What is added to every port.")],
    home: Annotated[str, typer.Option(help="The home folder of that cluster.")],
    profile: _Profile = "cluster",
) -> None:
    """Print the variables of a second cluster beside the first: eval "$(maas cluster env --offset 1000 --home /data/second)"."""
    import shlex

    from jobs.cluster.beside import variables

    for name, value in variables(load_settings(profile=profile), offset, home).items():
        typer.echo(f"export {name}={shlex.quote(value)}")


def _names(only: str) -> list[str]:
    return [name.strip() for name in only.split(",") if name.strip()]
