import shutil
from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from core.config import validate
from core.errors import ConfigError
from core.settings import load_settings
from jobs.schedule import PRESETS, Schedule, load_scheduling

ROOT = Path(__file__).parents[2]
LEAST = {"cron": "@daily", "start": "2013-01-01"}


def read(**more: object) -> Schedule:
    return validate({**LEAST, **more}, Schedule, "here.yaml")


def test_a_schedule_needs_no_more_than_a_cron_and_a_start():
    schedule = read()
    assert (schedule.retries, schedule.retry_delay, schedule.timeout, schedule.pool) == (2, 300, 7200, "spark")
    assert schedule.interval and not schedule.catchup and not schedule.retrain and schedule.deadline is None


def test_durations_are_read_as_seconds():
    schedule = read(retry_delay="90s", timeout="3h", deadline="1d")
    assert (schedule.retry_delay, schedule.timeout, schedule.deadline) == (90, 10800, 86400)


def test_a_step_has_its_own_effort_where_it_says_so():
    schedule = read(retries=5, timeout="1h", steps={"train": {"timeout": "6h", "pool": "gpu", "retries": 0}})
    train, score = schedule.effort("train"), schedule.effort("score")
    assert (train.retries, train.timeout, train.pool, train.retry_delay) == (0, 21600, "gpu", 300)
    assert (score.retries, score.timeout, score.pool) == (5, 3600, "spark")


@pytest.mark.parametrize("cron", [*PRESETS, "0 5 * * *", "*/15 8-18 1,15 */3 1-5", "0 0 29 2 7"])
def test_cron_expressions_are_taken(cron):
    assert read(cron=cron).cron == cron


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"cron": "daily"}, ["cron", "'daily' is no schedule", "@daily"]),
        ({"cron": "60 * * * *"}, ["'60' is no minute (0 to 59)"]),
        ({"cron": "0 24 * * *"}, ["'24' is no hour"]),
        ({"cron": "0 0 0 * *"}, ["'0' is no day of the month"]),
        ({"cron": "0 0 * 5-3 *"}, ["'5-3' is no month"]),
        ({"cron": "0 0 * * MON"}, ["'MON' is no day of the week"]),
        ({"cron": "* * * * * *"}, ["no schedule"]),
        ({"cron": "*/0 * * * *"}, ["no minute"]),
        ({"start": "yesterday"}, ["start"]),
        ({"end": "2012-12-31"}, ["end 2012-12-31 must come after start 2013-01-01"]),
        ({"timezone": "Mars/Olympus"}, ["'Mars/Olympus' is no time zone"]),
        ({"timeout": 7200}, ["timeout", "7200 is no duration: write 90s, 5m, 2h or 1d"]),
        ({"timeout": "0s"}, ["'0s' is no duration"]),
        ({"retries": -1}, ["retries"]),
        ({"pool": "Big Pool"}, ["pool"]),
        ({"owner": "a\nb"}, ["owner"]),
        ({"retry": 3}, ["unknown key 'retry'", "did you mean 'retries'"]),
        ({"steps": {"train": {"timeouts": "1h"}}}, ["unknown key 'steps.train.timeouts'", "'timeout'"]),
    ],
)
def test_bad_values_are_refused_with_file_and_key(wrong, words):
    with pytest.raises(ConfigError) as refused:
        read(**wrong)
    assert refused.value.message.startswith("here.yaml: ")
    for word in words:
        assert word in refused.value.message


@given(st.text(max_size=30))
def test_any_text_is_a_schedule_or_refused(text):
    with suppress(ConfigError):  # anything else would be a bug
        assert read(cron=text).cron == text


def project(tmp_path: Path, **files: object) -> Path:
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    for profile, document in files.items():
        (tmp_path / "conf" / profile / "airflow.yaml").write_text(yaml.safe_dump(document))
    return tmp_path


def test_a_profile_changes_how_commands_are_scheduled(tmp_path):
    root = project(tmp_path, cluster={"runner": "spark-submit", "pools": {"spark": 4, "gpu": 1}})
    here, there = (load_scheduling(load_settings(root, profile, {})) for profile in ("local", "cluster"))
    assert (here.runner, here.pools) == ("maas", {"spark": 1})
    assert (there.runner, there.pools) == ("spark-submit", {"spark": 4, "gpu": 1})
    assert there.maintenance == here.maintenance


def test_the_default_pool_is_always_there(tmp_path):
    root = project(tmp_path, base={"pools": {"gpu": 1}})
    assert load_scheduling(load_settings(root, "local", {})).pools == {"spark": 1, "gpu": 1}


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"runner": "cron"}, "runner"),
        ({"pools": {"spark": 0}}, "pools.spark"),
        ({"maintenance": {"vacuum": {"cron": "@weekly"}}}, "'maintenance.vacuum.keep_days' is missing"),
        ({"maintenance": {"vacum": None}}, "did you mean 'vacuum'"),
    ],
)
def test_bad_scheduling_is_refused_with_its_file(tmp_path, document, words):
    root = project(tmp_path, local=document)
    with pytest.raises(ConfigError) as refused:
        load_scheduling(load_settings(root, "local", {}))
    assert str(root / "conf/local/airflow.yaml") in refused.value.message
    assert words in refused.value.message
