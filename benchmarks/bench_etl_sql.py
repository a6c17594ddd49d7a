"""The hand-written side of ``bench_etl.py``: SQL over the view ``raw`` that makes what its rules make."""
# ruff: noqa: S608 — constants put into constants

_PATTERN = r"\\A(?:^(\\S+) ([A-Z]{3}) ([A-Z0-9]{2})(\\d{1,4}) ([A-Z0-9]+|-) ([A-Z]+) ([+-]\\d+)$)\\z"


def _shown(text: str) -> str:
    return (
        f"concat('\\'', regexp_replace(left({text}, 60), '[\\\\x00-\\\\x1f\\\\x7f-\\\\x9f\\\\u2028\\\\u2029]', '?'), "
        f"IF(length({text}) <= 60, '\\'', '…\\''))"
    )


def _problem(reason: str, message: str) -> str:
    return f"struct('{reason}' AS reason, {message} AS message)"


def _bad_cast(field: str, kind: str) -> str:
    message = f"concat('field {field}: ', {_shown('s_' + field)}, ' is not {kind}')"
    return f"WHEN {field} IS NULL AND s_{field} IS NOT NULL THEN {_problem('bad_cast', message)}"


def _missing(field: str) -> str:
    message = f"'field {field} is missing'"
    return f"WHEN {field} IS NULL THEN {_problem('missing_field', message)}"


_LINES = "lines AS (SELECT *, try_validate_utf8(CAST(value AS STRING)) AS text FROM raw)"

_NOT_TAKEN = f"""
    WHEN text IS NULL THEN
      struct('not_utf8' AS reason, concat('the record is not UTF-8; it begins with 0x', hex(substring(value, 1, 16))) AS message)
    WHEN NOT taken THEN struct('no_rule' AS reason, concat('no rule takes the record ', {_shown("text")}) AS message)
"""

_LOG_END = f"""
typed AS (
  SELECT *,
    CASE WHEN substring(s_time, 5, 1) = '-' AND length(s_time) >= 8 THEN try_cast(s_time AS TIMESTAMP) END AS time,
    try_cast(s_number AS INT) AS number,
    try_cast(s_minutes AS INT) AS minutes
  FROM texts
)
SELECT time, airport, carrier, number, tail, event, minutes,
  IF(taken, 'event', null) AS _rule, 'by hand' AS _rule_set, _source, _offset, _batch, _ingested_at, value AS _raw,
  CASE {_NOT_TAKEN}
    {_bad_cast("time", "a timestamp")} {_missing("time")}
    {_missing("airport")}
    {_missing("carrier")}
    {_bad_cast("number", "an int")} {_missing("number")}
    {_missing("event")}
    {_bad_cast("minutes", "an int")} {_missing("minutes")}
    WHEN minutes < -1440 OR minutes > 1440 THEN
      struct('check:within_a_day' AS reason, concat('minutes is ', CAST(minutes AS STRING), ', outside -1440 to 1440') AS message)
  END AS _problem
FROM typed
"""

_MARKS = "".join(f"\\u0001${n}" for n in range(1, 8))
_GROUPS = ", ".join(f"regexp_extract(text, '{_PATTERN}', {n})" for n in range(1, 8))

LOG_BY_SPLIT_SQL = f"""
WITH {_LINES},
matched AS (
  SELECT *, CASE
    WHEN contains(text, '\\u0001') THEN IF(text RLIKE '{_PATTERN}', array('', {_GROUPS}), array(''))
    ELSE split(regexp_replace(text, '{_PATTERN}', '{_MARKS}'), '\\u0001')
  END AS g
  FROM lines
),
texts AS (
  SELECT *, size(g) > 1 AS taken,
    CASE WHEN get(g, 1) != '' THEN get(g, 1) END AS s_time,
    CASE WHEN get(g, 2) != '' THEN get(g, 2) END AS airport,
    CASE WHEN get(g, 3) != '' THEN get(g, 3) END AS carrier,
    CASE WHEN get(g, 4) != '' THEN get(g, 4) END AS s_number,
    CASE WHEN get(g, 5) != '-' THEN get(g, 5) END AS tail,
    CASE WHEN get(g, 6) != '' THEN get(g, 6) END AS event,
    CASE WHEN get(g, 7) != '' THEN get(g, 7) END AS s_minutes
  FROM matched
),
{_LOG_END}
"""
"""One match a line, and one split."""

