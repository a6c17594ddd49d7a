"""What a database shows of a table, or of a user's query: its columns, and its rows as records."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import DataType

from core.errors import ConfigError
from etl.sources.jdbc import Database

QUERY = "query"
"""What records and messages call the rows of a query."""


@dataclass(frozen=True, slots=True)
class Relation:
    """``table`` or, where there is one, ``query``: a whole SELECT; ``columns`` of it are read, all when None."""

    database: Database
    table: str
    query: str | None = None
    columns: tuple[str, ...] | None = None

    @property
    def place(self) -> str:
        """What stands behind FROM."""
        return self.database.place(self.table) if self.query is None else f"(\n{self.query}\n) maas_query"

    def types(self, spark: SparkSession, *more: str) -> dict[str, DataType]:
        """The columns that are there, held against those asked for: SQLite takes an unknown name in quotes for a text.

        Raises ConfigError for a name, of ``columns`` or ``more``, that is not there.
        """
        there = self.database.types(spark, self.table, self.place)
        for name in (*more, *(self.columns or ())):
            if name not in there:
                near = difflib.get_close_matches(name, there, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(there)}"
                raise ConfigError(f"table {self.table!r} has no column {name!r}: {hint}")
        return there

    def records(
        self, spark: SparkSession, types: Mapping[str, DataType], more: Mapping[str, str], slices: Sequence[str], offset: Column
    ) -> DataFrame:
        """The rows as RECORD, those of each condition in ``slices`` by a task of its own.

        A value is a JSON object with every column as text or null. ``more`` are SQL expressions by name, of which conditions and,
        as texts, ``offset`` may speak.
        """
        dialect, columns = self.database.dialect, self.columns or tuple(types)
        fields = [f"{expression} AS {name}" for name, expression in more.items()]
        fields += [f"{dialect.value(name, types[name])} AS {dialect.quoted(name)}" for name in columns]
        query = f"SELECT {', '.join(fields)} FROM {self.place}"  # noqa: S608 — names are quoted, and a query is checked
        rows = self.database.read(spark, self.table, query, [*more, *columns], slices)
        record = F.struct(*(F.col(f"`{name}`") for name in columns))
        return rows.select(
            F.lit(self.table).alias("_source"),
            offset.cast("long").alias("_offset"),
            F.lit(None).cast("binary").alias("_header"),
            F.to_json(record, {"ignoreNullFields": "false"}).cast("binary").alias("value"),
        )
