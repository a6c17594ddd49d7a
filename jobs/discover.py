"""``maas rules discover``: a file of rules for records that nobody has described."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from core.contracts import Layer, TableName
from core.errors import ConfigError, SourceError
from core.lake.catalog import Lake
from core.settings import Settings
from etl.discovery import records as found
from etl.discovery.choose import TRIED, Kind, choose, leads_to, proposal_of
from etl.discovery.documents.survey import Documents
from etl.discovery.draft import draft
from etl.discovery.proposal import Constraint
from etl.discovery.survey import Survey

MOST = 100_000
"""Records that are looked at where nothing else is said."""


def discover(
    settings: Settings,
    source: str,
    *,
    table: str | None,
    records: int | None,
    kind: Kind | None = None,
    references: Sequence[str] = (),
) -> str:
    """The text of the file for a raw table or a text file.

    ``table`` is the raw table that the rules of a text file will read; ``records`` how many are looked at (None: all, in Spark);
    ``kind`` what they are taken for (None: what explains them best); ``references`` are raw tables that fields may lead to.
    Raises SourceError, TableError or StorageError.
    """
    is_table = source.startswith(f"{Layer.RAW}.") and not Path(source).exists()
    raw = TableName.parse(source if is_table else table or f"{Layer.RAW}.{_table_name(Path(source))}")
    place = raw if is_table else Path(source)
    first, header = _first(settings, place, records or TRIED)
    if not first:
        raise SourceError(f"{source} holds no record that is text: there is nothing to find rules in")
    chosen = choose(first, header, may_begin_with_header=not is_table, kind=kind)
    if records is None:
        sketch = _look_at_all(settings, place, chosen.make)
    else:
        sketch = chosen.make()
        sketch.add(first)
    proposal = proposal_of(sketch)
    if proposal is None:
        raise SourceError(
            f"{source}: no rule can be made of its {sketch.records:,} records as {chosen.kind}: name another --kind"
        )
    keys = [key for other in references for key in _leads(settings, sketch, TableName.parse(other), records)]
    return draft(proposal.noted(chosen.reason).checked(*keys), raw, TableName(Layer.EXTRACTED, raw.name))


def _leads(settings: Settings, sketch: Survey | Documents, other: TableName, records: int | None) -> list[Constraint]:
    found, header = _first(settings, other, records or MOST)
    return leads_to(sketch, other.name, found, header)


def kind_of(text: str | None) -> Kind | None:
    """The kind of that name; raises ConfigError for another."""
    if text is not None and text not in set(Kind):
        raise ConfigError(f"--kind {text!r}: kinds are {', '.join(Kind)}")
    return None if text is None else Kind(text)


def _first(settings: Settings, place: TableName | Path, records: int) -> tuple[found.Records, str | None]:
    if isinstance(place, Path):
        return found.of_file(place, records), None
    lake = Lake.of(settings)
    return found.of_table(lake, place, records), found.header_of(lake, place)


def _look_at_all(settings: Settings, place: TableName | Path, make: Callable[[], Survey | Documents]) -> Survey | Documents:
    from etl.discovery.distributed import sketch_file, sketch_table
    from jobs.session import open_session

    lake = Lake.of(settings)
    spark = open_session(settings, "maas rules discover")
    try:
        return sketch_file(spark, place, make) if isinstance(place, Path) else sketch_table(spark, lake, place, make)
    finally:
        spark.stop()


def _table_name(file: Path) -> str:
    return re.sub(r"[^a-z0-9]+", "_", file.name.split(".")[0].lower()).strip("_") or "lines"
