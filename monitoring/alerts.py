"""Alerts: one line of JSON each in the day's file, as the platform's logs have them, beside those that Airflow writes."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

_LONGEST = 2000


def write_alert(folder: Path, logger: str, message: str, level: str = "WARNING", **facts: Any) -> Path:
    """Add a line to ``alerts-DAY.jsonl`` in one write, so that writers do not mix; gives the file. ``facts`` are JSON-able."""
    now = datetime.now(UTC)
    line = {"ts": now.isoformat(), "level": level, "logger": logger, "message": message[:_LONGEST], **facts}
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"alerts-{now:%Y-%m-%d}.jsonl"
    with file.open("ab", buffering=0) as log:
        log.write(json.dumps(line).encode() + b"\n")
    return file
