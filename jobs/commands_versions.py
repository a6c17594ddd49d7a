"""``maas rules push|shadow|activate|rollback|retire|history|diff``: versions of rule sets, and which one runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from core.settings import load_settings

if TYPE_CHECKING:
    from core.database.lifecycle import Action

Profile = Annotated[str | None, typer.Option("--profile", help="Folder of conf/ whose settings apply (default: local).")]
Name = Annotated[str, typer.Argument(help="Name of a rule set, as pipelines name it.")]
Version = Annotated[int | None, typer.Argument(min=1, help="Number of a version (default: the newest).")]

_LOOKED_AT = 10_000
"""Journal entries."""


def add_to(app: typer.Typer) -> None:
    """Add these commands to those of ``maas rules``."""
    for command in (push, shadow, activate, rollback, retire, history, diff):
        app.command()(command)
    app.command("shadow-report")(shadow_report)


def push(
    file: Annotated[Path, typer.Argument(help="A file of rules.")],
    name: Annotated[str | None, typer.Option(help="The rule set that it is a version of (default: the file's name).")] = None,
    profile: Profile = None,
) -> None:
    """Check a file of rules and keep it as a draft; a text that is a version already makes no new one."""
    from jobs.rules import push_rules

    kept, standing = push_rules(load_settings(profile=profile), file, name or file.stem)
    typer.echo(f"rules {kept.name} version {kept.version} {kept.digest[:12]}: {standing.states[kept.version]}")


def shadow(name: Name, version: Version = None, profile: Profile = None) -> None:
    """Try a version beside the one in force: each extraction says what it would have made of the new records."""
    from core.database.lifecycle import Action

    _move(profile, name, Action.SHADOW, version)


def activate(name: Name, version: Version = None, profile: Profile = None) -> None:
    """Let extraction run a version, from its next run on; the one that was active is retired."""
    from core.database.lifecycle import Action

    _move(profile, name, Action.ACTIVATE, version)


def rollback(name: Name, profile: Profile = None) -> None:
    """Let extraction run the version that was active before; again, the one before that."""
    from core.database.lifecycle import Action

    _move(profile, name, Action.ROLLBACK, None)


def retire(
    name: Name, version: Annotated[int, typer.Argument(min=1, help="Number of a version.")], profile: Profile = None
) -> None:
    """End the trial of a shadow, or put a draft away."""
    from core.database.lifecycle import Action

    _move(profile, name, Action.RETIRE, version)


def history(name: Name, profile: Profile = None) -> None:
    """List the versions of a rule set with their states, and who moved which when."""
    from core.database.configurations import RULES, Configurations
    from core.database.lifecycle import Lifecycle
    from jobs.rules import open_database
    from jobs.show import console
    from jobs.show_rules import show_history

    with open_database(load_settings(profile=profile)) as database:
        versions = Configurations(database).history(RULES, name)
        show_history(console(), versions, Lifecycle(database).standing(name))


def shadow_report(name: Name, profile: Profile = None) -> None:
    """Say what the version in shadow would have made of all records that were extracted since it is there."""
    from core.database.lifecycle import Lifecycle
    from core.errors import ConfigError
    from core.journal.places import open_journal
    from jobs.rules import open_database
    from jobs.shadow import collect
    from jobs.show import console
    from jobs.show_rules import show_trials

    settings = load_settings(profile=profile)
    with open_database(settings) as database:
        version = Lifecycle(database).standing(name).shadow
    if version is None:
        raise ConfigError(f"rules {name!r} have no version in shadow: `maas rules shadow {name} VERSION` puts one there")
    journal = open_journal(settings)
    try:
        trials = collect(journal.newest(limit=_LOOKED_AT), name, version)
    finally:
        journal.close()
    show_trials(console(), f"rules {name} version {version}", trials)


def diff(name: Name, old: int, new: int, profile: Profile = None) -> None:
    """Print what changed in the text from one version to another; `maas rules preview` says what changes in rows."""
    from core.database.configurations import RULES, Configurations
    from jobs.rules import open_database

    with open_database(load_settings(profile=profile)) as database:
        typer.echo(Configurations(database).diff(RULES, name, old, new), nl=False)


def _move(profile: str | None, name: str, action: Action, version: int | None) -> None:
    from jobs.rules import move

    made = move(load_settings(profile=profile), name, action, version)
    for entry in made:
        typer.echo(f"rules {name} version {entry.version} is {entry.state}")
    if not made:
        typer.echo(f"rules {name}: nothing to do, it is so already")
