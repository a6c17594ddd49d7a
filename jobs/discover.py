"""``maas rules discover``: a file of rules for records that nobody has described."""

from __future__ import annotations

import re
from pathlib import Path

from core.contracts import Layer, TableName
from core.errors import SourceError
from core.lake.catalog import Lake
from core.settings import Settings
from etl.discovery import records as found
from etl.discovery.draft import draft
from etl.discovery.rules import propose_from
from etl.discovery.survey import Survey


def discover(settings: Settings, source: str, *, table: str | None, records: int | None) -> str:
    """The text of the file for a raw table or a text file.

    ``table`` is the raw table that the rules of a text file will read; ``records`` how many are looked at (None: all, in Spark).
    Raises SourceError, TableError or StorageError.
    """
    is_table = source.startswith(f"{Layer.RAW}.") and not Path(source).exists()
    raw = TableName.parse(source if is_table else table or f"{Layer.RAW}.{_table_name(Path(source))}")
    place = raw if is_table else Path(source)
    survey = _survey_all(settings, place) if records is None else _survey_first(settings, place, records)
    if not survey.records:
        raise SourceError(f"{source} holds no record that is text: there is nothing to find rules in")
    return draft(propose_from(survey), raw, TableName(Layer.EXTRACTED, raw.name))


def _survey_first(settings: Settings, place: TableName | Path, records: int) -> Survey:
    survey = Survey()
    survey.add(found.of_file(place, records) if isinstance(place, Path) else found.of_table(Lake.of(settings), place, records))
    return survey


def _survey_all(settings: Settings, place: TableName | Path) -> Survey:
    from etl.discovery.distributed import sketch_file, sketch_table
    from jobs.session import open_session

    lake = Lake.of(settings)
    if isinstance(place, TableName):
        lake.check(place)
    spark = open_session(settings, "maas rules discover")
    try:
        return sketch_file(spark, place, Survey) if isinstance(place, Path) else sketch_table(spark, lake, place, Survey)
    finally:
        spark.stop()


def _table_name(file: Path) -> str:
    return re.sub(r"[^a-z0-9]+", "_", file.name.split(".")[0].lower()).strip("_") or "lines"
