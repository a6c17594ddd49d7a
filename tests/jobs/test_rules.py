"""Which rules a pipeline runs with: a file until a version was activated, then that version."""

import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from core.database.lifecycle import Action
from core.errors import ConfigError, RuleError
from core.journal.journal import Entry
from core.settings import Settings, load_settings
from etl.sources.config import LogConfig
from jobs import commands_rules
from jobs.context import Context
from jobs.new_pipeline import start_pipeline
from jobs.pipeline import Loaded, Shadow
from jobs.record import push
from jobs.rules import load_in_force, move, push_rules
from jobs.run import STEPS, steps_of
from jobs.schedule import load_scheduling
from jobs.scheduling.plan import make_plan
from jobs.shadow import SHADOW, collect, try_shadow

ROOT = Path(__file__).parents[2]
PIPELINE = """
name: app
description: lines of an application
sources:
  app: {kind: log, folder: logs}
rules: app
"""
RULES = """
version: 1
tables:
  - from: raw.app
    into: extracted.app
    rules:
      - {name: pair, kind: keyvalue, fields: {FIELD: {type: string}}}
"""


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    monkeypatch.setenv("MAAS_ROOT", str(tmp_path))
    settings = load_settings(tmp_path, "local", {})
    settings.at_root(Path("conf/pipelines/app.yaml")).write_text(PIPELINE)
    write(settings, "a")
    return settings


def write(settings: Settings, field: str) -> Path:
    file = settings.at_root(Path("conf/rules/app.yaml"))
    file.write_text(RULES.replace("FIELD", field))
    return file


def fields(loaded: Loaded) -> list[str]:
    return list(loaded.rules.tables[0].config.types())


def test_the_file_runs_until_a_version_is_activated_and_then_that_version(settings: Settings) -> None:
    before = load_in_force(settings, "app")
    assert (fields(before), before.active, before.is_file) == (["a"], None, True)
    for field in "abc":
        push_rules(settings, write(settings, field), "app")
    assert load_in_force(settings, "app").active is None
    move(settings, "app", Action.ACTIVATE, 2)
    move(settings, "app", Action.SHADOW, 3)

    loaded = load_in_force(settings, "app")

    assert (fields(loaded), loaded.active, loaded.is_file) == (["b"], 2, False)
    assert loaded.shadow is not None
    assert loaded.shadow.version == 3
    # the journal is told of the version that runs, and the file is not pushed
    assert [(kept.kind, kept.version) for kept in push(settings, loaded)] == [("pipeline", 1), ("rules", 2)]
    write(settings, "b")
    assert load_in_force(settings, "app").is_file


def test_what_could_not_run_is_neither_kept_nor_activated(settings: Settings) -> None:
    with pytest.raises(RuleError, match=r"app\.yaml"):
        push_rules(settings, bad(settings), "app")
    with pytest.raises(ConfigError, match="no rules 'app'"):
        move(settings, "app", Action.ACTIVATE, 1)
    with pytest.raises(ConfigError, match=r"nosuch\.yaml: no such file"):
        push_rules(settings, Path("nosuch.yaml"), "app")
    with pytest.raises(ConfigError, match="'My rules' is no name of a rule set"):
        push_rules(settings, write(settings, "a"), "My rules")
    # a version that reads what the pipeline has not
    other = write(settings, "a")
    other.write_text(other.read_text().replace("raw.app", "raw.other"))
    push_rules(settings, other, "app")
    move(settings, "app", Action.ACTIVATE, 1)
    write(settings, "a")
    with pytest.raises(ConfigError, match=r"rules 'app' version 1 read raw\.other, which no source of pipeline 'app' lands in"):
        load_in_force(settings, "app")


def bad(settings: Settings) -> Path:
    file = settings.at_root(Path("conf/rules/app.yaml"))
    file.write_text(file.read_text().replace("kind: keyvalue", "kind: regex, pattern: '(?<a>(x+)+)y'"))
    return file


def test_a_pipeline_without_a_model_ends_with_typed_tables(settings: Settings) -> None:
    loaded = load_in_force(settings, "app")
    assert steps_of(loaded) == ["ingest", "extract"]
    assert steps_of(load_in_force(settings, "flights")) == list(STEPS)
    with pytest.raises(ConfigError, match=r"app\.yaml: has no features, task, publish and score: its last step is extract"):
        _ = loaded.pipeline


