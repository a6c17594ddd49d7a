"""What keeps the lake small: compaction, and a vacuum that knows what must stay."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from core.contracts import Layer, TableName
from core.errors import ConfigError, CorruptFile, MaasError, TableError
from core.lake.catalog import Lake
from core.lake.compaction import Compaction, compact
from core.lake.holds import Hold, Holds
from core.lake.vacuum import Vacuumed, vacuum
from core.logs import configure
from core.registry.versions import Registry
from core.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SHORTEST_DAYS = 1.0
"""Below it, files may be taken from a writer that has not committed them yet, or from a reader that has just begun."""

_ONE_TABLE = (TableError, CorruptFile)
"""What is wrong with one table and says nothing of the others."""

_log = logging.getLogger("jobs.maintenance")


def choose(lake: Lake, names: Sequence[str]) -> list[TableName]:
    """The tables that are named, or all; raises ConfigError or TableError for a name that is none."""
    tables = [TableName.parse(name) for name in dict.fromkeys(names)]
    for table in tables:
        lake.check(table)
    return tables or lake.names()


def model_holds(settings: Settings) -> list[Hold]:
    """The datasets of all registered model versions. Raises StorageError when the registry does not answer."""
    found = [(version, version.dataset) for model in Registry.open(settings).models() for version in model.versions]
    return sorted(
        Hold(dataset[0], dataset[1], "trained on it", f"model {version.uid}", version.created)
        for version, dataset in found
        if dataset is not None
    )


def optimize_tables(settings: Settings, names: Sequence[str]) -> Iterator[Compaction | MaasError]:
    """Compact tables one after the other; one that cannot be gives its reason, and the others go on.

    Spark starts with the first that has more than one file. Feature tables are compacted only when they are named: their files
    are what training reads in that order, and stay in any case, so that compaction would keep their rows twice.
    """
    lake = Lake.of(settings)
    tables = [table for table in choose(lake, names) if names or table.layer is not Layer.FEATURES]
    with _session(settings) as session:
        for table in tables:
            try:
                done = Compaction.none(lake, table) or compact(session(), lake, table)
            except _ONE_TABLE as error:
                yield error
            else:
                _log.info("compacted", extra={"table": str(table), "files": [done.before.files, done.after.files]})
                yield done


def vacuum_tables(
    settings: Settings, names: Sequence[str], *, keep_days: float, short: bool = False, dry_run: bool = False
) -> Iterator[Vacuumed | MaasError]:
    """Vacuum tables one after the other; one that must be left as it is gives its reason, and the others go on.

    Raises ConfigError for less than a day without ``short``, and StorageError when the registry does not answer.
    """
    if keep_days < SHORTEST_DAYS and not short:
        raise ConfigError(
            f"--keep-days {keep_days:g} is less than a day: running steps may lose files that they have not committed yet, and "
            "readers those that they read: when nothing runs, say so with --nothing-runs"
        )
    holds, cutoff = Holds.of(settings), datetime.now(UTC) - timedelta(days=keep_days)
    tables, more = choose(holds.lake, names), model_holds(settings)
    configure(settings.at_home(settings.logs.folder), "jobs", settings.logs.level)
    for table in tables:
        try:
            done = vacuum(holds, table, cutoff, more, dry_run=dry_run)
        except _ONE_TABLE as error:
            yield error
        else:
            if not dry_run:
                facts = {"table": str(table), "files": len(done.files), "bytes": done.bytes, "kept_from": done.kept_from}
                _log.info("vacuumed", extra=facts)
            yield done


@contextmanager
def _session(settings: Settings) -> Iterator[Callable[[], SparkSession]]:
    """What gives the Spark session, started when first asked for and stopped at the end."""
    from jobs.session import open_session

    configure(settings.at_home(settings.logs.folder), "jobs", settings.logs.level)
    found: list[SparkSession] = []

    def start() -> SparkSession:
        if not found:
            found.append(open_session(settings, "maas optimize"))
        return found[0]

    try:
        yield start
    finally:
        for session in found:
            session.stop()
