"""Ingestion that goes on: what is new in each source, again and again in one session, until it is told to end."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from core.errors import SourceDown, StorageDown
from jobs.context import Context, Report
from jobs.ingest import land

_log = logging.getLogger("jobs.follow")


def follow_sources(context: Context, every_s: float, stop: threading.Event) -> Report:
    """Land what is new in each source every ``every_s`` seconds until ``stop`` is set; a batch that was begun is finished.

    Each batch is one commit with its position, as in every other run: one that is killed is gone on from by the next. A server
    that is away is said, and asked again in the next round; every other error ends it.
    """
    totals: Counter[str] = Counter()
    while not stop.is_set():
        for name, config in context.extraction.sources.items():
            if stop.is_set():
                break
            try:
                into, landed = land(context, name, config, patience_s=0)
            except (SourceDown, StorageDown) as error:
                _log.warning(error.message)
                print(f"maas: {error.message}; going on without it", file=sys.stderr, flush=True)
                continue
            totals[str(into)] += landed.rows
            if landed.rows:
                context.progress(f"{into}: {landed.rows:,} new rows, batch {landed.batch}")
        stop.wait(every_s)
    return Report("ingest", [f"{into}: {rows:,} new rows" for into, rows in sorted(totals.items())], dict(totals))


@contextmanager
def stopped_by_signal() -> Iterator[threading.Event]:
    """An event that SIGTERM sets for the length of the block."""
    stop = threading.Event()
    before = signal.signal(signal.SIGTERM, lambda *_: stop.set())
    try:
        yield stop
    finally:
        signal.signal(signal.SIGTERM, before)
