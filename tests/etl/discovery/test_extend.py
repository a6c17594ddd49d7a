"""Rules for what no rule takes: appended to the file that is there, as the next version."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from core.config import validate
from core.contracts import TableName
from core.database.configurations import RULES, Configurations
from core.database.database import Database
from core.errors import ConfigError
from core.lake.catalog import Lake
from core.lake.tables import append
from core.settings import Settings, load_settings
from etl.discovery.extend import extend
from etl.discovery.proposal import Candidate
from etl.discovery.rules import propose
from etl.extract import extract
from etl.rules.config import RuleFile, TableRules, read_rules
from jobs.pipeline import load_pipeline
from jobs.rules_drift import examine_rules

ROOT = Path(__file__).parents[3]
RAW = "_source string, _offset long, _batch long, _ingested_at timestamp, _header binary, value binary"
FILE = r"""# rules of the airline
version: 1
tables:
  - from: raw.flights  # as it was
    into: extracted.flights
    rules:
    - {name: row, kind: sql, columns: [a], fields: {a: {type: int}}}
  - into: extracted.operations
    rules:
      # the first
      - name: job_done
        kind: regex
        pattern: '^job (?<job>[a-z]+) done$'
        fields:
          job: {type: string}

      # of checks
    checks:
      - {name: there, kind: not_null, columns: [job]}
    from: raw.operations
"""


def table(text: str, into: str = "extracted.operations") -> TableRules:
    rules = read_rules("a", validate(yaml.safe_load(text), RuleFile, "a.yaml"), "a.yaml")
    return next(one for one in rules.tables if str(one.into) == into)


def candidates(*lines: str) -> tuple[Candidate, ...]:
    return propose([line.format(i=i) for i in range(50) for line in lines]).candidates


def test_rules_are_appended_and_all_else_stays():
    text = extend(FILE, table(FILE), candidates("job {i} done", "user u{i} in"))

    rest = iter(text.splitlines())
    assert all(line in rest for line in FILE.splitlines())
    before, after = yaml.safe_load(FILE), yaml.safe_load(text)
    rules = after["tables"][1]["rules"]
    assert [rule["name"] for rule in rules] == ["job_done", "job_done_2", "user_in"]
    assert rules[1]["fields"] == {"job_2": {"group": "job", "type": "int"}}
    after["tables"][1]["rules"] = before["tables"][1]["rules"]
    assert after == before
    assert len(table(text).rules) == 3


@pytest.mark.parametrize(
    "text", [FILE, FILE.rstrip("\n"), FILE.replace("\n    checks:\n      - {name: there, kind: not_null, columns: [job]}", "")]
)
def test_rules_are_appended_wherever_the_list_ends(text):
    again = text
    for _ in range(2):
        again = extend(again, table(again), candidates("user u{i} in"))
    first = extend(text, table(text, "extracted.flights"), candidates("user u{i} in"))

    assert [rule.name for rule in table(again).rules] == ["job_done", "user_in", "user_in_2"]
    assert [rule.name for rule in table(first, "extracted.flights").rules] == ["row", "user_in"]


def test_rules_on_one_line_cannot_be_appended_to():
    flow = "{version: 1, tables: [{from: raw.a, into: extracted.a, rules: [{name: a, kind: json, fields: {b: {type: int}}}]}]}"

    with pytest.raises(ConfigError, match="not a list with a line for each rule"):
        extend(flow, table(flow, "extracted.a"), candidates("user u{i} in"))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    (tmp_path / "conf/rules/flights.yaml").write_text(FILE, encoding="utf-8")
    return load_settings(tmp_path, "local", {"MAAS__HOME": str(tmp_path / "home")})


def test_a_rise_of_what_no_rule_takes_becomes_the_next_version(spark, settings):
    lake, source = Lake.of(settings), TableName.parse("raw.operations")
    rules = next(one for one in load_pipeline(settings, "flights").rules.tables if one.source == source)
    known = [f"job {'abc'[i % 3]} done" for i in range(300)]
    batches = [[*known, "junk"], [*known, "junk"], [*known, *(f"user u{i} has come from 10.0.0.{i}" for i in range(60))]]
    for number, records in enumerate(batches, 1):
        at = datetime(2026, 1, number, tzinfo=UTC)
        rows = [("f", i, number, at, None, record.encode()) for i, record in enumerate(records)]
        append(lake, spark.createDataFrame(rows, RAW).coalesce(1), source, app="test", number=number, facts={})
        extract(spark, lake, rules, app=f"flights/extract/{rules.into}")
        found = examine_rules(settings, "flights", significance=0.01, records=1000)
        assert (len(found.tables), bool(found.drifted)) == (int(number > 1), number == 3)

    (drifted,) = found.drifted
    assert (drifted.before, drifted.newest.unmatched, drifted.newest.records) == ((2, 602), 60, 360)
    assert found.proposed is not None
    proposed = table(found.proposed.text)
    assert [rule.name for rule in proposed.rules] == ["job_done", "user_has_come_from"]
    assert set(proposed.config.types()) == {"job", "user", "address"}
    assert examine_rules(settings, "flights", significance=0.01, records=1000).proposed == found.proposed
    database = Database.of(settings)
    assert [one.version for one in Configurations(database).history(RULES, "flights")] == [1]
    database.close()
    (file,) = settings.at_home(settings.logs.folder).glob("alerts-*.jsonl")
    alert = json.loads(file.read_text(encoding="utf-8").splitlines()[0])
    assert (alert["tables"], alert["proposed_rules"], alert["proposed_version"]) == (["extracted.operations"], 1, 1)
