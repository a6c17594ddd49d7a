"""One contract over SQLite, MySQL and MongoDB."""

import multiprocessing
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from core.contracts import Interval
from core.database.database import Database
from core.journal.journal import Entry, State
from core.journal.mongo import MongoJournal
from core.journal.sql import SqlJournal

BEGIN = datetime(2026, 1, 31, 9, tzinfo=UTC)
DAY = Interval.parse("2013-01-31")
KINDS = ["sqlite", pytest.param("mysql", marks=pytest.mark.cluster), pytest.param("mongo", marks=pytest.mark.cluster)]


def opener(kind, settings, folder):
    """Opens the journal, in this process or another."""
    if kind == "sqlite":
        return SqlJournal(Database.open(f"sqlite:///{folder / 'maas.db'}"))
    if kind == "mysql":
        return SqlJournal(Database.open(settings.database.url, settings.database.password))
    return MongoJournal.open(settings.journal.url, settings.journal.password)


@pytest.fixture(params=KINDS)
def place(request, tmp_path):
    settings = None if request.param == "sqlite" else request.getfixturevalue("cluster")
    return request.param, settings, tmp_path


@pytest.fixture
def journal(place):
    journal = opener(*place)
    journal.load([])
    yield journal
    journal.close()


def entry(**changes) -> Entry:
    given = {
        "id": uuid.uuid4().hex,
        "run_id": "abc123",
        "pipeline": "flights",
        "step": "ingest",
        "interval": DAY,
        "profile": "local",
        "host": "here",
        "pid": 4711,
        "process_started": 1769850000.123456,
        "started": BEGIN,
    }
    return Entry(**{**given, **changes})


def test_an_entry_comes_back_as_it_was_kept(journal):
    begun = journal.begin(entry(versions={"pipeline/flights": 3, "rules/flights": 1}))
    assert begun.attempt == 1
    assert journal.get(begun.id) == begun
    done = replace(
        begun,
        state=State.DONE,
        facts={"rows": 2**70, "a.b": {"$x": [1, None, "\u96ea\U0001f600"]}, "": 0.1},
        ended=BEGIN + timedelta(microseconds=1),
        seconds=0.1,
    )
    journal.end(done)
    assert journal.get(begun.id) == done
    assert journal.newest() == [done]
    assert journal.get("nosuch") is None


def test_a_failure_is_kept_with_its_code_and_message(journal):
    begun = journal.begin(entry(interval=None))
    failed = replace(begun, state=State.FAILED, ended=BEGIN, seconds=1e-3, error_code="source", error="x" * 70_000)
    journal.end(failed)
    assert journal.get(begun.id) == failed


def test_attempts_are_counted_for_pipeline_step_and_interval(journal):
    def attempt(**changes):
        begun = journal.begin(entry(**changes))
        journal.end(replace(begun, state=State.FAILED))
        return begun.attempt

    assert [attempt(), attempt(), attempt(interval=None), attempt(interval=None), attempt(step="train")] == [1, 2, 1, 2, 1]
    assert [attempt(pipeline="Flights"), attempt(interval=Interval.parse("2013-02-01")), attempt()] == [1, 1, 3]


def test_a_second_run_of_the_same_step_and_interval_sees_the_first(journal):
    first = journal.begin(entry())
    second = journal.begin(entry())
    assert (first.overlaps, second.overlaps) == (None, first.id)
    assert journal.begin(entry(interval=None)).overlaps is None
    journal.end(replace(first, state=State.DONE))
    journal.end(replace(second, state=State.DONE))
    assert journal.begin(entry()).overlaps is None


def test_beginning_twice_with_one_id_is_beginning_once(journal):
    mine = entry()
    assert journal.begin(mine) == journal.begin(mine)
    assert len(journal.newest()) == 1


def test_the_newest_come_first(journal):
    for minute in (3, 1, 2):
        journal.begin(entry(started=BEGIN + timedelta(minutes=minute)))
    journal.begin(entry(pipeline="other", started=BEGIN + timedelta(minutes=4)))
    assert [found.started.minute for found in journal.newest("flights")] == [3, 2, 1]
    assert [found.pipeline for found in journal.newest(limit=2)] == ["other", "flights"]
    assert [found.started.minute for found in journal.entries()] == [1, 2, 3, 4]
    assert journal.newest("nosuch") == []


def test_entries_of_another_journal_take_the_place_of_all(journal):
    journal.begin(entry())
    kept = [entry(attempt=n, started=BEGIN + timedelta(seconds=n)) for n in range(1, 1501)]
    assert journal.load(iter(kept)) == 1500
    assert list(journal.entries()) == kept
    assert journal.begin(entry()).attempt == 1501


def begin_some(place, times, results):
    journal = opener(*place)
    for _ in range(times):
        results.put(journal.begin(entry()).attempt)
    journal.close()


def test_processes_that_begin_together_get_numbers_of_their_own_and_lose_nothing(place, journal):
    spawn = multiprocessing.get_context("spawn")
    results = spawn.SimpleQueue()
    workers = [spawn.Process(target=begin_some, args=(place, 20, results)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert sorted(results.get() for _ in range(60)) == list(range(1, 61))
    assert sorted(found.attempt for found in journal.newest(limit=100)) == list(range(1, 61))
