"""Files of rules: what is wrong is said with file and key; the digest follows the content."""

from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from core.contracts import TableName
from core.errors import ConfigError, RuleError
from etl.rules.config import TableRules, json_schema, load_rules

ROOT = Path(__file__).parents[3]
GOOD = r"""
version: 1
tables:
  - from: raw.lines
    into: extracted.numbers
    rules:
      - {name: pair, kind: regex, pattern: '(?<key>\w+)=(?<number>\S+)',
         fields: {key: {type: string}, number: {type: int}}}
      - {name: object, kind: json, fields: {key: {type: string, path: "$.k"}}}
"""


def read(folder: Path, text: str):
    file = folder / "things.yaml"
    file.write_text(text, encoding="utf-8")
    return load_rules(file)


def test_editors_are_told_by_a_schema_what_a_file_may_hold() -> None:
    validator = Draft202012Validator(json_schema())
    good = (ROOT / "conf/rules/flights.yaml").read_text(encoding="utf-8")
    assert list(validator.iter_errors(yaml.safe_load(good))) == []
    for old, new in (("kind: regex", "kind: regexp"), ("from: raw.", "from: row."), ("version: 1", "version: 2")):
        assert old in good
        assert list(validator.iter_errors(yaml.safe_load(good.replace(old, new)))) != []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("pattern:", "patern:", "unknown key .*did you mean 'pattern'"),
        ("type: int", "tpye: int", "did you mean 'type'"),
        ("type: int", "type: integer", "'boolean', 'int'"),
        ("kind: regex", "kind: regexp", "'regexp'"),
        ("version: 1", "version: 2", "version"),
        ("from: raw.lines", "from: lines", "'lines' is not layer.name"),
        ("from: raw.lines", "from: scored.lines", "lead from a table raw.NAME"),
        ("name: object", "name: pair", "rule 'pair' stands twice"),
        ("{key: {type: string, path", "{number: {type: string, path", "field 'number' is a string in rule 'object' and a int"),
        ("number: {type: int}", "Number: {type: int}", "field name 'Number'"),
        ("number: {type: int}", "other: {type: int}", "field 'other': the pattern has no group 'other': key, number"),
        ("type: int", "type: int, format: x", "a int has no format"),
        ("type: int", "type: timestamp, timezone: Mars/Olympus", "'Mars/Olympus' is no time zone"),
        ("type: int", "type: timestamp, timezone: UTC, format: yyyy-MM-dd XXX", "timezone cannot be set too"),
        ('"$.k"', '"k.x"', "path 'k.x' is not of the form"),
        ("into:", "max_quarantined: 2\n    into:", "max_quarantined"),
        ("version: 1", "version: 1\nversion: 1", "stands twice"),
    ],
)
def test_a_mistake_is_refused_with_file_key_and_what_would_be_right(tmp_path: Path, old: str, new: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        read(tmp_path, GOOD.replace(old, new, 1))
    assert "things.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_pattern_that_could_run_without_end_is_refused_with_file_table_rule_and_position(tmp_path: Path) -> None:
    with pytest.raises(RuleError) as caught:
        read(tmp_path, GOOD.replace(r"(?<number>\S+)", r"(?<number>(?:\S+)*)"))
    assert "things.yaml: extracted.numbers: rule pair: pattern, position 0: it can backtrack exponentially" in str(caught.value)


def test_paths_that_spark_could_not_tell_apart_are_refused(tmp_path: Path) -> None:
    for path, said in (("$.K", "differ only in case"), ("$.k.x", "leads through"), ("$.k[0]", "leads through")):
        fields = f'fields: {{other: {{type: string, path: "{path}"}}, key: '
        with pytest.raises(RuleError, match=said):
            read(tmp_path, GOOD.replace("kind: json, fields: {key: ", f"kind: json, {fields}"))
        turned = GOOD.replace(
            '{key: {type: string, path: "$.k"}}', f'{{key: {{type: string, path: $.k}}, b: {{type: string, path: "{path}"}}}}'
        )
        with pytest.raises(RuleError, match=said):
            read(tmp_path, turned)


def test_the_digest_follows_content_and_not_layout(tmp_path: Path) -> None:
    first = read(tmp_path, GOOD)

    assert read(tmp_path, "# a comment\n" + GOOD.replace("version: 1", "version:   1")).digest == first.digest
    assert read(tmp_path, GOOD.replace("type: int", "type: long")).digest != first.digest
    assert first.tables[0].source == TableName.parse("raw.lines")
    assert first.tables[0].quarantine == TableName.parse("quarantine.numbers")


def test_the_rules_of_a_table_survive_the_trip_through_a_commit(tmp_path: Path) -> None:
    rules = read(tmp_path, GOOD).tables[0]

    assert TableRules.from_json(rules.to_json()) == rules