LOG_BY_GROUP_SQL = f"""
WITH {_LINES},
texts AS (
  SELECT *, text RLIKE '{_PATTERN}' AS taken,
    nullif(regexp_extract(text, '{_PATTERN}', 1), '') AS s_time,
    nullif(regexp_extract(text, '{_PATTERN}', 2), '') AS airport,
    nullif(regexp_extract(text, '{_PATTERN}', 3), '') AS carrier,
    nullif(regexp_extract(text, '{_PATTERN}', 4), '') AS s_number,
    CASE WHEN text RLIKE '{_PATTERN}' THEN nullif(regexp_extract(text, '{_PATTERN}', 5), '-') END AS tail,
    nullif(regexp_extract(text, '{_PATTERN}', 6), '') AS event,
    nullif(regexp_extract(text, '{_PATTERN}', 7), '') AS s_minutes
  FROM lines
),
{_LOG_END}
"""
"""As most would write it: one match for each group."""


def _number(name: str, path: str) -> str:
    return f"CASE WHEN {path} != '' THEN {path} END AS s_{name}"


JSON_SQL = f"""
WITH {_LINES},
parsed AS (
  SELECT *, from_json(
    concat('{{"record":', text, ',"end":"1"}}'),
    'record STRUCT<station: STRING, time: STRING, air: STRUCT<temperature: STRING, humidity: STRING>,
     wind: STRUCT<speed: STRING, gust: STRING, direction: STRING>>, end STRING',
    map('allowSingleQuotes', 'false', 'allowNonNumericNumbers', 'false')) AS p
  FROM lines
),
texts AS (
  SELECT *, coalesce(p.end = '1', false) AND p.record IS NOT NULL AS taken,
    CASE WHEN p.record.station != '' THEN p.record.station END AS station,
    {_number("observed_at", "p.record.time")},
    {_number("temperature", "p.record.air.temperature")},
    {_number("humidity", "p.record.air.humidity")},
    {_number("wind_speed", "p.record.wind.speed")},
    {_number("wind_gust", "p.record.wind.gust")},
    {_number("wind_direction", "p.record.wind.direction")}
  FROM parsed
),
typed AS (
  SELECT *,
    CASE WHEN substring(s_observed_at, 5, 1) = '-' AND length(s_observed_at) >= 8
      THEN try_cast(s_observed_at AS TIMESTAMP) END AS observed_at,
    try_cast(s_temperature AS DOUBLE) AS temperature,
    try_cast(s_humidity AS DOUBLE) AS humidity,
    try_cast(s_wind_speed AS DOUBLE) AS wind_speed,
    try_cast(s_wind_gust AS DOUBLE) AS wind_gust,
    try_cast(s_wind_direction AS INT) AS wind_direction
  FROM texts
)
SELECT station, observed_at, temperature, humidity, wind_speed, wind_gust, wind_direction,
  IF(taken, 'hour', null) AS _rule, 'by hand' AS _rule_set, _source, _offset, _batch, _ingested_at, value AS _raw,
  CASE {_NOT_TAKEN}
    {_missing("station")}
    {_bad_cast("observed_at", "a timestamp")} {_missing("observed_at")}
    {_bad_cast("temperature", "a double")}
    {_bad_cast("humidity", "a double")}
    {_bad_cast("wind_speed", "a double")}
    {_bad_cast("wind_gust", "a double")}
    {_bad_cast("wind_direction", "an int")}
    WHEN humidity < 0 OR humidity > 100 THEN
      struct('check:humid' AS reason, concat('humidity is ', CAST(humidity AS STRING), ', outside 0 to 100') AS message)
  END AS _problem
FROM typed
"""
"""One parse a record, into texts, as reasons need them."""
