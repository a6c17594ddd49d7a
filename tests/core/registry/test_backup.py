"""A platform that is backed up and restored answers the same."""

import json
import shutil
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import pytest

from core.backup.backup import back_up
from core.backup.restore import restore
from core.bundle import open_bundle
from core.contracts import Interval, ModelUid
from core.database.configurations import Configurations
from core.database.database import Database
from core.database.lifecycle import Action, Lifecycle
from core.errors import CorruptFile, StorageError
from core.journal.journal import Entry, State
from core.journal.places import open_journal
from core.predictor import Predictor
from core.registry.bundles import BundleCache
from core.registry.store import Store
from core.registry.tracking import start_run
from core.registry.versions import Registry
from core.settings import load_settings
from core.storage.open import open_storage

ROOT = Path(__file__).parents[3]
MOMENT = datetime(2026, 1, 31, 9, tzinfo=UTC)


def home(folder):
    return load_settings(ROOT, "local", {"MAAS__HOME": str(folder)})


def fill(settings, folder, write_model):
    """Publishes two versions, runs two steps, keeps two configurations."""
    registry = Registry(Store.of(settings))
    for scale in (0.1, 0.2):
        with start_run(registry.store, "flights", params={"scale": scale}) as run:
            run.log_metrics({"loss": scale, "bad": float("nan"), "endless": float("inf")}, step=3)
            bundle = write_model(folder / f"bundle-{scale}", scale)
            registry.publish(bundle, name="flights", run_id=run.id, tags={"note": "\u96ea"})
    registry.set_alias("shadow", "flights", 1)
    journal = open_journal(settings)
    for at, state in enumerate((State.FAILED, State.RUNNING)):
        mine = {"id": str(at), "run_id": "r", "pipeline": "flights", "step": "ingest", "interval": Interval.parse("2013-01-31")}
        process = {"profile": "local", "host": "h", "pid": 1, "process_started": 1.5, "started": MOMENT}
        journal.begin(Entry(**mine, **process, state=state, facts={"rows": 2**70}))
    journal.close()
    database = Database.of(settings)
    for text in ("a: 1\n", "a: 2\n"):
        Configurations(database).push("pipeline", "flights", text, "ann")
    Configurations(database).push("rules", "flights", "version: 1\n", "ann")
    Lifecycle(database).move("flights", Action.ACTIVATE, 1, "bob")
    database.close()


def answers(settings, columns):
    """All that a user of the platform sees."""
    registry, journal, database = Registry(Store.of(settings)), open_journal(settings), Database.of(settings)
    active = registry.resolve(ModelUid("flights"))
    bundle = BundleCache(registry, settings.at_home(Path("bundles"))).fetch(active)
    run = registry.store.call(lambda client: client.get_run(active.run_id))
    history = registry.store.call(lambda client: client.get_metric_history(active.run_id, "loss"))
    found = {
        "models": [(info.name, [asdict(version) for version in info.versions], dict(info.aliases)) for info in registry.models()],
        "digest": open_bundle(bundle, active.bundle_sha256).digest,
        "prediction": Predictor(open_bundle(bundle)).predict(columns).tolist(),
        "run": (run.data.params, sorted(run.data.metrics.items(), key=str), run.info.status),
        "history": [(m.step, m.value, m.timestamp) for m in history],
        "journal": list(journal.entries()),
        "configurations": Configurations(database).history("pipeline", "flights"),
        "rules": asdict(Lifecycle(database).standing("flights")),
    }
    journal.close()
    database.close()
    return json.loads(json.dumps(found, default=str))


@pytest.fixture(scope="module")
def filled(tmp_path_factory, write_model):
    """A platform; not to be changed."""
    folder = tmp_path_factory.mktemp("filled")
    fill(home(folder / "home"), folder, write_model)
    return home(folder / "home")


@pytest.fixture(scope="module")
def kept(filled, tmp_path_factory):
    """Its backup; not to be changed."""
    place = tmp_path_factory.mktemp("kept") / "backup"
    return place, back_up(filled, str(place))


@pytest.fixture
def copied(kept, tmp_path):
    """A backup that may be changed."""
    shutil.copytree(kept[0], tmp_path / "backup")
    return tmp_path / "backup"


