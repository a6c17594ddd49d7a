"""One pipeline file for all profiles, and what a profile changes in it."""

import shutil
from pathlib import Path

import pytest

from core.errors import ConfigError
from core.settings import Settings, load_settings
from etl.sources.config import DatabaseConfig, KafkaConfig
from jobs.pipeline import load_pipeline

ROOT = Path(__file__).parents[2]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """The cluster profile, its configuration copied."""
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    return load_settings(tmp_path, "cluster", {"MAAS__HOME": str(tmp_path)})


def overlay(settings: Settings, text: str) -> Path:
    file = settings.at_root(Path("conf/cluster/pipelines/flights.yaml"))
    file.write_text(text)
    return file


def test_the_cluster_changes_where_flights_reads_from_and_nothing_else(settings: Settings):
    cluster, local = (
        load_pipeline(settings, "flights").pipeline,
        load_pipeline(load_settings(ROOT, "local", {}), "flights").pipeline,
    )
    assert isinstance(cluster.sources["operations"], KafkaConfig)
    assert cluster.sources["flights"] == DatabaseConfig(
        kind="database", url="mysql:///flights", table="flights", watermark="flight_id", interval="time_hour"
    )
    changed = {"operations", "flights"}
    assert {name: one for name, one in cluster.sources.items() if name not in changed} == {
        name: one for name, one in local.sources.items() if name not in changed
    }
    assert cluster.model_copy(update={"sources": {}}) == local.model_copy(update={"sources": {}})


def test_a_source_of_another_kind_is_replaced_whole_and_lists_are_not_mixed(settings: Settings):
    overlay(settings, "sources: {weather: {kind: kafka, topic: weather}}\nfeatures: {key: [carrier]}")
    pipeline = load_pipeline(settings, "flights").pipeline
    assert pipeline.sources["weather"] == KafkaConfig(kind="kafka", topic="weather")
    assert pipeline.features.key == ["carrier"]


def test_an_error_names_the_file_that_holds_it(settings: Settings):
    file = overlay(settings, "sources: {operations: {kind: kafka, topik: operations}}")
    with pytest.raises(ConfigError, match=rf"^{file}: .*did you mean 'topic'"):
        load_pipeline(settings, "flights")
    overlay(settings, "task: {epochs: 1}")
    base = settings.at_root(Path("conf/pipelines/flights.yaml"))
    base.write_text(base.read_text().replace("publish:", "publsh:"))
    with pytest.raises(ConfigError, match=rf"^{base}: .*did you mean 'publish'|^{base}: key 'publish' is missing"):
        load_pipeline(settings, "flights")
