"""The cluster profile against the local one on this machine: services, growth with the data, executors, the whole pipeline.

Services are started from nothing at free ports, below a temporary folder. Both profiles ingest and extract the same logs of 1, 4
and 16 times ``--lines`` lines, the cluster with one executor and with two; then each runs the pipeline of flights. Answers are
compared first: rows, quarantine and a digest of all values; the model's metrics. CPU is that of all processes, services included.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.cluster.meter import Cost, Meter
from core.contracts import ModelUid
from core.registry.versions import Registry
from core.settings import load_settings
from jobs.cluster import beside, local
from jobs.cluster.services_file import OFFSET
from jobs.processes import Record
from jobs.supervisor import RECORD

ROOT = Path(__file__).parents[1]
FLAT = 0.20
_UP = re.compile(r"([\w-]+) is up after ([\d.]+) s")

Environment = Mapping[str, str]


@contextmanager
def cluster(home: Path) -> Iterator[tuple[Environment, int]]:
    """Services of this benchmark's own: their variables and their supervisor. Prints how long each took, and its memory."""
    base = load_settings(ROOT, "cluster", {})
    environment = beside.variables(base, beside.free_offset(base), str(home))
    os.environ[OFFSET] = environment[OFFSET]
    settings, begun = load_settings(ROOT, "cluster", environment), time.perf_counter()
    local.up(settings)
    took = time.perf_counter() - begun
    settings = load_settings(ROOT, "cluster", environment)
    try:
        logs = "".join(file.read_text(encoding="utf-8") for file in sorted((home / "logs").glob("supervisor-*.jsonl")))
        seconds = dict(_UP.findall(logs))
        held = local.memory(settings)
        print(f"{'service':<18}{'up after s':>11}{'MB':>7}")
        for name, memory in held.items():
            print(f"{name:<18}{seconds.get(name, ''):>11}{memory:>7.0f}")
        print(f"{'all':<18}{took:>11.1f}{sum(held.values()):>7.0f}\n", flush=True)
        record = Record.read(local.group(settings).run / RECORD)
        if record is None:
            raise SystemExit("the services were ended while the benchmark ran")
        yield environment, record.supervisor
    finally:
        local.down(settings)


def run(environment: Environment, *command: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        env={**os.environ, **environment, "MAAS_ROOT": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}\n{done.stdout}")
    return done.stdout


def grow(sides: Mapping[str, tuple[Environment, int]], lines: int) -> dict[str, list[dict[str, Any]]]:
    """What each side measured, by size; ends when their answers differ."""
    found = {}
    for name, (environment, supervisor) in sides.items():
        said = run(environment, "benchmarks.cluster.growth", str(lines), str(supervisor))
        found[name] = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    answers = {name: [[row[key] for key in ("rows", "quarantined", "digest")] for row in rows] for name, rows in found.items()}
    if len({json.dumps(answer) for answer in answers.values()}) != 1:
        raise SystemExit(f"the answers differ: {answers}")
    return found


def show_growth(found: Mapping[str, list[dict[str, Any]]]) -> float:
    """Print the table; the largest change of rows per CPU-second over the sizes, of any side and step."""
    worst = 0.0
    print(f"{'side':<22}{'step':<9}{'lines':>10}{'wall s':>9}{'CPU s':>9}{'lines/CPU-s':>13}{'to 1x':>7}")
    for side, rows in found.items():
        for step in ("ingest", "extract"):
            rates = [row["lines"] / row[step][1] for row in rows]
            for row, rate in zip(rows, rates, strict=True):
                wall, cpu = row[step]
                print(f"{side:<22}{step:<9}{row['lines']:>10,}{wall:>9.2f}{cpu:>9.2f}{rate:>13,.0f}{rate / rates[0]:>7.2f}")
            worst = max(worst, *(1 - rate / rates[0] for rate in rates))
    print(f"rows per CPU-second fall by at most {worst:.0%} from 1x to 16x (target {FLAT:.0%})\n", flush=True)
    return worst


def pipeline(environment: Environment, supervisor: int, every: int) -> tuple[Cost, dict[str, float], Any]:
    """What a whole run costs, the wall seconds of each step, and the model's metrics."""
    run(environment, "jobs.airline", "--every", str(every))
    meter = Meter([os.getpid(), *([supervisor] if supervisor else [])])
    with meter.measure() as cost:
        run(environment, "jobs.cli", "run", "flights")
    entries = [json.loads(line) for line in run(environment, "jobs.cli", "runs", "flights", "--json").splitlines()]
    settings = load_settings(ROOT, environment={**os.environ, **environment})
    evaluation = Registry.open(settings).resolve(ModelUid("flights")).evaluation
    return cost, {entry["step"]: entry["seconds"] for entry in reversed(entries)}, evaluation


def show_pipelines(found: Mapping[str, tuple[Cost, dict[str, float], Any]]) -> float:
    (here, here_steps, metrics), (there, there_steps, same) = found["local"], found["cluster"]
    if metrics != same:
        raise SystemExit(f"the metrics differ: {metrics} and {same}")
    print(f"{'pipeline':<14}{'local s':>9}{'cluster s':>11}{'ratio':>7}")
    for step, seconds in here_steps.items():
        print(f"{step:<14}{seconds:>9.1f}{there_steps[step]:>11.1f}{there_steps[step] / seconds:>7.2f}")
    print(f"{'all, wall':<14}{here.wall:>9.1f}{there.wall:>11.1f}{there.wall / here.wall:>7.2f}")
    print(f"{'all, CPU':<14}{here.cpu:>9.1f}{there.cpu:>11.1f}{there.cpu / here.cpu:>7.2f}\n", flush=True)
    return there.cpu / here.cpu


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=250_000)
    parser.add_argument("--every", type=int, default=4, help="every Nth flight only")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="maas-bench-"))
    folder.chmod(0o711)  # MariaDB runs as another user
    here = {"MAAS_PROFILE": "local", "MAAS__HOME": str(folder / "local")}
    try:
        with cluster(folder / "cluster") as (there, supervisor):
            one = {**there, "MAAS__SPARK__EXECUTORS": "1", "MAAS__SPARK__SHUFFLE_PARTITIONS": "2"}
            grown = grow(
                {
                    "local[1]": ({**here, "MAAS__SPARK__MASTER": "local[1]"}, 0),
                    "local[2]": (here, 0),
                    "cluster, 1 executor": (one, supervisor),
                    "cluster, 2 executors": (there, supervisor),
                },
                options.lines,
            )
            worst = show_growth(grown)
            ratio = show_pipelines(
                {"local": pipeline(here, 0, options.every), "cluster": pipeline(there, supervisor, options.every)}
            )
        last = {side: rows[-1] for side, rows in grown.items()}
        work = {side: row["ingest"][0] + row["extract"][0] for side, row in last.items()}
        print(
            f"bench-cluster growth_loss={worst:.2f} cpu_ratio={ratio:.2f} "
            f"executors_speedup={work['cluster, 1 executor'] / work['cluster, 2 executors']:.2f} "
            f"threads_speedup={work['local[1]'] / work['local[2]']:.2f} "
            f"cluster_wall={work['cluster, 2 executors'] / work['local[2]']:.2f}"
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
