"""What the compiled rules make of good and damaged records is what a plain Python reading of them makes."""

import json
import re
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

NEW_YORK = ZoneInfo("America/New_York")
PATTERN = r"^(?<time>\S+) (?<airport>[A-Z]{3}) (?<carrier>[A-Z0-9]{2})(?<number>\d+) (?<event>[^ ]*)(?: (?<minutes>\S+))?$"
EVENTS = {
    "name": "event",
    "kind": "regex",
    "pattern": PATTERN,
    "fields": {
        "time": {"type": "timestamp", "required": True},
        "airport": {"type": "string"},
        "carrier": {"type": "string"},
        "number": {"type": "int"},
        "event": {"type": "string", "required": True},
        "minutes": {"type": "double", "null_values": ["", "NA"]},
    },
}
HOURS = {
    "name": "hour",
    "kind": "json",
    "fields": {
        "station": {"type": "string", "required": True},
        "time": {"type": "timestamp", "timezone": "America/New_York"},
        "temperature": {"type": "double", "path": "$.air.temperature"},
        "gust": {"type": "int", "path": "$.wind[1].gust"},
        "calm": {"type": "boolean", "path": "$['is calm']"},
    },
}
TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)?")
AROUND = "".join(map(chr, [*range(0x21), *range(0x7F, 0xA0)]))  # Spark's casts drop these around a value
BEFORE_ZONE = re.compile(r"(?<=\d)[\x00-\x20\x7f-\x9f]+(?=(Z|[+-]\d\d:\d\d)$)")  # and around an offset too
NUMBER = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?")

times = st.sampled_from(
    ["2013-01-01T05:17:00-05:00", "2013-07-01 12:00:00", "2013-02-30T00:00:00Z", "2013-03-10 02:30:00", "noon"]
)
event_lines = st.builds(
    lambda *parts: " ".join(parts).encode(),
    times,
    st.sampled_from(["EWR", "JFK", "lga"]),
    st.sampled_from(["UA1545", "9E3", "AA99999999999", "B60"]),
    st.sampled_from(["DEPARTED", "", "ARRIVED\u0001LATE", "naïve☃"]),
    st.sampled_from(["+2", "-11", "NA", "2.5e1", "12d", "x\u0001"]),
)
hour_lines = st.fixed_dictionaries(
    {"time": st.one_of(times, st.none())},
    optional={
        "station": st.sampled_from(["EWR", "", "J\u0001K", 'a"b\\c', "☃", None]),
        "air": st.one_of(
            st.none(), st.just(7), st.fixed_dictionaries({"temperature": st.sampled_from([39.02, -1, "x", "5f", "12", 1e30])})
        ),
        "wind": st.sampled_from([[], [1], [{}, {"gust": 30}], [{}, {"gust": 3_000_000_000}], {"gust": 1}]),
        "is calm": st.sampled_from([True, False, "maybe", None]),
    },
).map(lambda record: json.dumps(record).encode())


@st.composite
def damaged(draw: st.DrawFn, lines: st.SearchStrategy[bytes]) -> bytes:
    line = draw(lines)
    at = draw(st.integers(0, len(line)))
    forms = [
        line,
        line,
        line,
        line[:at],
        line[:at] + b"\xff" + line[at:],
        line[:at] + b"?" + line[at + 1 :],
        line + line,
        b"\x00",
    ]
    return draw(st.sampled_from([*forms, line[:at] + b"\x00" + line[at:], line + b" trailing", b""]))


def timestamp(text: str | None, zone: Any = UTC) -> datetime | None:
    if text is None:
        return None
    text = BEFORE_ZONE.sub("", text.rstrip(AROUND))
    if not TIME.fullmatch(text):
        return None
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (read if read.tzinfo else read.replace(tzinfo=zone)).astimezone(UTC)


def instant(value: Any) -> Any:
    """Spark hands timestamps over as wall clocks of the machine's own time zone."""
    return value.astimezone(UTC) if isinstance(value, datetime) else value