def test_a_pipeline_is_made_for_a_log_and_never_over_another(settings: Settings, tmp_path: Path) -> None:
    log, rules = tmp_path / "web.log", RULES.replace("FIELD", "a").replace(".app", ".web")
    files = [settings.at_root(Path(f"conf/{kind}/web.yaml")) for kind in ("pipelines", "rules")]
    with pytest.raises(ConfigError, match=r"rules 'web' read raw\.app, which no source of pipeline 'web' lands in"):
        start_pipeline(settings, "web", log, RULES.replace("FIELD", "a"))
    with pytest.raises(ConfigError, match="pipeline 'Web': key 'name'"):
        start_pipeline(settings, "Web", log, rules)
    assert not any(file.exists() for file in files)

    lines = start_pipeline(settings, "web", log, rules)

    assert lines[-1] == "rules web version 1: draft; `maas rules activate web` puts it to work"
    assert start_pipeline(settings, "web", log, rules) == lines
    source = load_in_force(settings, "web").extraction.sources["web"]
    assert source == LogConfig(kind="log", folder=tmp_path, pattern="web.log*")
    with pytest.raises(ConfigError, match=r"web\.yaml is there already: name another pipeline"):
        start_pipeline(settings, "web", log, rules.replace("{a:", "{b:"))
    assert files[1].read_text() == rules


def test_a_shadow_that_fails_says_so_stops_nothing_and_is_reported(settings: Settings) -> None:
    loaded = load_in_force(settings, "app")
    context = Context(settings, loaded, lambda _: None)

    def tried(text: str) -> Mapping[str, Any]:
        line, facts = try_shadow(context, Shadow(2, text), loaded.rules.tables[0], "app/extract")
        assert line == f"shadow app version 2, extracted.app: failed: {facts['error']}"
        return facts

    other = tried(RULES.replace("FIELD", "a").replace("extracted.app", "extracted.other"))
    assert other["error"] == "the rules have no table 'extracted.app': they lead into extracted.other"
    assert "rules 'app' version 2" in tried("version: 2")["error"]

    # and sums are of the runs of one version
    good = {"rules": "app", "version": 2, "records": 10, "quarantined": 1, "quarantined_now": 4, "changed": 3}
    entries = [
        Entry("1", "r", "app", "extract", None, "local", "h", 1, 1.0, datetime.now(UTC), facts={SHADOW: {"extracted.app": facts}})
        for facts in (good | {"by_rule": {"pair": 9}}, good | {"by_rule": {"pair": 8, "more": 1}}, other, good | {"version": 1})
    ]
    (trial,) = collect(entries, "app", 2).values()
    assert (trial.batches, trial.records, trial.quarantined, trial.quarantined_now, trial.changed) == (3, 20, 2, 8, 6)
    assert trial.rules == {"pair": 17, "more": 1}
    assert trial.errors == [other["error"]]


def test_a_pipeline_that_ends_with_typed_tables_is_scheduled_as_far_as_it_goes(settings: Settings) -> None:
    file = settings.at_root(Path("conf/pipelines/app.yaml"))
    file.write_text(f"{PIPELINE}schedule: {{cron: '0 3 * * *', start: 2026-01-01}}\n")

    (dag,) = (dag for dag in make_plan(settings, load_scheduling(settings))["dags"] if dag["id"] == "app")

    assert [task["id"] for task in dag["tasks"]] == ["ingest", "extract"]
    file.write_text(f"{PIPELINE}schedule: {{cron: '0 3 * * *', start: 2026-01-01, retrain: true}}\n")
    with pytest.raises(ConfigError, match="its last step is extract"):
        make_plan(settings, load_scheduling(settings))


def test_versions_are_moved_and_shown_by_commands(settings: Settings) -> None:
    def maas(*arguments: str) -> str:
        done = CliRunner().invoke(commands_rules.app, arguments)
        assert done.exit_code == 0, done.output
        return " ".join(done.output.split())

    assert maas("push", str(write(settings, "a"))).endswith(": draft")
    maas("push", str(write(settings, "b")))
    assert maas("activate", "app", "1") == "rules app version 1 is active"
    assert maas("activate", "app") == "rules app version 1 is retired rules app version 2 is active"
    assert maas("activate", "app") == "rules app: nothing to do, it is so already"
    assert maas("rollback", "app") == "rules app version 2 is retired rules app version 1 is active"
    assert "+ - {name: pair, kind: keyvalue, fields: {b: {type: string}}}" in maas("diff", "app", "1", "2")
    shown = maas("history", "app")
    assert all(word in shown for word in ("active", "retired", "rollback", "activate"))
