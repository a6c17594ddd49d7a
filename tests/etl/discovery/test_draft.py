"""A proposal as a file of rules, and the command that prints it."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from core.config import validate
from core.contracts import TableName
from core.errors import SourceError
from etl.discovery.draft import draft
from etl.discovery.records import of_file
from etl.discovery.rules import propose
from etl.rules.config import RuleFile, read_rules

ROOT = Path(__file__).parents[3]
LINES = [line for i in range(200) for line in (f"2026-01-01 10:00:00 INFO job {i} done in {i}.5 s", f"user u{i}: 'it' # is\t{i}")]


def maas(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [Path(sys.executable).with_name("maas"), "rules", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


def test_a_draft_is_a_file_of_rules_with_the_reasons_as_comments():
    proposal = propose([*LINES, "odd\u2028line", "x" * 500])

    text = draft(proposal, TableName.parse("raw.jobs"), TableName.parse("extracted.jobs"))

    rules = read_rules("jobs", validate(yaml.safe_load(text), RuleFile, "jobs.yaml"), "jobs.yaml")
    (table,) = rules.tables
    assert [rule.name for rule in table.rules] == [candidate.rule["name"] for candidate in proposal.candidates]
    assert [yaml.safe_load(text)["tables"][0]["rules"][i]["pattern"] for i in range(2)] == [
        candidate.rule["pattern"] for candidate in proposal.candidates[:2]
    ]
    assert text.count("records; takes") == len(proposal.candidates)
    assert max(map(len, (line for line in text.splitlines() if line.lstrip().startswith("#")))) < 130


def test_an_unknown_log_becomes_a_file_of_rules_that_can_run(tmp_path):
    log = tmp_path / "Some App.2026.log"
    log.write_bytes("\n".join(LINES).encode() + b"\n\xff\xfe\n\n")

    found = maas("discover", str(log))

    assert found.returncode == 0, found.stderr
    (tmp_path / "some_app.yaml").write_text(found.stdout)
    checked = maas("check", str(tmp_path / "some_app.yaml"))
    assert checked.returncode == 0, checked.stderr
    assert checked.stdout.startswith("raw.some_app → extracted.some_app: 2 rules")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("nowhere.log", "nowhere.log cannot be read: No such file or directory: name a text file, or a table as raw.name"),
        ("raw.nowhere", "there is no table raw.nowhere: run step 'ingest' first"),
        ("/dev/null", "/dev/null holds no record that is text"),
    ],
)
def test_a_source_that_gives_nothing_is_named(source, said):
    done = maas("discover", source)
    assert done.returncode == 1
    assert done.stderr.startswith(f"maas: {said}")


def test_no_more_lines_are_read_than_were_asked_for(tmp_path):
    file = tmp_path / "a.log"
    file.write_bytes(b"one\r\n\n" + b"two\n" * 10)
    assert of_file(file, 3) == [(0, "one"), (6, "two"), (10, "two")]
    with pytest.raises(SourceError, match="Is a directory"):
        of_file(tmp_path, 1)
