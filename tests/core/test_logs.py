import json
import logging
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import RankFailed
from core.logs import JsonLines, bind, configure, mask, mask_text


@pytest.fixture
def lines(tmp_path):
    root = logging.getLogger()
    level = root.level
    path = configure(tmp_path / "logs", "test", "INFO", run_id="run-0")
    yield lambda: [json.loads(line) for line in path.read_bytes().split(b"\n") if line]
    for handler in [h for h in root.handlers if type(h).__module__ == "core.logs"]:
        root.removeHandler(handler)
        handler.close()
    root.setLevel(level)


def test_a_line_holds_time_level_logger_message_and_extras(lines):
    logging.getLogger("etl.ingest").info("read %d rows", 7, extra={"table": "raw.flights", "share": float("nan")})

    (line,) = lines()
    assert line["ts"].endswith("+00:00")
    assert len(line["ts"]) == len("2026-01-31T09:00:00.000000+00:00")
    del line["ts"]
    assert line == {
        "level": "INFO",
        "logger": "etl.ingest",
        "message": "read 7 rows",
        "run_id": "run-0",
        "table": "raw.flights",
        "share": "nan",
    }


def test_bound_fields_stand_in_each_line_of_the_block_and_of_no_other(lines):
    log = logging.getLogger("x")
    with bind(run_id="run-1", model="flights"):
        with bind(request_id="r", version=3):
            log.info("inner")
        log.info("outer")
    log.info("after")

    inner, outer, after = lines()
    assert (inner["run_id"], inner["request_id"], inner["model"], inner["version"]) == ("run-1", "r", "flights", 3)
    assert (outer["run_id"], outer["model"], "version" in outer) == ("run-1", "flights", False)
    assert (after["run_id"], "model" in after) == ("run-0", False)


def test_a_message_cannot_forge_a_line(lines):
    forged = 'x\r\n{"level": "ERROR"}\x1b[31m\u2028\u202e\x00 \ud800'
    logging.getLogger("x").info(forged, extra={"level": "FORGED"})

    (line,) = lines()
    assert line["message"] == forged
    assert line["level"] == "INFO"


@given(st.text(), st.dictionaries(st.text(min_size=1), st.floats() | st.text() | st.binary() | st.none(), max_size=4))
def test_any_message_and_extra_make_one_line_of_ascii_json(message, extra):
    record = logging.makeLogRecord({"msg": message, "facts": extra})
    line = JsonLines().format(record)
    assert line.isascii()
    assert "\n" not in line
    json.loads(line, parse_constant=pytest.fail)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("jdbc:mysql://root:hunter2@db/x?a=1", "jdbc:mysql://root:***@db/x?a=1"),
        ("s3://u:p@ss@host/x", "s3://u:***@host/x"),
        ("https://host:8080/a@b", "https://host:8080/a@b"),
        ("password=hunter2, user=me", "password=***, user=me"),
        ('{"api_key": "abc", "n": 1}', '{"api_key": "***", "n": 1}'),
        ("Authorization: Bearer abc.def", "Authorization: Bearer ***"),
        ("sent bearer abcdefgh12", "sent bearer ***"),
        ("db_password_file: /x", "db_password_file: ***"),
        ("12 tokens: 3", "12 tokens: 3"),
        ("nothing here", "nothing here"),
    ],
)
def test_secrets_in_a_text_are_masked(text, expected):
    assert mask_text(text) == expected


def test_secrets_are_masked_by_their_keys_at_any_depth(lines):
    logging.getLogger("x").info("go", extra={"db": {"user": "u", "Password": "p", "urls": ["a://b:c@d"]}, "auth_token": 12})

    (line,) = lines()
    assert (line["db"], line["auth_token"]) == ({"user": "u", "Password": "***", "urls": ["a://b:***@d"]}, "***")
    assert mask("learning_rate", 0.1) == 0.1
    assert mask("secret", None) is None


def _fail():
    raise RankFailed("rank 1 died: token=abc", rank=1)


def test_an_exception_is_a_field_with_type_message_trace_and_facts(lines):
    try:
        _fail()
    except RankFailed:
        logging.getLogger("x").exception("run ended")

    (line,) = lines()
    assert line["exception"]["type"] == "RankFailed"
    assert line["exception"]["message"] == "rank 1 died: token=***"
    assert line["exception"]["facts"] == {"rank": 1}
    assert "test_logs.py" in line["exception"]["trace"]
    assert "abc" not in json.dumps(line)


def test_a_long_message_is_cut_and_says_so(lines):
    logging.getLogger("x").info("a" * 10_000_000)
    assert lines()[0]["message"].endswith("(9967232 more characters)")


def test_configuring_again_replaces_the_file(lines, tmp_path):
    second = configure(tmp_path, "second", "WARNING")
    logging.getLogger("x").info("too low")
    logging.getLogger("x").warning("seen")

    assert lines() == []
    assert [json.loads(line)["message"] for line in second.read_text().splitlines()] == ["seen"]


def test_each_day_has_a_file_of_its_own(lines, tmp_path):
    path = configure(tmp_path, "daily")
    (handler,) = [h for h in logging.getLogger().handlers if type(h).__module__ == "core.logs"]
    now = datetime.now(UTC)
    for days, message in ((0, "today"), (1, "tomorrow"), (0, "late"), (2, "after")):
        record = logging.makeLogRecord({"msg": message, "created": (now + timedelta(days=days)).timestamp()})
        handler.handle(record)
    said = {
        (now + timedelta(days=days)).date().isoformat(): text for days, text in ((0, "today"), (1, "tomorrow late"), (2, "after"))
    }
    found = {
        file.name.removeprefix("daily-").removesuffix(".jsonl"): " ".join(
            json.loads(line)["message"] for line in file.read_text().splitlines()
        )
        for file in tmp_path.glob("daily-*.jsonl")
    }
    assert path.parent == tmp_path
    assert found == said


def test_lines_of_many_threads_stay_whole(lines):
    log = logging.getLogger("x")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: log.info("%s", str(i) * 2000), range(200)))
    assert len(lines()) == 200


def test_importing_logs_brings_in_only_the_standard_library():
    code = "import sys, core.logs; print([m for m in ('pydantic', 'yaml', 'numpy', 'mlflow', 'orjson') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
