"""What the guide and the README show works as it stands there."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent


def commands(page: str) -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)
    lines = [line.split("  #")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line]


def test_every_command_of_the_guide_succeeds_in_order(platform):
    port = platform.settings.serving.port
    for line in commands("docs/guide.md"):
        if line == "maas doctor":  # by now our own services may hold the ports; the command line's tests run it
            continue
        done = platform.run("bash", "-c", line.replace("127.0.0.1:8080", f"127.0.0.1:{port}"))
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        if line.startswith("curl") and "invocations" in line:
            (probability,) = json.loads(done.stdout)["predictions"]
            assert 0 < probability < 1
        elif line.startswith("curl"):
            assert done.stdout, line
            assert "error" not in done.stdout.lower().replace("errors", ""), line


@pytest.mark.parametrize("line", commands("README.md"))
def test_every_command_of_the_readme_exists(line):
    program, *arguments = line.split()
    if program == "make":
        check = ["make", "--dry-run", *arguments]
    else:
        assert program == ".venv/bin/maas"
        check = [str(BIN / "maas"), arguments[0], "--help"]
    done = subprocess.run(check, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
