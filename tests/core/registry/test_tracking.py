import subprocess
import sys
from pathlib import Path

import pytest

from core.errors import ConfigError, ModelNotFound, TrainingError
from core.registry.store import Store
from core.registry.tracking import end_abandoned, read_artifact, start_run

on_both = pytest.mark.parametrize("store", ["local", pytest.param("cluster", marks=pytest.mark.cluster)], indirect=True)


def read_run(store, run):
    return store.call(lambda client: client.get_run(run.id))


@on_both
def test_a_run_holds_parameters_tags_metrics_by_epoch_and_artifacts(store, tmp_path):
    file = tmp_path / "flights.yaml"
    file.write_text("name: flights\n")
    with start_run(store, "flights", name="first", params={"seed": 7, "optimizer": {"lr": 0.1}}, tags={"dataset": 4}) as run:
        for epoch, loss in enumerate((0.9, 0.5)):
            run.log_metrics({"loss": loss}, step=epoch)
        run.log_file(file, "config")
        run.log_json({"rows": [1, 2]}, "facts.json")

    found = read_run(store, run)
    history = store.call(lambda client: client.get_metric_history(run.id, "loss"))
    assert found.info.status == "FINISHED"
    assert found.info.run_name == "first"
    assert found.data.params == {"seed": "7", "optimizer.lr": "0.1"}
    assert found.data.tags["dataset"] == "4"
    assert [(m.step, m.value) for m in history] == [(0, 0.9), (1, 0.5)]
    assert read_artifact(store, run.id, "config/flights.yaml") == "name: flights\n"
    assert read_artifact(store, run.id, "facts.json") == '{\n "rows": [\n  1,\n  2\n ]\n}'


@on_both
def test_a_run_takes_more_parameters_than_one_batch(store):
    with start_run(store, "flights", params={f"p{i:03}": i for i in range(250)}) as run:
        pass
    assert len(read_run(store, run).data.params) == 250


def test_secrets_never_reach_the_store(store):
    with start_run(store, "flights", params={"db": {"password": "hunter2"}, "url": "mysql://u:hunter2@h/x"}) as run:
        run.set_tags({"api_key": "hunter2"})
        run.log_json({"token": "hunter2"}, "config.json")

    assert b"hunter2" not in Path(store.database).read_bytes() + Path(f"{store.database}-wal").read_bytes()
    assert "hunter2" not in read_artifact(store, run.id, "config.json")
    assert read_run(store, run).data.params == {"db.password": "***", "url": "mysql://u:***@h/x"}


@on_both
@pytest.mark.parametrize(
    ("error", "status"), [(TrainingError("no rows: ingest first"), "FAILED"), (KeyboardInterrupt(), "KILLED")]
)
def test_a_run_that_raises_is_marked_and_says_why(store, error, status):
    with pytest.raises(type(error)), start_run(store, "flights") as run:
        raise error

    found = read_run(store, run)
    assert found.info.status == status
    assert found.data.tags["maas.error"] == f"{type(error).__name__}: {error}"


@on_both
def test_a_run_whose_process_died_is_ended_by_the_next_and_no_other_is(store):
    with start_run(store, "flights", tags={"host": "gone"}) as done:
        pass
    with start_run(store, "flights", tags={"host": "here"}) as living, start_run(store, "flights", tags={"host": "gone"}) as dead:
        assert end_abandoned(store, "flights", lambda tags: tags.get("host") == "gone") == [dead.id]
        found = read_run(store, dead)
        assert found.info.status == "KILLED"
        assert found.data.tags["maas.error"] == "its process ended without a word: killed?"
        assert [read_run(store, run).info.status for run in (done, living)] == ["FINISHED", "RUNNING"]


@on_both
def test_an_unknown_run_is_not_found(store):
    with pytest.raises(ModelNotFound, match="nosuch"):
        store.call(lambda client: client.get_run("nosuch"))


def test_a_database_path_that_cannot_stand_in_a_uri_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"may not hold any of \? # %"):
        _ = Store(str(tmp_path / "100%" / "mlflow.db"), str(tmp_path)).uri


def test_importing_the_registry_does_not_import_mlflow():
    code = (
        "import sys, core.registry.bundles, core.registry.tracking, core.registry.versions;"
        "print([m for m in ('mlflow', 'pandas', 'sqlalchemy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
