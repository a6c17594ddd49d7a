"""What every test may use: one Spark session and one cluster for the whole run."""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from core.settings import Settings, load_settings
from core.spark import build_session

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    session = build_session(
        "tests",
        jars=ROOT / "jars" / "spark",
        driver_memory="2g",
        options={"spark.local.dir": str(tmp_path_factory.mktemp("spark"))},
    )
    yield session
    session.stop()


@pytest.fixture(scope="session")
def cluster() -> Settings:
    """The settings of running services, with databases, bucket and folders of this run's own."""
    home = os.environ["MAAS_TEST_HOME"]
    token = uuid.uuid4().hex[:8]
    own = {
        "MAAS__HOME": home,
        "MAAS__LAKE__ROOT": f"hdfs://127.0.0.1:19000/{token}/lake",
        "MAAS__DATABASE__URL": f"mysql+pymysql://maas@127.0.0.1:13306/maas_{token}",
        "MAAS__JOURNAL__URL": f"mongodb://127.0.0.1:27117/maas_{token}",
        "MAAS__MLFLOW__DATABASE": f"mysql+pymysql://maas@127.0.0.1:13306/mlflow_{token}",
        "MAAS__MLFLOW__ARTIFACTS": f"s3://{token}/mlflow",
    }
    return load_settings(ROOT, "cluster", own)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that need the cluster come last, and are marked."""
    for item in items:
        if "cluster" in getattr(item, "fixturenames", ()):
            item.add_marker("cluster")
    items.sort(key=lambda item: item.get_closest_marker("cluster") is not None)