def test_a_restored_platform_answers_the_same_and_goes_on(tmp_path, filled, kept, raw_columns):
    place, lines = kept
    before = answers(filled, raw_columns)
    assert lines[0] == "3 configurations, 2 journal entries, 2 model versions"
    # given a new home
    again = home(tmp_path / "second")
    assert restore(again, str(place))[0] == lines[0]
    assert answers(again, raw_columns) == before
    # then the next run lies there
    with start_run(Store.of(again), "flights") as run:
        assert str(again.at_home(Path())) in Store.of(again).call(lambda client: client.get_run(run.id)).info.artifact_uri
    # and what there is is overwritten only when told
    Registry(Store.of(again)).set_alias("active", "flights", 1)
    with pytest.raises(StorageError, match="holds configurations, journal entries, MLflow runs, model versions already: --force"):
        restore(again, str(place))
    assert answers(again, raw_columns) != before
    restore(again, str(place), force=True)
    assert answers(again, raw_columns) == before


@pytest.mark.cluster
def test_a_backup_of_sqlite_and_a_folder_fills_mysql_mongodb_and_s3_and_comes_back(tmp_path, filled, kept, cluster, raw_columns):
    # given the cluster's stores, with what other tests left in them, and a home and lake of this test's own
    far = cluster.model_copy(update={"home": tmp_path / "far", "lake": filled.lake})
    restore(far, str(kept[0]), force=True)
    # when they are backed up in turn
    place = f"{cluster.mlflow.artifacts.removesuffix('/mlflow')}/backup"
    lines = back_up(far, place)
    assert lines[0] == kept[1][0]
    # then all three answer the same
    reaching = {"s3": cluster.s3}
    near = home(tmp_path / "near").model_copy(update=reaching)
    restore(near, place)
    assert answers(far, raw_columns) == answers(near, raw_columns) == answers(filled, raw_columns)
    # and no secret is in it
    files, secret = open_storage(place, cluster), cluster.mlflow.password.get_secret_value().encode()
    assert not [entry.path for entry in files.list() if secret in files.open_read(entry.path).read()]


def test_a_backup_is_not_overwritten(filled, kept):
    with pytest.raises(StorageError, match=r"holds a backup already: name another place"):
        back_up(filled, str(kept[0]))


@pytest.mark.parametrize("damage", ["flip", "delete", "cut"])
def test_a_damaged_backup_is_refused_before_anything_is_touched(tmp_path, copied, damage):
    file = next(copied.rglob("model.onnx"))
    data = file.read_bytes()
    file.unlink()
    if damage != "delete":
        file.write_bytes(data[:-1] if damage == "cut" else bytes([data[0] ^ 1]) + data[1:])
    with pytest.raises(CorruptFile, match=r"model\.onnx is (missing|not what was backed up)"):
        restore(home(tmp_path / "second"), str(copied))
    assert not (tmp_path / "second").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": 9}, "is a backup of form 9, this platform reads 1"),
        ({"schema": "0000"}, "was made with schema 0000, this platform has 0002"),
        ({"mlflow_schema": "abc"}, "was made with MLflow schema abc, this platform has "),
        ({"files": {"../../etc/passwd": {}}}, "is no path below the root"),
        ({"files": 7}, "is no manifest of a backup"),
    ],
)
def test_a_backup_of_another_kind_is_refused(tmp_path, copied, change, said):
    file = copied / "manifest.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    with pytest.raises(StorageError, match=said):
        restore(home(tmp_path / "second"), str(copied))


def test_a_place_without_a_backup_is_said_to_be(tmp_path):
    with pytest.raises(StorageError, match=r"holds no backup: it has no manifest\.json"):
        restore(home(tmp_path / "second"), str(tmp_path))


def test_a_backup_without_room_is_none(tmp_path, filled):
    (tmp_path / "backup").mkdir()
    (tmp_path / "backup" / "mlflow").symlink_to("/dev/full")
    with pytest.raises(StorageError):
        back_up(filled, str(tmp_path / "backup"))
    assert not (tmp_path / "backup" / "manifest.json").exists()


def test_a_version_whose_files_are_gone_is_said_and_the_rest_is_kept(tmp_path, kept):
    again = home(tmp_path / "second")
    restore(again, str(kept[0]))
    shutil.rmtree(next(Path(Store.of(again).artifacts).rglob("m-*")))
    lines = back_up(again, str(tmp_path / "backup"))
    assert len([line for line in lines if "its files are gone: not in the backup" in line]) == 1
