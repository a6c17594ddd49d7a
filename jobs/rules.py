"""Which version of a rule set is in force: the active one of the configuration database, else the file in conf/rules."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from core.config import read_text
from core.database.configurations import RULES, Configuration, Configurations
from core.database.database import Database
from core.database.lifecycle import Action, Lifecycle, Standing, Transition
from core.errors import ConfigError
from core.settings import Settings
from etl.rules.config import RuleSet, parse_rules
from jobs.pipeline import Loaded, Shadow, check_sources, load_pipeline

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")


@contextmanager
def open_database(settings: Settings) -> Iterator[Database]:
    """The configuration database, for a block."""
    database = Database.of(settings)
    try:
        yield database
    finally:
        database.close()


def load_in_force(settings: Settings, name: str) -> Loaded:
    """A pipeline with the rules that it runs with. A version that was never activated leaves the file in force.

    Raises ConfigError as ``load_pipeline``, and when the active version does not fit the pipeline; StorageError.
    """
    loaded = load_pipeline(settings, name)
    rules = loaded.extraction.rules
    with open_database(settings) as database:
        standing = Lifecycle(database).standing(rules)
        texts = {v: Configurations(database).get(RULES, rules, v) for v in (standing.active, standing.shadow) if v is not None}
    if standing.shadow is not None:
        loaded = replace(loaded, shadow=Shadow(standing.shadow, texts[standing.shadow].text))
    if standing.active is None:
        return loaded
    active = read_version(texts[standing.active], settings)
    check_sources(loaded.extraction, active, f"rules {rules!r} version {standing.active}")
    return replace(loaded, rules=active, active=standing.active, is_file=active.digest == loaded.rules.digest)


def text_in_force(settings: Settings, loaded: Loaded) -> str:
    """The text of the rules that a pipeline runs with."""
    name = loaded.extraction.rules
    if loaded.active is None:
        return read_text(settings.at_root(Path("conf/rules")) / f"{name}.yaml")
    with open_database(settings) as database:
        return Configurations(database).get(RULES, name, loaded.active).text


def read_version(kept: Configuration, settings: Settings) -> RuleSet:
    """The rule set that a version holds; raises ConfigError or RuleError naming it."""
    return parse_rules(kept.name, kept.text, f"rules {kept.name!r} version {kept.version}", settings.rules.keys)


def push_rules(settings: Settings, file: Path, name: str) -> tuple[Configuration, Standing]:
    """Check a file of rules and keep it as a version, a draft when it was none before; raises ConfigError or RuleError."""
    if not _NAME.fullmatch(name):
        raise ConfigError(f"{name!r} is no name of a rule set: write lower-case letters, digits and _ (--name)")
    return push_text(settings, read_text(file), name, str(file))


def push_text(settings: Settings, text: str, name: str, where: str) -> tuple[Configuration, Standing]:
    """As ``push_rules``, for a text; ``where`` is what an error names."""
    parse_rules(name, text, where, settings.rules.keys)
    with open_database(settings) as database:
        kept = Configurations(database).push(RULES, name, text)
        Lifecycle(database).move(name, Action.PUSH, kept.version)
        return kept, Lifecycle(database).standing(name)


def move(settings: Settings, name: str, action: Action, version: int | None) -> list[Transition]:
    """See Lifecycle.move; a version that is to run is first read as this platform reads it."""
    with open_database(settings) as database:
        lifecycle = Lifecycle(database)
        if action is Action.ROLLBACK and version is None:
            version = lifecycle.standing(name).before()
        if action is not Action.RETIRE:
            read_version(Configurations(database).get(RULES, name, version), settings)
        return list(lifecycle.move(name, action, version))
