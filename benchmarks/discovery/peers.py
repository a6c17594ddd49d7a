"""Run by the peers' own interpreter: parse each system with Drain3 and Brain, defaults for all, and print JSON.

Standard input is ``{system: [content]}``, the argument the least number of lines to time; the answer is
``{peer: {system: {"labels": [...], "templates": [...], "seconds": s, "lines": n}}}``, seconds of CPU over the repeated lines,
or ``{"failed": message}`` for a system.
"""

from __future__ import annotations

import contextlib
import csv
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial

Parsed = tuple[list, list[str], float]  # labels, templates, seconds of CPU

# The masks of Drain3's own example, in its words.
MASKS = [
    (r"((?<=[^A-Za-z0-9])|^)(([0-9a-f]{2,}:){3,}([0-9a-f]{2,}))((?=[^A-Za-z0-9])|$)", "ID"),
    (r"((?<=[^A-Za-z0-9])|^)(\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3})((?=[^A-Za-z0-9])|$)", "IP"),
    (r"((?<=[^A-Za-z0-9])|^)(0x[a-f0-9A-F]+)((?=[^A-Za-z0-9])|$)", "HEX"),
    (r"((?<=[^A-Za-z0-9])|^)([\-\+]?\d+)((?=[^A-Za-z0-9])|$)", "NUM"),
]


def drain3(lines: list[str], masks: list[tuple[str, str]]) -> Parsed:
    """Labels and templates by Drain3 with its defaults."""
    from drain3 import TemplateMiner  # noqa: PLC0415  only in the peers' environment
    from drain3.masking import MaskingInstruction  # noqa: PLC0415
    from drain3.template_miner_config import TemplateMinerConfig  # noqa: PLC0415

    config = TemplateMinerConfig()
    config.profiling_enabled = False
    config.masking_instructions = [MaskingInstruction(pattern, name) for pattern, name in masks]
    miner = TemplateMiner(config=config)
    started = time.process_time()
    labels = [miner.add_log_message(line)["cluster_id"] for line in lines]
    seconds = time.process_time() - started
    names = {cluster.cluster_id: cluster.get_template() for cluster in miner.drain.clusters}
    return labels, [names[label] for label in labels], seconds


def brain(lines: list[str]) -> Parsed:
    """Labels and templates by logparser3's Brain: its defaults, and the two masks that most of its benchmark's systems share."""
    from logparser.Brain import LogParser  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(sys.stderr):
        with open(os.path.join(folder, "log"), "w", encoding="utf-8") as file:  # noqa: PTH118, PTH123
            file.writelines(f"{line}\n" for line in lines)
        rex = [r"blk_-?\d+", r"(\d+\.){3}\d+(:\d+)?"]
        parser = LogParser("any", "<Content>", indir=folder, outdir=folder, threshold=2, delimeter=[], rex=rex)
        started = time.process_time()
        parser.parse("log")
        seconds = time.process_time() - started
        with open(os.path.join(folder, "log_structured.csv"), encoding="utf-8", newline="") as file:  # noqa: PTH118, PTH123
            rows = list(csv.DictReader(file))
    if len(rows) != len(lines):
        raise ValueError(f"Brain gave {len(rows)} rows for {len(lines)} lines")
    return [row["EventId"] for row in rows], [row["EventTemplate"] for row in rows], seconds


def measure(parse: Callable[[list[str]], Parsed], lines: list[str], times: int) -> dict:
    labels, templates, _ = parse(lines)
    return {"labels": labels, "templates": templates, "seconds": parse(lines * times)[2], "lines": len(lines) * times}


def main() -> None:
    systems, least = json.load(sys.stdin), int(sys.argv[1])
    answer = {}
    parsers = {"drain3": partial(drain3, masks=[]), "drain3, masks": partial(drain3, masks=MASKS), "brain": brain}
    for name, parse in parsers.items():
        answer[name] = {}
        for system, lines in systems.items():
            try:
                answer[name][system] = measure(parse, lines, -(-least // (len(lines) * len(systems))))
            except Exception as error:  # noqa: BLE001  a peer may fail on a system; the table says so
                answer[name][system] = {"failed": f"{type(error).__name__}: {error}"}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
