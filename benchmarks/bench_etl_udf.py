"""The sides of ``bench_etl.py`` that read the operations log by a Python function, one call a line: pickled, and over Arrow."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

_PATTERN = re.compile(r"(\S+) ([A-Z]{3}) ([A-Z0-9]{2})(\d{1,4}) ([A-Z0-9]+|-) ([A-Z]+) ([+-]\d+)", re.ASCII)
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_FIELDS = "time long, airport string, carrier string, number int, tail string, event string, minutes int"
_TYPE = f"{_FIELDS}, taken boolean, reason string, message string"
_NOTHING = (None,) * 7
_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
_MICROSECOND = timedelta(microseconds=1)


def log_by_udf(raw: DataFrame, *, arrow: bool) -> DataFrame:
    """What the rules make of the log; rows go to Python and back pickled, as is Spark's default, or as ``arrow``."""
    read = F.udf(read_line, _TYPE, useArrow=arrow)
    df = raw.select("*", read("value").alias("r"))
    fields = [F.col(f"r.{part.split()[0]}") for part in _FIELDS.split(", ")[1:]]
    problem = F.when(F.col("r.reason").isNotNull(), F.struct("r.reason", "r.message"))
    return df.select(
        F.timestamp_micros("r.time").alias("time"),
        *fields,
        F.when(F.col("r.taken"), "event").alias("_rule"),
        F.lit("by hand").alias("_rule_set"),
        *("_source", "_offset", "_batch", "_ingested_at"),
        F.col("value").alias("_raw"),
        problem.alias("_problem"),
    )


def read_line(value: bytes) -> tuple[Any, ...]:
    """The fields of a line, whether it is one, and what is wrong with it."""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return (*_NOTHING, False, "not_utf8", f"the record is not UTF-8; it begins with 0x{value[:16].hex().upper()}")
    match = _PATTERN.fullmatch(text)
    if match is None:
        return (*_NOTHING, False, "no_rule", f"no rule takes the record {_quote(text)}")
    time, airport, carrier, number, tail, event, minutes = match.groups()
    at, late = _microseconds(time), int(minutes)
    fields = (at, airport, carrier, int(number), None if tail == "-" else tail, event, late if abs(late) < 1 << 31 else None)
    if at is None:
        return (*fields, True, "bad_cast", f"field time: {_quote(time)} is not a timestamp")
    if fields[-1] is None:
        return (*fields, True, "bad_cast", f"field minutes: {_quote(minutes)} is not an int")
    if not -1440 <= late <= 1440:
        return (*fields, True, "check:within_a_day", f"minutes is {late}, outside -1440 to 1440")
    return (*fields, True, None, None)


def _microseconds(text: str) -> int | None:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (at - _EPOCH) // _MICROSECOND if text[10:11] == "T" and at.tzinfo else None


def _quote(text: str) -> str:
    return f"'{_CONTROLS.sub('?', text[:60])}{'' if len(text) <= 60 else '…'}'"
