"""Every command of docs/airflow.md exists, with the options it is given."""

import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml
from click import Group
from typer.main import get_command

from core.config import validate
from jobs.cli import app
from jobs.schedule import Schedule, load_scheduling
from jobs.scheduling.plan import make_plan

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/airflow.md").read_text(encoding="utf-8")
AIRFLOW = "airflow_dags/.venv/bin/airflow "


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)


LINES = [line for block in blocks("sh") for line in block.splitlines() if line.strip()]
INLINE = [found for found in re.findall(r"`((?:maas|make) [^`]+)`", PAGE) if not re.search(r"\b[A-Z]{3,}\b", found)]


def check(line: str) -> None:
    program, *arguments = shlex.split(line)
    if program == "make":
        subprocess.run(["make", "--dry-run", *arguments], cwd=ROOT, check=True, capture_output=True, timeout=60)
        return
    command, name = get_command(app), "maas"
    while isinstance(command, Group) and arguments:
        name = arguments.pop(0)
        assert name in command.commands, line
        command = command.commands[name]
    command.make_context(name, arguments)  # parses; runs nothing


@pytest.mark.parametrize("line", [line for line in (*LINES, *INLINE) if line.startswith(("maas", "make"))])
def test_a_command_of_ours_exists(line):
    check(line)


def test_airflow_takes_its_commands(project):
    lines = [line for line in LINES if line.startswith(AIRFLOW)]
    assert len(lines) >= 5
    project.good("airflow-python", str(Path(__file__).with_name("commands.py")), json.dumps(lines))


def test_all_other_lines_are_of_the_shell():
    others = [line for line in LINES if not line.startswith((AIRFLOW, "maas", "make"))]
    assert {line.partition(" ")[0] for line in others} == {"source", "export"}


def test_the_schedule_that_is_shown_is_one():
    (shown,) = blocks("yaml")
    schedule = validate(yaml.safe_load(shown)["schedule"], Schedule, "docs/airflow.md")
    assert schedule.effort("train").timeout == 21600


def test_every_key_of_a_schedule_is_explained():
    explained = {key for row in re.findall(r"^\| (`.*?) \|", PAGE, re.MULTILINE) for key in re.findall(r"`(\w+)`", row)}
    assert set(Schedule.model_fields) <= explained


def test_the_table_of_maintenance_is_the_plans(project):
    plan = make_plan(project.settings, load_scheduling(project.settings))
    for dag in plan["dags"]:
        if dag["id"].startswith("maintenance_"):
            words = " ".join(dag["tasks"][0]["command"][1:])
            assert f"| `{dag['id']}` | `maas {words}`" in PAGE
