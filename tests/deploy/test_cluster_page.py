"""Every command of docs/cluster.md exists, with the options it is given."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from click import Group
from typer.main import get_command

from jobs.cli import app

ROOT = Path(__file__).parents[2]


def commands(page: str) -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)
    return [line.strip() for block in blocks for line in block.splitlines() if line.strip()]


@pytest.mark.parametrize("line", commands("docs/cluster.md"))
def test_a_command_exists(line):
    program, *arguments = shlex.split(line)
    if program == "maas":
        command, name = get_command(app), "maas"
        while isinstance(command, Group):
            name = arguments.pop(0)
            assert name in command.commands, line
            command = command.commands[name]
        command.make_context(name, arguments)  # parses; runs nothing
    elif program == "make":
        subprocess.run(["make", "--dry-run", *arguments], cwd=ROOT, check=True, capture_output=True, timeout=60)
    elif program == "python":
        done = subprocess.run(
            [sys.executable, *arguments[:2], "--help"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
        )
        assert [option for option in arguments if option.startswith("--") and option not in done.stdout] == []
    else:
        assert line in ("git clone URL maas && cd maas", "source .venv/bin/activate")


def test_the_files_that_the_page_names_are_there():
    text = (ROOT / "docs/cluster.md").read_text(encoding="utf-8")
    named = re.findall(r"`((?:conf|deploy|tests|docs)/[\w./-]+)`", text)
    assert len(named) > 5
    assert [path for path in named if path != "conf/NAME" and not (ROOT / path).exists()] == []
