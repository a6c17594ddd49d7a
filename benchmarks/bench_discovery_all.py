"""Rules for a log of a million lines in one command on two cores: seconds, CPU seconds, and memory at the peak.

``python -m benchmarks.bench_discovery_all``: a generated log is written to a file, then ``maas rules discover FILE --all`` runs;
memory is the greatest sum of the resident sets of its processes (JVM and Python workers), looked at ten times a second.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

from benchmarks.discovery import generated

STATEMENTS = 200


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, nargs="+", default=[100_000, 1_000_000])
    for count in parser.parse_args().lines:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "generated.log"
            rng = random.Random(11)
            with file.open("w", encoding="utf-8") as out:
                out.writelines(f"{line}\n" for _, line in generated.lines(count, generated.statements(STATEMENTS, rng), rng))
            measure(count, file)


def measure(count: int, file: Path) -> None:
    started, peaks = time.perf_counter(), [0.0]
    command = [Path(sys.executable).with_name("maas"), "rules", "discover", file, "--all"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        watch = threading.Thread(target=watch_memory, args=(psutil.Process(process.pid), peaks))
        watch.start()
        said, _ = process.communicate()
        watch.join()
    seconds, cpu = time.perf_counter() - started, sum(peaks[1:2])
    if process.returncode:
        raise SystemExit(f"maas rules discover ended with {process.returncode}")
    rules = said.count("- name:")
    print(
        f"{count:,} lines, {file.stat().st_size / 1e6:,.0f} MB: {rules} rules in {seconds:.1f} s, {cpu:.1f} CPU-s, "
        f"peak RSS {peaks[0]:,.0f} MB; {said.splitlines()[1].removeprefix('# ')}"
    )


def watch_memory(process: psutil.Process, peaks: list[float]) -> None:
    """Put the greatest memory in MB, and the CPU seconds of all processes last seen, into ``peaks``."""
    seconds: dict[int, float] = {}
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        total = 0
        for one in [process, *process.children(recursive=True)]:
            try:
                total += one.memory_info().rss
                times = one.cpu_times()
                seconds[one.pid] = times.user + times.system
            except psutil.NoSuchProcess:
                continue  # it ended meanwhile
        peaks[:] = [max(peaks[0], total / 1e6), sum(seconds.values())]
        time.sleep(0.1)


if __name__ == "__main__":
    main()
