"""From a log that nobody has described to a typed table, and from records in quarantine to rows, by the commands of the page."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from core.contracts import TableName
from core.lake.catalog import Lake
from core.settings import load_settings
from etl.quarantine import counts
from tests.airline import read

ROOT = Path(__file__).parents[2]
LINES, NEW = 1_900, 100
MENDED = r"""      - name: mended
        kind: regex
        pattern: '(?<at>\S+ \S+) ALARM sensor (?<sensor>\d+) reads (?<reading>[-\d.]+)'
        fields:
          at: {type: string}
          sensor: {type: int}
          reading: {type: double}
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder with the configuration of this repository, and a log."""
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    (tmp_path / "jars").symlink_to(ROOT / "jars")
    (tmp_path / "var").mkdir()
    return tmp_path


def lines() -> list[str]:
    kinds = (
        "INFO GET /items/{0} 200 in {1}.5 ms",
        "INFO user u{0} logged in from 10.0.{2}.{2}",
        "WARN queue orders holds {1} messages",
        "ERROR payment {0} failed after {2} tries: timeout",
    )
    at = "2026-03-{:02} 12:{:02}:{:02}"
    return [f"{at.format(1 + n % 28, n % 60, n % 59)} {kinds[n % 4].format(1000 + n, n % 97, n % 7)}" for n in range(LINES)]


def commands() -> list[list[str]]:
    """Of each block of the page."""
    text = (ROOT / "docs/rules.md").read_text(encoding="utf-8")
    return [block.strip().splitlines() for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL)]


def test_the_commands_of_the_page_lead_to_a_typed_table_and_out_of_quarantine(site: Path) -> None:
    environment = {"MAAS_ROOT": str(site), "MAAS__HOME": str(site / "var")}
    activated = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

    def run(line: str) -> str:
        done = subprocess.run(
            line.split(),
            cwd=site,
            env={**os.environ, **environment, "PATH": activated, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        return done.stdout

    log = site / "var" / "app.log"
    log.write_text("\n".join(lines()) + "\n", encoding="utf-8")
    found, watched, repaired = commands()
    lake = Lake.of(load_settings(site, "local", environment))
    into, quarantine = TableName.parse("extracted.app"), TableName.parse("quarantine.app")

    # given that the log goes on with records of a kind that was not there when the rules were found
    assert len(found) == 3
    discovered, activated_line, ran = found
    assert "version 1: draft" in run(discovered)
    assert run(activated_line).strip() == "rules app version 1 is active"
    # and that mended rules are there already, which are only tried
    with (site / "conf/rules/app.yaml").open("a", encoding="utf-8") as file:
        file.write(MENDED)
    run("maas rules push conf/rules/app.yaml")
    assert run("maas rules shadow app 2").strip() == "rules app version 2 is shadow"
    with log.open("a", encoding="utf-8") as file:
        file.writelines(f"2026-04-01 00:00:{n % 60:02} ALARM sensor {n} reads {n / 2}\n" for n in range(NEW))
    said = run(ran)

    said = " ".join(said.split())
    assert "rules app version 1 is active; conf/rules/app.yaml differs" in said
    assert "shadow app version 2, extracted.app: 0 instead of 100 of 2,000 quarantined, 100 change" in said
    assert "100 (5.0%)" in run("maas rules shadow-report app")
    assert (lake.info(into).rows, lake.info(quarantine).rows) == (LINES, NEW)
    rows = read(lake, "extracted.app")
    assert {"int32", "int64", "double", "timestamp[us, tz=UTC]"} & {str(field.type) for field in rows.schema}
    assert counts(lake, quarantine) == {(None, "no_rule", 1): NEW}

    said = "".join(map(run, watched))
    assert "ALARM sensor" in said
    assert "active" in said

    said = "".join(map(run, repaired))
    assert f"quarantine.app: {NEW} in = {NEW} into extracted.app + 0 still quarantined" in said
    assert (lake.info(into).rows, lake.info(quarantine).rows) == (LINES + NEW, 0)
    rows = read(lake, "extracted.app", ["sensor", "reading", "_rule"]).to_pylist()
    assert sum(row["reading"] for row in rows if row["_rule"] == "mended") == sum(n / 2 for n in range(NEW))
