"""Each step that runs is written to the run journal, with the configurations that it ran.

A journal that does not answer when a step begins stops it before it does anything; one that is lost meanwhile costs no work:
the step's commits stand, and its end is said here instead.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from core.database.configurations import OVERLAY, PIPELINE, RULES, Configuration, Configurations
from core.database.database import Database
from core.errors import MaasError
from core.journal.journal import Entry, Journal, State
from core.journal.places import open_journal
from core.logs import mask, mask_text
from core.settings import Settings
from jobs.context import Context, Report
from jobs.pipeline import Loaded
from jobs.processes import lives, start_time

DIED = "died"
"""What a running entry is shown as, and its error code later on, when its process is gone."""

_LONGEST = 10_000
_LOOKED_AT = 200

_log = logging.getLogger("jobs.record")


def record(name: str, step: Callable[[Context], Report], context: Context) -> Report:
    """What ``step`` reports, once its attempt is in the journal; raises StorageError, before the step, when none answers."""
    journal = open_journal(context.settings)
    try:
        versions = {f"{kept.kind}/{kept.name}": kept.version for kept in push(context.settings, context.loaded)}
        begun = _begin(journal, _entry(name, context, versions))
        started = time.monotonic()
        try:
            report = step(context)
        except BaseException as error:
            code = error.code if isinstance(error, MaasError) else type(error).__name__
            reason = mask_text(str(error))[:_LONGEST]
            _end(journal, begun, started, state=State.FAILED, error_code=code, error=reason)
            raise
        _end(journal, begun, started, state=State.DONE, facts=mask("facts", report.facts))
        return report
    finally:
        journal.close()


def push(settings: Settings, loaded: Loaded, author: str | None = None) -> list[Configuration]:
    """Keep the texts of a pipeline, of what its profile changes in it, and of its rules; returns the versions that run."""
    overlay = settings.at_root(Path("conf") / settings.profile / "pipelines" / loaded.file.name)
    name = loaded.extraction.name
    files = {(PIPELINE, name): loaded.file, (OVERLAY, f"{settings.profile}/{name}"): overlay}
    if loaded.active is None:
        files[RULES, loaded.rules.name] = settings.at_root(Path("conf/rules")) / f"{loaded.rules.name}.yaml"
    database = Database.of(settings)
    try:
        kept = Configurations(database)
        pushed = [
            kept.push(kind, of, file.read_text(encoding="utf-8"), author) for (kind, of), file in files.items() if file.is_file()
        ]
        return pushed if loaded.active is None else [*pushed, kept.get(RULES, loaded.rules.name, loaded.active)]
    finally:
        database.close()


def is_dead(entry: Entry) -> bool:
    """Whether the process of a running entry is gone; one of another machine is taken at its word."""
    here = entry.host == socket.gethostname()
    return entry.state is State.RUNNING and here and not lives(entry.pid, entry.process_started)


def _entry(step: str, context: Context, versions: Mapping[str, int]) -> Entry:
    return Entry(
        id=uuid.uuid4().hex,
        run_id=context.run_id,
        pipeline=context.extraction.name,
        step=step,
        interval=context.interval,
        profile=context.settings.profile,
        host=socket.gethostname(),
        pid=os.getpid(),
        process_started=start_time(os.getpid()),
        started=datetime.now(UTC),
        versions=versions,
    )


def _begin(journal: Journal, entry: Entry) -> Entry:
    for other in journal.newest(entry.pipeline, _LOOKED_AT):
        if other.key == entry.key and is_dead(other):
            journal.end(replace(other, state=State.FAILED, error_code=DIED, error="its process ended without a word: killed?"))
    begun = journal.begin(entry)
    if begun.overlaps and (first := journal.get(begun.overlaps)):
        # both go on: each batch of rows is counted once, whoever commits it
        _say(f"{entry.step} of {entry.pipeline} runs already, as run {first.run_id} on {first.host}, process {first.pid}")
    return begun


def _end(journal: Journal, begun: Entry, started: float, **changes: Any) -> None:
    ended = replace(begun, ended=datetime.now(UTC), seconds=time.monotonic() - started, **changes)
    try:
        journal.end(ended)
    except MaasError as error:  # the work is done: say so, lose nothing
        _say(f"{begun.step} of {begun.pipeline} is {ended.state}, and the journal could not be told: {error.message}")


def _say(line: str) -> None:
    _log.warning(line)
    print(f"maas: {line}", file=sys.stderr)
