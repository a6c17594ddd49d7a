"""``python tests/drills/table.py RESULTS PAGE``: put the results of drills into the tables of a page."""

import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

STEPS = ("ingest", "extract", "standardize", "train", "publish", "score")
NAMES = {
    "datanode1": "DataNode",
    "namenode": "NameNode",
    "nodemanager": "NodeManager",
    "resourcemanager": "ResourceManager",
    "executor": "executor",
    "driver": "driver",
    "mariadb": "MariaDB",
    "kafka": "Kafka",
    "mongodb": "MongoDB",
    "s3": "S3",
}
NONE = "–"


def main(results: Path, page: Path) -> None:
    """Write one table of what was killed, and one of what stayed down."""
    found = [json.loads(line) for line in results.read_text(encoding="utf-8").splitlines()]
    text = page.read_text(encoding="utf-8")
    for key in ("fault", "down"):
        rows = [result for result in found if key in result]
        text = re.sub(
            rf"(<!-- {key} -->\n).*?(<!-- end -->)",
            lambda match, key=key, rows=rows: match[1] + table(rows, key) + match[2],
            text,
            flags=re.DOTALL,
        )
    page.write_text(text, encoding="utf-8")


def table(results: Iterable[dict[str, Any]], key: str) -> str:
    """A row for each service, a column for each step."""
    cells = {(result[key], result["step"]): result for result in results}
    names = [name for name in NAMES if any(of == name for of, _ in cells)]
    lines = [f"| | {' | '.join(STEPS)} |", f"|---|{'---|' * len(STEPS)}"]
    lines += [f"| {NAMES[name]} | {' | '.join(cell(cells.get((name, step))) for step in STEPS)} |" for name in names]
    return "\n".join(lines) + "\n"


def cell(result: dict[str, Any] | None) -> str:
    """How it ended, and after how many seconds."""
    return NONE if result is None else f"{result['outcome']}, {result['seconds']:.0f} s"


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
