"""Records that give several rows: each row is read by itself, and a record becomes rows as a whole or none.

So a record is in the table or in quarantine and never in both, and one that goes through mended rules doubles nothing. It takes a
shuffle of the rows, which tables of one row a record do without.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from etl.rules.attempts import Attempt

_PAIRS = "array<struct<taker:int,item:int>>"


def spread(df: DataFrame, attempts: list[Attempt]) -> DataFrame:
    """``df`` with a row for each that a record gives, and one for a record that gives none.

    ``_record`` tells records apart, ``_at`` counts a record's rows from 0; ``_taker`` is the number of the row's rule (null when
    no rule takes the record) and ``_item`` which of that rule's rows it is, from 0.
    """
    pairs = F.flatten(F.array(*map(_pairs, attempts)))
    marked = df.select("*", F.monotonically_increasing_id().alias("_record"), pairs.alias("_pairs"))
    rows = marked.select(*df.columns, "_record", F.posexplode_outer("_pairs").alias("_position", "_pair"))
    at = F.coalesce("_position", F.lit(0)).alias("_at")
    return rows.select(*df.columns, "_record", at, F.col("_pair.taker").alias("_taker"), F.col("_pair.item").alias("_item"))


def _pairs(attempt: Attempt) -> Column:
    """Rule and item of each row that the attempt makes of a record; an empty array when it does not take it."""
    last = F.greatest(attempt.items(), F.lit(1)) - 1
    pairs = F.transform(F.sequence(F.lit(0), last), lambda item: F.struct(attempt.taker.alias("taker"), item.alias("item")))
    return F.when(attempt.takes, pairs.cast(_PAIRS)).otherwise(F.array().cast(_PAIRS))


def settle(found: DataFrame) -> DataFrame:
    """All rows of a good record; of a record with a bad row one row, with the rule and the problem of its first bad one."""
    rows = Window.partitionBy("_record").orderBy("_at").rowsBetween(Window.unboundedPreceding, Window.unboundedFollowing)
    bad = F.when(F.col("_problem").isNotNull(), F.struct("_rule", "_problem"))
    judged = found.withColumn("_bad", F.first(bad, ignorenulls=True).over(rows))
    kept = judged.where(F.col("_bad").isNull() | (F.col("_at") == 0))
    rule = F.when(F.col("_bad").isNull(), F.col("_rule")).otherwise(F.col("_bad._rule"))
    return kept.withColumns({"_rule": rule, "_problem": F.col("_bad._problem")}).drop("_bad", "_record")
