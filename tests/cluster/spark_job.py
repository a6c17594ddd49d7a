"""A small job for spark-submit: ``spark_job.py ROOT TABLE``. Our code fits a column in Python workers; Delta goes to HDFS.

It prints, as its last line, what it found as JSON.
"""

import json
import sys
from collections.abc import Iterator

sys.path.insert(0, sys.argv[1])

from core.features.plan import TransformPlan
from core.settings import load_settings
from etl.transforms import fit
from jobs.session import open_session


def look(_rows: object) -> Iterator[dict[str, object]]:
    import importlib.util
    import os
    from pathlib import Path

    import numpy as np

    import core.features.arrow as ours

    yield {
        "code": str(Path(ours.__file__).absolute()),
        "numpy": str(Path(np.__file__).absolute()),
        "folder": str(Path.cwd()),
        "python_path": os.environ.get("PYTHONPATH", ""),
        "torch": importlib.util.find_spec("torch") is not None,
    }


def main(table: str) -> None:
    spark = open_session(load_settings(), "test")
    workers = spark.sparkContext.range(2, numSlices=2).mapPartitions(look).collect()
    spark.range(1000).selectExpr("id", "CAST(id AS DOUBLE) AS x").write.format("delta").save(table)
    back = spark.read.format("delta").load(table)
    fitted = fit(back, (TransformPlan(kind="zscore", columns=["x"]),))
    found = {
        "master": spark.sparkContext.master,
        "application": spark.sparkContext.applicationId,
        "workers": workers,
        "rows": back.count(),
        "fitted": fitted.to_json(),
    }
    spark.stop()
    sys.stdout.write(json.dumps(found) + "\n")


main(sys.argv[2])
