"""How long a step's Spark takes to be of use: a new process, its session, a first commit; with the recorded classes and without.

Both sides run the same file in turns with Java's default options; each first reads back the rows that it wrote. CPU is that of
Python and its JVM together.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.cluster.meter import Cost, Meter
from core.jvm import class_archive

JARS = Path(__file__).parents[1] / "jars" / "spark"
ROWS = 1000
_CHILD = """
import json, sys
from pathlib import Path
from core.spark import build_session
jars, folder = map(Path, sys.argv[1:])
session = build_session("start", jars=jars, options={"spark.local.dir": str(folder)}, log=folder / "spark.log")
print(json.dumps("session"), flush=True)
session.range(%d).write.format("delta").save(str(folder / "table"))
print(json.dumps(session.read.format("delta").load(str(folder / "table")).count()), flush=True)
sys.stdin.readline()
"""


def start(jars: Path) -> Cost:
    """The cost until the rows are read back; raises SystemExit when they are not those that were written."""
    with tempfile.TemporaryDirectory(prefix="maas-start-") as folder:
        command = [sys.executable, "-c", _CHILD % ROWS, str(jars), folder]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            with Meter([process.pid]).measure() as cost:
                answers = [json.loads(process.stdout.readline()) for _ in range(2)]
            process.communicate(b"\n")
    if answers != ["session", ROWS]:
        raise SystemExit(f"{ROWS} rows were written, and {answers} was read")
    return cost


def main() -> None:
    """Print both sides, and the line of figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    if not class_archive(JARS).is_file():
        raise SystemExit(f"there is no {class_archive(JARS)}: run `make setup`")
    with tempfile.TemporaryDirectory(prefix="maas-jars-") as bare:
        for jar in JARS.glob("*.jar"):
            (Path(bare) / jar.name).symlink_to(jar)
        sides = {"recorded": JARS, "bare": Path(bare)}
        for jars in sides.values():  # once for the page cache
            start(jars)
        found = [{side: start(jars) for side, jars in sides.items()} for _ in range(options.rounds)]
    middle = {
        side: Cost(statistics.median(r[side].wall for r in found), statistics.median(r[side].cpu for r in found))
        for side in sides
    }
    print(f"{'side':<12}{'wall s':>9}{'cpu s':>9}   (medians of {options.rounds})")
    for side, cost in middle.items():
        print(f"{side:<12}{cost.wall:>9.2f}{cost.cpu:>9.2f}")
    ours, bare_cost = middle["recorded"], middle["bare"]
    print(
        f"bench-start ratio={bare_cost.wall / ours.wall:.2f} ratio_cpu={bare_cost.cpu / ours.cpu:.2f} "
        f"ours_s={ours.wall:.2f} bare_s={bare_cost.wall:.2f}"
    )


if __name__ == "__main__":
    main()
