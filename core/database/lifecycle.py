"""Versions of rule sets as draft, shadow, active and retired: an append-only history of who moved which, and when.

Each entry has the next number of its rule set, which is the table's key. Who moves a version decides by the history that was
read, so of two who move at once one finds the number taken: at most one version is active at any time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum

from sqlalchemy import Connection, select
from sqlalchemy.exc import IntegrityError

from core.database.configurations import RULES, Configurations, user
from core.database.database import Database
from core.database.schema import transitions as table
from core.errors import ConfigError


class State(StrEnum):
    """A shadow is tried beside the active version and writes no row."""

    DRAFT = "draft"
    SHADOW = "shadow"
    ACTIVE = "active"
    RETIRED = "retired"


class Action(StrEnum):
    """What moves a version."""

    PUSH = "push"
    SHADOW = "shadow"
    ACTIVATE = "activate"
    ROLLBACK = "rollback"
    RETIRE = "retire"


@dataclass(frozen=True, slots=True)
class Transition:
    """The ``number``-th entry of a rule set's history: ``author`` moved ``version`` into ``state`` by ``action``."""

    name: str
    number: int
    version: int
    state: State
    action: Action
    author: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Standing:
    """Where the versions of one rule set stand."""

    name: str
    entries: Sequence[Transition]
    """Oldest first."""

    @property
    def states(self) -> dict[int, State]:
        """The state of each version that was ever moved."""
        return {entry.version: entry.state for entry in self.entries}

    @property
    def active(self) -> int | None:
        """The version that extraction runs; None when none was ever activated."""
        return self._in(State.ACTIVE)

    @property
    def shadow(self) -> int | None:
        """The version that is tried beside it."""
        return self._in(State.SHADOW)

    def before(self) -> int:
        """The version that a rollback makes active; raises ConfigError when there is none."""
        stack: list[int] = []
        for entry in self.entries:
            if entry.state is State.ACTIVE and entry.action is Action.ROLLBACK:
                stack.pop()
            elif entry.state is State.ACTIVE:
                stack.append(entry.version)
        if len(stack) < 2:  # noqa: PLR2004 — the active one and the one before
            raise ConfigError(f"rules {self.name!r}: no version was active before {self.active or 'any other'}: activate one")
        return stack[-2]

    def steps(self, action: Action, version: int) -> list[tuple[int, State]]:
        """What ``action`` moves, in order; nothing when the version is there already. Raises ConfigError."""
        states, target = self.states, _TARGETS[action]
        now = states.get(version)
        if now is target or (action is Action.PUSH and now is not None):
            return []
        if now is State.ACTIVE:
            raise ConfigError(f"rules {self.name!r} version {version} is active: activate another, or roll back, first")
        if action is Action.RETIRE and now is None:
            raise ConfigError(f"rules {self.name!r} version {version} was never more than a text: nothing to retire")
        other = self._in(target) if target in (State.ACTIVE, State.SHADOW) else None
        left = State.RETIRED if target is State.ACTIVE else State.DRAFT
        return [*([] if other is None else [(other, left)]), (version, target)]

    def _in(self, state: State) -> int | None:
        return next((version for version, found in self.states.items() if found is state), None)


_TARGETS = {
    Action.PUSH: State.DRAFT,
    Action.SHADOW: State.SHADOW,
    Action.ACTIVATE: State.ACTIVE,
    Action.ROLLBACK: State.ACTIVE,
    Action.RETIRE: State.RETIRED,
}


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """The histories of all rule sets in one database."""

    database: Database

    def standing(self, name: str) -> Standing:
        """Where the versions of a rule set stand; nothing was moved yet when there are no entries."""
        statement = select(table).where(table.c.name == name).order_by(table.c.number)
        rows = self.database.read(lambda connection: connection.execute(statement).mappings().all())
        return Standing(name, [_transition(dict(row)) for row in rows])

    def move(self, name: str, action: Action, version: int | None = None, author: str | None = None) -> Sequence[Transition]:
        """Move a version, and the one whose place it takes; returns what was written, nothing when it is there already.

        Without ``version`` a rollback goes to the version that was active before, any other action to the newest text. Raises
        ConfigError when there is no such version, it cannot be moved so, or another moved one meanwhile.
        """
        standing = self.standing(name)
        if version is None and action is Action.ROLLBACK:
            version = standing.before()
        number = Configurations(self.database).get(RULES, name, version).version
        return self.write(standing, action, standing.steps(action, number), author or user())

    def write(self, standing: Standing, action: Action, steps: Sequence[tuple[int, State]], author: str) -> Sequence[Transition]:
        """Write ``steps`` on top of what was read; raises ConfigError when the history went on since then."""
        at, after = datetime.now(UTC), len(standing.entries)
        made = [
            Transition(standing.name, after + i, version, state, action, author, at)
            for i, (version, state) in enumerate(steps, 1)
        ]

        def insert(connection: Connection) -> None:
            for entry in made:
                connection.execute(table.insert().values({**asdict(entry), "at": at.isoformat(timespec="microseconds")}))

        try:
            self.database.write(insert)
        except IntegrityError as error:
            now = self.standing(standing.name)
            if list(now.entries[after : after + len(made)]) != made:  # else: ours, by a server that ended while it answered
                last = now.entries[-1]
                raise ConfigError(
                    f"rules {standing.name!r} changed meanwhile: {last.author} made version {last.version} {last.state}: "
                    f"look at `maas rules history {standing.name}` and decide again"
                ) from error
        return made


def _transition(row: dict[str, str]) -> Transition:
    return Transition(
        row["name"],
        int(row["number"]),
        int(row["version"]),
        State(row["state"]),
        Action(row["action"]),
        row["author"],
        datetime.fromisoformat(row["at"]),
    )
