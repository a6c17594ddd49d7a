"""States of rule set versions over SQLite and MySQL: at most one is active, and whoever comes second is told."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from core.database.configurations import Configurations
from core.database.database import Database
from core.database.lifecycle import Action, Lifecycle, State
from core.database.schema import metadata
from core.errors import ConfigError


@pytest.fixture(params=["sqlite", pytest.param("mysql", marks=pytest.mark.cluster)])
def lifecycle(request, tmp_path):
    if request.param == "sqlite":
        database = Database.open(f"sqlite:///{tmp_path / 'maas.db'}")
    else:
        settings = request.getfixturevalue("cluster")
        database = Database.open(settings.database.url, settings.database.password)
    for table in metadata.sorted_tables:
        database.write(lambda connection, table=table: connection.execute(table.delete()))
    for version in range(1, 5):
        Configurations(database).push("rules", "app", f"version: {version}\n", "ann")
    yield Lifecycle(database)
    database.close()


def test_a_version_goes_from_draft_over_shadow_to_active_and_is_retired_by_the_next(lifecycle):
    assert lifecycle.standing("app").active is None
    lifecycle.move("app", Action.PUSH, 1, "ann")
    lifecycle.move("app", Action.SHADOW, 1, "bob")
    assert (lifecycle.standing("app").shadow, lifecycle.standing("app").active) == (1, None)
    lifecycle.move("app", Action.ACTIVATE, 1, "cid")
    made = lifecycle.move("app", Action.ACTIVATE, 2, "dan")

    assert [(move.version, move.state) for move in made] == [(1, State.RETIRED), (2, State.ACTIVE)]
    found = lifecycle.standing("app")
    assert found.states == {1: State.RETIRED, 2: State.ACTIVE}
    assert [(e.number, e.version, e.state, e.action, e.author) for e in found.entries] == [
        (1, 1, "draft", "push", "ann"),
        (2, 1, "shadow", "shadow", "bob"),
        (3, 1, "active", "activate", "cid"),
        (4, 1, "retired", "activate", "dan"),
        (5, 2, "active", "activate", "dan"),
    ]
    assert found.entries[-2:] == made
    assert lifecycle.move("app", Action.ACTIVATE, 2) == []
    assert lifecycle.move("app", Action.PUSH, 2) == []


def test_a_rollback_goes_to_the_version_that_was_active_before_and_the_next_one_further_back(lifecycle):
    for version in (1, 2, 3):
        lifecycle.move("app", Action.ACTIVATE, version)
    for version in (2, 1):
        lifecycle.move("app", Action.ROLLBACK)
        assert lifecycle.standing("app").active == version
    with pytest.raises(ConfigError, match="rules 'app': no version was active before 1"):
        lifecycle.move("app", Action.ROLLBACK)
    lifecycle.move("app", Action.ACTIVATE, 4)
    lifecycle.move("app", Action.ROLLBACK)
    assert lifecycle.standing("app").active == 1


def test_one_version_is_shadow_and_what_cannot_be_is_refused(lifecycle):
    lifecycle.move("app", Action.ACTIVATE)  # the newest
    lifecycle.move("app", Action.SHADOW, 1)
    lifecycle.move("app", Action.SHADOW, 2)
    assert lifecycle.standing("app").states == {4: State.ACTIVE, 1: State.DRAFT, 2: State.SHADOW}
    lifecycle.move("app", Action.RETIRE, 2)
    assert lifecycle.standing("app").shadow is None
    for action, version, said in (
        (Action.SHADOW, 4, "version 4 is active: activate another, or roll back, first"),
        (Action.RETIRE, 4, "version 4 is active"),
        (Action.RETIRE, 3, "never more than a text"),
        (Action.ACTIVATE, 9, "no rules 'app' version 9: the newest is 4"),
    ):
        with pytest.raises(ConfigError, match=said):
            lifecycle.move("app", action, version)
    with pytest.raises(ConfigError, match="no rules 'ap': there are: app"):
        lifecycle.move("ap", Action.ACTIVATE)


def test_of_two_who_activate_on_what_they_read_at_once_the_second_is_told(lifecycle):
    read = lifecycle.standing("app")
    lifecycle.write(read, Action.ACTIVATE, read.steps(Action.ACTIVATE, 1), "ann")
    with pytest.raises(
        ConfigError, match="rules 'app' changed meanwhile: ann made version 1 active: look at `maas rules history app`"
    ):
        lifecycle.write(read, Action.ACTIVATE, read.steps(Action.ACTIVATE, 2), "bob")
    assert lifecycle.standing("app").states == {1: State.ACTIVE}


def test_with_many_at_once_one_version_is_active_and_every_entry_has_its_number(lifecycle):
    def activate(version):
        try:
            return bool(lifecycle.move("app", Action.ACTIVATE, version, f"author {version}"))
        except ConfigError as error:
            return "changed meanwhile" in error.message

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(activate, (1, 2, 3, 4)))
    found = lifecycle.standing("app")
    assert [entry.number for entry in found.entries] == list(range(1, len(found.entries) + 1))
    active = 0
    for entry in found.entries:
        active += {State.ACTIVE: 1, State.RETIRED: -1}[entry.state]
        assert active in (0, 1)
    assert list(found.states.values()).count(State.ACTIVE) == 1