def number(text: str | None) -> float | None:
    return float(text.strip(AROUND)) if text is not None and NUMBER.fullmatch(text.strip(AROUND)) else None


def integer(text: str | None) -> int | None:
    whole = int(text.strip(AROUND)) if text is not None and re.fullmatch(r"[+-]?\d+", text.strip(AROUND)) else None
    return whole if whole is not None and -(2**31) <= whole < 2**31 else None


def boolean(text: str | None) -> bool | None:
    return {"true": True, "false": False}.get(text or "")


def judge(texts: dict[str, str | None], values: dict[str, Any], required: set[str]) -> tuple[str | None, dict[str, Any] | None]:
    for name, text in texts.items():
        if text is not None and values[name] is None:
            return "bad_cast", None
        if text is None and name in required:
            return "missing_field", None
    return None, values


def read_event(record: bytes) -> tuple[str | None, dict[str, Any] | None]:
    try:
        line = record.decode()
    except UnicodeDecodeError:
        return "not_utf8", None
    match = re.fullmatch(PATTERN.replace("(?<", "(?P<").replace("$", r"\Z"), line, re.ASCII)
    if match is None:
        return "no_rule", None
    texts = {name: text or None for name, text in match.groupdict().items()}
    texts["minutes"] = None if texts["minutes"] == "NA" else texts["minutes"]
    values = {**texts, "time": timestamp(texts["time"]), "number": integer(texts["number"]), "minutes": number(texts["minutes"])}
    return judge(texts, values, {"time", "event"})


def refuse(constant: str) -> None:
    raise ValueError(constant)


def read_hour(record: bytes) -> tuple[str | None, dict[str, Any] | None]:
    try:
        document = json.loads(record.decode(), parse_constant=refuse)
    except UnicodeDecodeError:
        return "not_utf8", None
    except ValueError:
        return "no_rule", None
    if not isinstance(document, dict):
        return "no_rule", None
    paths = {
        "station": ["station"],
        "time": ["time"],
        "temperature": ["air", "temperature"],
        "gust": ["wind", 1, "gust"],
        "calm": ["is calm"],
    }
    texts = {name: text_at(document, path) for name, path in paths.items()}
    values = {
        "station": texts["station"],
        "time": timestamp(texts["time"], NEW_YORK),
        "temperature": number(texts["temperature"]),
        "gust": integer(texts["gust"]),
        "calm": boolean(texts["calm"]),
    }
    return judge(texts, values, {"station"})


def text_at(found: Any, path: list[str | int]) -> str | None:
    for step in path:
        if isinstance(step, int):
            found = found[step] if isinstance(found, list) and len(found) > step else None
        else:
            found = found.get(step) if isinstance(found, dict) else None
    if found is None or found == "":
        return None
    return found if isinstance(found, str) else json.dumps(found)


# each example is a Spark job, so a failing one is not made smaller: the message names the record
few = settings(
    max_examples=4,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)


@given(st.lists(damaged(event_lines), min_size=100, max_size=200))
@few
def test_a_compiled_regular_expression_reads_what_python_reads(run, table_rules, records: list[bytes]) -> None:
    agree(run(table_rules(EVENTS), records), records, read_event)


@given(st.lists(damaged(hour_lines), min_size=100, max_size=200))
@few
def test_compiled_json_paths_read_what_python_reads(run, table_rules, records: list[bytes]) -> None:
    agree(run(table_rules(HOURS), records), records, read_hour)


def agree(rows: list[Any], records: list[bytes], read: Any) -> None:
    assert len(rows) == len(records)
    for row, record in zip(rows, records, strict=True):
        reason, values = read(record)
        assert (row["_problem"] and row["_problem"]["reason"]) == reason, record
        assert bytes(row["_raw"]) == record
        if values is not None:
            assert {name: instant(row[name]) for name in values} == values, record
