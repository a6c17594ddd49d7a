r"""Rule sets: ``conf/rules/NAME.yaml`` says how the records of raw tables become rows, and which rows are good.

::

    version: 1
    tables:
      - from: raw.operations
        into: extracted.operations
        max_quarantined: 0.05
        rules:
          - name: event
            kind: regex
            pattern: '^(?<time>\S+) (?<airport>[A-Z]{3}) (?<minutes>[+-]\d+)$'
            fields:
              time: {type: timestamp, required: true}
              airport: {type: string}
              minutes: {type: int}
        checks:
          - {name: minutes_in_a_day, kind: range, column: minutes, min: -1440, max: 1440}
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, SecretStr, model_validator

from core.config import Strict, parse_yaml, read_text, validate
from core.contracts import Layer, TableName
from core.errors import ConfigError
from etl.rules.checks.batch import BatchCheck, BatchSpec
from etl.rules.checks.bounds import Range
from etl.rules.checks.check import RowCheck
from etl.rules.checks.distribution import Distribution
from etl.rules.checks.expression import Expression
from etl.rules.checks.foreign_key import ForeignKey
from etl.rules.checks.form import Form
from etl.rules.checks.freshness import Freshness
from etl.rules.checks.membership import Membership
from etl.rules.checks.not_null import NotNull
from etl.rules.checks.unique import Unique
from etl.rules.checks.volume import Volume
from etl.rules.example import Example
from etl.rules.fields import FieldSpec, FieldType
from etl.rules.kinds.delimited import DelimitedRule
from etl.rules.kinds.json import JsonRule
from etl.rules.kinds.keyvalue import KeyValueRule
from etl.rules.kinds.kind import Kind
from etl.rules.kinds.regex import RegexRule
from etl.rules.kinds.sql import SqlRule
from etl.rules.kinds.xml import XmlRule
from etl.rules.masks import Mask
from etl.rules.names import check_names
from etl.rules.tables import Table

Rule = Annotated[RegexRule | JsonRule | SqlRule | DelimitedRule | KeyValueRule | XmlRule, Field(discriminator="kind")]
Check = Annotated[
    NotNull | Range | Membership | Form | Expression | ForeignKey | Unique | Volume | Freshness | Distribution,
    Field(discriminator="kind"),
]


class TableConfig(Strict):
    """The rules of one raw table. A record is read by the first rule that takes it or, with ``match: all``, by each."""

    source: Table = Field(alias="from")
    into: Table
    match: Literal["first", "all"] = "first"
    rules: tuple[Rule, ...] = Field(min_length=1)
    checks: tuple[Check, ...] = ()
    examples: tuple[Example, ...] = ()
    """Records that `maas rules test` tries. They are no part of what the rules are: neither of their digest nor of commits."""
    max_quarantined: float = Field(default=1.0, ge=0, le=1)
    """The step stops, with nothing written, when a greater share of the new records is quarantined."""
    quarantine_raw: Literal["kept", "dropped"] = "kept"
    """Whether quarantine holds the bytes of a record, as the raw table does; they are not masked."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.source.layer is not Layer.RAW or self.into.layer is not Layer.EXTRACTED:
            raise ValueError("rules lead from a table raw.NAME into a table extracted.NAME")
        for example in self.examples:
            example.check(self.types(), [rule.name for rule in self.rules])
        check_names([(rule.name, rule.specs) for rule in self.rules], [(c.name, getattr(c, "columns", ())) for c in self.checks])
        masks = self.masks()
        for check in self.checks:
            blind = [n for n in getattr(check, "columns", ()) if n in masks and masks[n].mask is not Mask.HASH]
            if isinstance(check, Unique | ForeignKey | Distribution) and blind:
                raise ValueError(f"check {check.name!r} cannot tell values of {blind[0]!r} apart: mask it by hash")
            if isinstance(check, ForeignKey) and check.table == self.into:
                raise ValueError(f"check {check.name!r} leads into the table that it is of: a foreign key names another")
        return self

    @property
    def is_many(self) -> bool:
        """Whether one record may give several rows."""
        return self.match == "all" or any(rule.is_many for rule in self.rules)

    def types(self) -> dict[str, FieldType]:
        """The type of each field, in the order in which the rules name them first."""
        return {name: spec.type for rule in self.rules for name, spec in rule.specs.items()}

    def masks(self) -> dict[str, FieldSpec]:
        """The fields that are masked."""
        return {name: spec for rule in self.rules for name, spec in rule.specs.items() if spec.mask is not None}


