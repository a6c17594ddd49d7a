"""A pipeline for a file that nobody has described: its file, its rules as a file and as a draft."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml

from core.config import validate
from core.errors import ConfigError
from core.settings import Settings
from core.storage.local import LocalStorage
from etl.rules.config import RuleSet, parse_rules
from etl.rules.kinds.delimited import DelimitedRule
from etl.rules.kinds.json import JsonRule
from jobs.pipeline import Extraction, check_sources
from jobs.rules import push_rules

_FORMATS: dict[type, str] = {JsonRule: "jsonl", DelimitedRule: "csv"}


def start_pipeline(settings: Settings, name: str, file: Path, rules: str) -> Sequence[str]:
    """Write ``conf/pipelines/NAME.yaml``, which reads ``file`` as it grows, and ``conf/rules/NAME.yaml``; push the rules.

    Returns lines that say what is there now. Raises ConfigError when there is such a file with another text: nothing is written.
    """
    read = parse_rules(name, rules, f"rules {name!r}")
    document: dict[str, object] = {
        "name": name,
        "description": f"Records of {file.name}",
        "sources": {name: _source(file.absolute(), read)},
        "rules": name,
    }
    places = {Path(f"conf/pipelines/{name}.yaml"): _yaml(document), Path(f"conf/rules/{name}.yaml"): rules}
    checked = validate(document, Extraction, f"pipeline {name!r}")
    check_sources(checked, read, f"rules {name!r}")
    for place, text in places.items():
        known = settings.at_root(place)
        if known.exists() and known.read_text(encoding="utf-8") != text:
            raise ConfigError(f"{known} is there already: name another pipeline, or print the rules (without --pipeline)")
    files = LocalStorage(settings.at_root(Path()))
    for place, text in places.items():
        files.write_atomic(str(place), text.encode())
    kept, standing = push_rules(settings, settings.at_root(Path(f"conf/rules/{name}.yaml")), name)
    return [
        *(f"{place}: written" for place in places),
        f"rules {name} version {kept.version}: {standing.states[kept.version]}; `maas rules activate {name}` puts it to work",
    ]


def _source(file: Path, rules: RuleSet) -> dict[str, object]:
    """How the file is read: by the kind of its rules."""
    form = _FORMATS.get(type(rules.tables[0].rules[0]))
    if form is not None:
        return {"kind": "files", "folder": str(file.parent), "pattern": file.name, "format": form}
    return {"kind": "log", "folder": str(file.parent), "pattern": f"{file.name}*"}  # rotated files too


def _yaml(document: dict[str, object]) -> str:
    text: str = yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
    return text
