"""Steps in the journal: done, failed, killed, twice at once, and with the journal away."""

import json
import multiprocessing
import os
import shutil
import signal
import time
from pathlib import Path

import pytest
import sqlalchemy

from core.contracts import Interval
from core.database.configurations import Configurations
from core.database.database import Database
from core.errors import SourceError, StorageError
from core.journal.journal import State
from core.journal.places import open_journal
from core.settings import load_settings
from jobs.context import Report, open_context
from jobs.record import is_dead, push, record

ROOT = Path(__file__).parents[2]
DAY = Interval.parse("2013-01-31")


def load(root, **environment):
    return load_settings(root, "local", environment)


@pytest.fixture
def root(tmp_path):
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    return tmp_path


def run(root, step, interval=DAY, **environment):
    with open_context(load(root, **environment), "flights", interval=interval) as context:
        return record("ingest", step, context)


def newest(root):
    journal = open_journal(load(root))
    found = journal.newest("flights")
    journal.close()
    return found


def succeed(context):
    return Report("ingest", ["10 rows"], {"rows": 10, "password": "hunter2", "path": Path("/x")})


def fail(context):
    raise SourceError("no file at mysql://maas:hunter2@db/x: put one there")


def kill(context):
    os.kill(os.getpid(), signal.SIGKILL)


def wait(context):
    begun, go = Path(context.settings.root / "begun"), Path(context.settings.root / "go")
    begun.touch()
    while not go.exists():
        time.sleep(0.01)
    return Report("ingest", [])


def apart(root, step):
    process = multiprocessing.get_context("spawn").Process(target=run, args=(root, step))
    process.start()
    return process


def test_a_step_is_written_with_what_it_ran_and_what_it_counted(root):
    assert run(root, succeed).facts["rows"] == 10
    (entry,) = newest(root)
    assert (entry.pipeline, entry.step, entry.interval, entry.attempt) == ("flights", "ingest", DAY, 1)
    assert (entry.state, entry.profile, entry.pid) == (State.DONE, "local", os.getpid())
    assert entry.facts == {"rows": 10, "password": "***", "path": "/x"}
    assert entry.versions == {"pipeline/flights": 1, "rules/flights": 1}
    assert entry.seconds >= 0 and entry.ended >= entry.started


def test_a_failure_is_written_with_its_code_and_raised(root):
    with pytest.raises(SourceError):
        run(root, fail)
    (entry,) = newest(root)
    assert (entry.state, entry.error_code) == (State.FAILED, "source")
    assert entry.error == "no file at mysql://maas:***@db/x: put one there"
    run(root, succeed)
    assert [found.attempt for found in newest(root)] == [2, 1]


def test_a_killed_step_is_known_to_be_dead_and_the_next_attempt_says_so(root):
    process = apart(root, kill)
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    (entry,) = newest(root)
    assert entry.state is State.RUNNING and is_dead(entry)

    run(root, succeed)
    second, first = newest(root)
    assert (first.state, first.error_code) == (State.FAILED, "died")
    assert (second.state, second.attempt, second.overlaps) == (State.DONE, 2, None)


def test_a_second_run_at_the_same_time_is_told_and_goes_on(root, capsys):
    process = apart(root, wait)
    try:
        deadline = time.monotonic() + 60
        while not (root / "begun").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        run(root, succeed)
        assert "ingest of flights runs already, as run " in capsys.readouterr().err
        second, first = newest(root)
        assert second.overlaps == first.id
        assert first.state is State.RUNNING and not is_dead(first)
    finally:
        (root / "go").touch()
        process.join(60)
    assert [found.state for found in newest(root)] == [State.DONE, State.DONE]


def test_a_journal_that_is_down_stops_a_step_before_it_does_anything(root):
    def never(context):
        raise AssertionError("it ran")

    with pytest.raises(
        StorageError, match=r"mongodb://127\.0\.0\.1:1/maas: MongoDB does not answer \(settings journal\.url\): see"
    ) as caught:
        run(root, never, MAAS__JOURNAL__URL="mongodb://127.0.0.1:1/maas")
    assert "\n" not in caught.value.message


def test_a_journal_that_is_lost_meanwhile_costs_no_work(root, capsys):
    def lose(context):
        database = Database.of(context.settings)
        database.write(lambda connection: connection.execute(sqlalchemy.text("DROP TABLE journal")))
        database.close()
        return Report("ingest", ["10 rows"])

    assert run(root, lose).lines == ["10 rows"]
    assert "ingest of flights is done, and the journal could not be told: " in capsys.readouterr().err


def test_what_a_profile_changes_in_a_pipeline_is_kept_beside_it(root):
    overlay = root / "conf/local/pipelines/flights.yaml"
    overlay.parent.mkdir(exist_ok=True)
    overlay.write_text("description: changed\n")
    run(root, succeed)
    assert newest(root)[0].versions == {"pipeline/flights": 1, "overlay/local/flights": 1, "rules/flights": 1}
    overlay.write_text("description: changed again\n")
    run(root, succeed)
    assert newest(root)[0].versions["overlay/local/flights"] == 2


def test_texts_are_kept_as_they_are(root):
    with open_context(load(root), "flights") as context:
        assert [kept.version for kept in push(context.settings, context.loaded)] == [1, 1]
    database = Database.of(load(root))
    text = Configurations(database).get("pipeline", "flights").text
    database.close()
    assert text == (root / "conf/pipelines/flights.yaml").read_text()


def test_the_command_line_shows_runs_and_versions(root, capsys, monkeypatch):
    from jobs.cli import app

    def maas(*arguments):
        app(arguments, standalone_mode=False)
        return capsys.readouterr().out

    monkeypatch.setenv("MAAS_ROOT", str(root))
    assert "nothing ran yet" in maas("runs")
    run(root, succeed)
    file = root / "conf/pipelines/flights.yaml"
    file.write_text(file.read_text() + "# a word\n")
    run(root, succeed)
    first, second = [json.loads(line) for line in maas("runs", "flights", "--json").splitlines()]
    assert (first["attempt"], first["versions"]["pipeline/flights"], second["attempt"]) == (2, 2, 1)
    assert "2013-01-31T00:00:00Z" in maas("runs", "--limit", "1")
    assert "+# a word\n" in maas("config", "diff", "flights", "1", "2")
    assert maas("config", "get", "flights") == file.read_text()
    assert maas("config", "get", "flights", "--version", "1") + "# a word\n" == file.read_text()
    assert "pipeline flights version 2" in maas("config", "push", "flights")
    assert "rules flights" in maas("config", "history", "flights", "--kind", "rules")
