"""Run by Airflow's own Python: what the operator makes of a command, as JSON."""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

folder, out = sys.argv[1:]
sys.path.insert(0, folder)
from maas_tasks import MaasOperator  # noqa: E402 — it lies in the folder of DAG files

DAY = {"data_interval_start": datetime(2013, 1, 1, tzinfo=UTC), "data_interval_end": datetime(2013, 1, 2, tzinfo=UTC)}
SEEN = Path(out).with_name("seen")


def outcome(script: str, context: dict[str, Any], *, interval: bool = False) -> list[str]:
    operator = MaasOperator(
        task_id="one",
        command=["sh", "-c", script, "name"],
        environment={"SEEN": str(SEEN)},
        interval=interval,
        final={"78": "in vain"},
        skip={"79": "superseded"},
    )
    try:
        operator.execute(context)
    except Exception as error:
        return [type(error).__name__, str(error)]
    return ["done", ""]


found = {
    "good": outcome("exit 0", {}),
    "bad": outcome("echo maas: the disk is full; exit 1", {}),
    "killed": outcome("kill -9 $$", {}),
    "final": outcome("echo maas: no such key; exit 78", {}),
    "superseded": outcome("exit 79", {}),
    "no interval": outcome("touch $SEEN.never", {}, interval=True),
    "interval": outcome('printf "%s\\n" "$@" > $SEEN', DAY, interval=True),
}
Path(out).write_text(json.dumps({**found, "seen": SEEN.read_text(), "ran without interval": Path(f"{SEEN}.never").exists()}))
