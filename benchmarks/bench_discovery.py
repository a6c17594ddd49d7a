"""Log templates: ours, Drain3 and Brain on labelled logs, one setting for all systems. ``make bench-discovery LOGHUB=folder``.

The folder holds ``NAME_2k.log_structured_corrected.csv`` (columns Content, EventTemplate) for each system, as LogHub has
them; nothing else about a system is known. Speed is lines per second of CPU, templates found and each line given its own,
over the contents repeated. Without the peers' environment (``make bench-setup``) ours alone is measured. A generated log of a
million lines is mined before that in one pass.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import resource
import statistics
import subprocess
import time
from itertools import islice
from pathlib import Path

from benchmarks.discovery import generated
from benchmarks.discovery.accuracy import Accuracy, judge
from benchmarks.peers.__main__ import ENVIRONMENTS
from etl.discovery.templates.miner import Miner, mine

LABELS = "_2k.log_structured_corrected.csv"
PEERS = Path(__file__).parent / "discovery" / "peers.py"
STATEMENTS, BLOCK = 200, 50_000


def read(folder: Path) -> dict[str, tuple[list[str], list[str]]]:
    """Contents and labels of each system in the folder."""
    systems = {}
    for path in sorted(folder.glob(f"*{LABELS}")):
        name = path.name.removesuffix(LABELS)
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
        if not rows or not {"Content", "EventTemplate"} <= rows[0].keys():
            raise SystemExit(f"{path}: needs rows with the columns Content and EventTemplate")
        systems[name] = [row["Content"] for row in rows], [row["EventTemplate"] for row in rows]
    if not systems:
        raise SystemExit(f"{folder}: no file NAME{LABELS}; name the folder with LOGHUB=")
    return systems


def run_peers(contents: dict[str, list[str]], least: int) -> dict[str, dict]:
    """What the peers' side answers; nothing where their environment was not made."""
    python = ENVIRONMENTS / "discovery" / "bin" / "python"
    if not python.exists():
        print(f"{python} is not there (`make bench-setup` makes it): ours alone is measured")
        return {}
    command = [python, "-W", "ignore", PEERS, str(least)]
    done = subprocess.run(command, input=json.dumps(contents), capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"{PEERS.name} failed, ours alone is measured: {done.stderr.strip()[-500:]}")
        return {}
    return {peer: without_failures(peer, answer) for peer, answer in json.loads(done.stdout).items()}


def without_failures(peer: str, answer: dict[str, dict]) -> dict[str, dict]:
    for system, one in answer.items():
        if "failed" in one:
            print(f"{peer} failed on {system}, which its mean leaves out: {one['failed']}")
    return {system: one for system, one in answer.items() if "failed" not in one}


def run_ours(contents: dict[str, list[str]], least: int) -> dict[str, dict]:
    answer = {}
    for system, lines in contents.items():
        templates, numbers = mine(lines)
        repeated = lines * -(-least // (len(lines) * len(contents)))
        started = time.process_time()
        mine(repeated)
        seconds = time.process_time() - started
        texts = [templates[number].text for number in numbers if number is not None]
        answer[system] = {"labels": numbers, "templates": texts, "seconds": seconds, "lines": len(repeated)}
    return answer


def speed(answer: dict[str, dict]) -> float:
    return sum(one["lines"] for one in answer.values()) / sum(one["seconds"] for one in answer.values())


def print_table(sides: dict[str, dict[str, Accuracy]], speeds: dict[str, float]) -> None:
    print(f"{'':<14}" + "".join(f"{side:^24}" for side in sides))
    print(f"{'system':<14}" + f"{'GA':>8}{'FGA':>8}{'FTA':>8}" * len(sides))
    for system in next(iter(sides.values())):
        scores = [side.get(system) for side in sides.values()]
        print(f"{system:<14}" + "".join(f"{s.ga:>8.3f}{s.fga:>8.3f}{s.fta:>8.3f}" if s else f"{'failed':>24}" for s in scores))
    print(f"{'mean':<14}" + "".join(f"{ga:>8.3f}{fga:>8.3f}{fta:>8.3f}" for ga, fga, fta in map(means, sides.values())))
    print(f"{'lines/CPU-s':<14}" + "".join(f"{speeds[side]:>24,.0f}" for side in sides))


def means(scores: dict[str, Accuracy]) -> tuple[float, float, float]:
    every = scores.values()
    return statistics.mean(s.ga for s in every), statistics.mean(s.fga for s in every), statistics.mean(s.fta for s in every)


def mine_generated(count: int) -> None:
    """One bounded-memory pass; what was found is judged on the last block of lines."""
    rng = random.Random(11)
    made = generated.lines(count, generated.statements(STATEMENTS, rng), rng)
    miner, seconds, last = Miner(), 0.0, []
    while block := list(islice(made, BLOCK)):
        last = block
        started = time.process_time()
        miner.add([line for _, line in block])
        seconds += time.process_time() - started
    started = time.process_time()
    templates = miner.templates()
    seconds += time.process_time() - started
    names = [str(number) for number, _ in last]
    score = judge(templates.match([line for _, line in last]), names, names)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"generated: {miner.lines:,} lines of {STATEMENTS} statements in one pass: {len(templates)} templates, ga={score.ga:.3f} "
        f"on the last {len(last):,}, {miner.lines / seconds:,.0f} lines/CPU-s, peak RSS {peak:,.0f} MB"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=Path("../shared/data/loghub"))
    parser.add_argument("--lines", type=int, default=200_000, help="lines to time, of all systems together")
    parser.add_argument("--generated", type=int, default=1_000_000)
    options = parser.parse_args()
    systems = read(options.folder)
    contents = {name: lines for name, (lines, _) in systems.items()}
    mine_generated(options.generated)
    answers = {"ours": run_ours(contents, options.lines)} | run_peers(contents, options.lines)
    answers = {side: answer for side, answer in answers.items() if answer}
    scores = {
        side: {name: judge(one["labels"], one["templates"], systems[name][1]) for name, one in answer.items()}
        for side, answer in answers.items()
    }
    speeds = {side: speed(answer) for side, answer in answers.items()}
    print_table(scores, speeds)
    ga, fga, _ = means(scores["ours"])
    print(f"mean_ga={ga:.4f} mean_fga={fga:.4f} lines_per_cpu_second={speeds['ours']:.0f}")


if __name__ == "__main__":
    main()