class RuleFile(Strict):
    """A file of rules."""

    version: Literal[1]
    tables: tuple[TableConfig, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _apart(self) -> Self:
        into = [str(table.into) for table in self.tables]
        if twins := sorted({name for name in into if into.count(name) > 1}):
            raise ValueError(f"two tables lead into {twins[0]}: put their rules under one")
        return self


@dataclass(frozen=True, slots=True)
class TableRules:
    """The rules of one raw table, and the digest of the set that they belong to.

    ``keys`` are those that masks may ask for; ``references`` the versions at which foreign keys read their tables (default: the
    newest).
    """

    config: TableConfig
    rule_set: str
    keys: Mapping[str, SecretStr] = field(default_factory=dict, repr=False, compare=False)
    references: Mapping[str, int] = field(default_factory=dict)

    @property
    def source(self) -> TableName:
        """The raw table."""
        return self.config.source

    @property
    def into(self) -> TableName:
        """The extracted table."""
        return self.config.into

    @property
    def quarantine(self) -> TableName:
        """Where records go that become no row."""
        return TableName(Layer.QUARANTINE, self.into.name)

    @property
    def rules(self) -> tuple[Kind, ...]:
        """The rules, in the order in which they are tried."""
        return self.config.rules

    @property
    def row_checks(self) -> tuple[RowCheck, ...]:
        """The checks of single rows."""
        return tuple(c for c in self.config.checks if not isinstance(c, BatchSpec))

    @property
    def batch_checks(self) -> tuple[BatchCheck, ...]:
        """The checks of all new rows."""
        return tuple(c for c in self.config.checks if isinstance(c, BatchSpec))

    @property
    def foreign_keys(self) -> tuple[ForeignKey, ...]:
        """The checks that look into other tables."""
        return tuple(c for c in self.config.checks if isinstance(c, ForeignKey))

    def to_json(self) -> dict[str, Any]:
        """A JSON-able form without the keys, read back by ``from_json``."""
        table = self.config.model_dump(mode="json", by_alias=True, exclude={"examples"})
        return {"rule_set": self.rule_set, "table": table, "references": dict(self.references)}

    @classmethod
    def from_json(cls, document: Mapping[str, Any], keys: Mapping[str, SecretStr] | None = None) -> Self:
        """Read what ``to_json`` wrote."""
        config = validate(document["table"], TableConfig, "the rules recorded with a commit")
        return cls(config, str(document["rule_set"]), keys or {}, document.get("references", {}))


@dataclass(frozen=True, slots=True)
class RuleSet:
    """All tables of a file; ``digest`` is the SHA-256 of its content, whatever its layout and comments."""

    name: str
    digest: str
    tables: tuple[TableRules, ...]

    def choose(self, names: Collection[str]) -> list[TableRules]:
        """The tables of these names, all when there are none; raises ConfigError for a name that is not there."""
        known = {str(table.into): table for table in self.tables}
        if unknown := sorted(set(names) - set(known)):
            raise ConfigError(f"the rules have no table {unknown[0]!r}: they lead into {', '.join(known)}")
        return [rules for name, rules in known.items() if not names or name in names]


def json_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a file of rules: editors complete and check by it."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **RuleFile.model_json_schema(by_alias=True)}


def load_rules(path: Path, keys: Mapping[str, SecretStr] | None = None) -> RuleSet:
    """Read and verify a file of rules; ``keys`` are those of the settings, for fields that are masked by ``hash``.

    Raises ConfigError (file, key, nearest valid key), or RuleError for a rule that cannot run or could run without end.
    """
    return parse_rules(path.stem, read_text(path), str(path), keys)


def parse_rules(name: str, text: str, where: str, keys: Mapping[str, SecretStr] | None = None) -> RuleSet:
    """The rule set that a text holds; ``where`` is the file or place that an error names. Raises as ``load_rules``."""
    return read_rules(name, validate(parse_yaml(text, where), RuleFile, where), where, keys)


def read_rules(name: str, file: RuleFile, where: str, keys: Mapping[str, SecretStr] | None = None) -> RuleSet:
    """The rule set of a parsed file; ``where`` opens the message of a RuleError."""
    for table in file.tables:
        types = table.types()
        for rule in table.rules:
            rule.verify(f"{where}: {table.into}: rule {rule.name}")
        for check in table.checks:
            check.verify(f"{where}: {table.into}: check {check.name}", types)
    digest = _digest(file)
    return RuleSet(name, digest, tuple(TableRules(table, digest, keys or {}) for table in file.tables))


def _digest(file: RuleFile) -> str:
    # without what is as it is by default: a key that a later version of the platform knows changes no digest
    examples = {"tables": {"__all__": {"examples"}}}
    content = file.model_dump(mode="json", by_alias=True, exclude_defaults=True, exclude=examples)
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()
