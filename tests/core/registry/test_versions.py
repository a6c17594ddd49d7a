import multiprocessing
import random
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from core.bundle import open_bundle
from core.contracts import ModelUid, TableName
from core.errors import CorruptFile, ModelError, ModelNotFound, StorageError
from core.registry.store import Store
from core.registry.tracking import start_run
from core.registry.versions import Registry

LOCAL_AND_CLUSTER = ["local", pytest.param("cluster", marks=pytest.mark.cluster)]
on_both = pytest.mark.parametrize("store", LOCAL_AND_CLUSTER, indirect=True)


@on_both
def test_a_published_version_is_found_by_name_alias_and_number(registry, publish):
    first = publish(0.1)
    second = publish(0.2, alias="shadow", description="wider", tags={"rule_set": "abc"})

    assert registry.resolve(ModelUid.parse("flights")) == first
    assert registry.resolve(ModelUid.parse("flights:2")) == second
    assert registry.resolve(ModelUid.parse("flights@shadow")) == second
    assert (first.version, first.aliases, second.version, second.aliases) == (1, ("active",), 2, ("shadow",))
    assert (second.description, second.tags["rule_set"]) == ("wider", "abc")


@on_both
def test_a_version_names_its_run_its_digests_and_its_facts(registry, make_bundle):
    with start_run(registry.store, "flights") as run:
        version = registry.publish(
            make_bundle(lock="123", evaluation={"roc_auc": 0.7}, api_key="p"),
            name="flights",
            run_id=run.id,
        )

    assert version.run_id == run.id
    assert len(version.bundle_sha256) == 64
    assert (version.facts["lock"], version.evaluation, version.facts["api_key"]) == ("123", {"roc_auc": 0.7}, "***")
    outputs = registry.store.call(lambda client: client.get_run(run.id)).outputs.model_outputs
    assert len(outputs) == 1


def test_a_version_names_its_dataset(registry, make_bundle):
    def publish_with(**facts):
        with start_run(registry.store, "flights") as run:
            return registry.publish(make_bundle(**facts), name="flights", run_id=run.id)

    assert publish_with(dataset="features.flights", dataset_version=4).dataset == (TableName.parse("features.flights"), 4)
    assert publish_with(lock="1").dataset is None
    for facts in ({"dataset": "flights", "dataset_version": 4}, {"dataset": "features.flights"}, {"dataset_version": 4}):
        with pytest.raises(ModelError, match=r"model flights:\d: its tags maas\.dataset… name no version of a table"):
            _ = publish_with(**facts).dataset


@on_both
def test_an_alias_moves_to_a_version(registry, publish):
    publish(0.1)
    publish(0.2)
    registry.set_alias("active", "flights", 1)
    assert registry.resolve(ModelUid("flights")).version == 1
    with pytest.raises(ModelNotFound):
        registry.set_alias("active", "flights", 9)


@on_both
def test_of_several_who_move_an_alias_at_once_one_wins_and_the_others_are_told(registry, publish):
    for scale in (0.1, 0.2, 0.3):
        publish(scale, alias="active" if scale == 0.1 else None)

    def move(version):
        try:
            registry.set_alias("active", "flights", version, expected=1)
        except ModelError as error:
            return error.message
        return "moved"

    with ThreadPoolExecutor(4) as pool:
        said = sorted(pool.map(move, (2, 3, 2, 3)))
    now = registry.resolve(ModelUid("flights")).version
    assert now in (2, 3)
    assert said == [*[f"flights@active means version {now} by now, not 1: another moved it; look, and decide again"] * 3, "moved"]
    with pytest.raises(ModelNotFound):
        registry.set_alias("active", "flights", 9, expected=now)


@on_both
def test_sixteen_writers_at_once_lose_nothing(registry, publish):
    source = publish().tags["maas.bundle_sha256"]

    def write(number):
        with start_run(registry.store, "flights", params={"number": number}) as run:
            for step in range(5):
                run.log_metrics({"loss": number / 10}, step)
        tags = {"number": str(number), "maas.bundle_sha256": source}
        made = registry.store.call(lambda client: client.create_model_version("flights", "/nowhere", run.id, tags))
        registry.set_alias(f"writer{number}", "flights", int(made.version))
        return int(made.version), run.id

    with ThreadPoolExecutor(16) as pool:
        made = list(pool.map(write, range(16)))
    assert sorted(version for version, _ in made) == list(range(2, 18))
    (info,) = registry.models()
    assert {v.tags["number"]: v.version for v in info.versions[:-1]} == {str(n): version for n, (version, _) in enumerate(made)}
    assert {f"writer{n}": version for n, (version, _) in enumerate(made)}.items() <= info.aliases.items()
    for number, (_, run_id) in enumerate(made):
        history = registry.store.call(lambda client, run_id=run_id: client.get_metric_history(run_id, "loss"))
        assert [(m.step, m.value) for m in history] == [(step, number / 10) for step in range(5)]


@on_both
def test_what_does_not_exist_is_said_with_what_does(registry, publish):
    with pytest.raises(ModelNotFound, match="none is registered yet"):
        registry.resolve(ModelUid("flights"))
    publish()
    with pytest.raises(ModelNotFound, match="no model 'flihgts': the nearest there are: flights"):
        registry.resolve(ModelUid("flihgts"))
    with pytest.raises(ModelNotFound, match="no alias 'shadow'; there are: active"):
        registry.resolve(ModelUid("flights", "shadow"))
    with pytest.raises(ModelNotFound, match="no version 7; the newest is 1"):
        registry.resolve(ModelUid("flights", None, 7))


@on_both
def test_models_are_listed_by_name_with_versions_newest_first(registry, publish):
    publish(name="b")
    publish(name="a")
    publish(name="a", alias="shadow")

    found = registry.models()
    assert [(info.name, [v.version for v in info.versions], info.aliases) for info in found] == [
        ("a", [2, 1], {"active": 1, "shadow": 2}),
        ("b", [1], {"active": 1}),
    ]


@on_both
def test_an_identical_version_is_found_again_by_its_tags(registry, publish):
    publish(tags={"rule_set": "x", "seed": 1})
    second = publish(tags={"rule_set": "y", "seed": 1})
    publish(tags={"rule_set": "z", "seed": 1})

    assert registry.find("flights", {"rule_set": "y", "seed": 1}).version == second.version
    assert registry.find("flights", {"seed": 1}).version == 3
    assert registry.find("flights", {"rule_set": "' OR 1=1 --"}) is None
    assert registry.find("other", {}) is None


@pytest.mark.parametrize("name", ["../../etc/passwd", "a/b", "a:1", "a@b", "", "x'y", "a\x00", "a..b", "file:///x"])
def test_a_name_that_could_be_a_path_or_a_filter_is_refused(registry, make_bundle, name):
    folder = make_bundle()
    with pytest.raises(ModelNotFound):
        registry.publish(folder, name=name, run_id="any")
    with pytest.raises(ModelNotFound):
        registry.find(name, {})


def test_a_damaged_bundle_is_never_registered(registry, make_bundle):
    folder = make_bundle()
    (folder / "model.onnx").write_bytes(b"x" * (folder / "model.onnx").stat().st_size)

    with pytest.raises(CorruptFile, match=r"model\.onnx"), start_run(registry.store, "flights") as run:
        registry.publish(folder, name="flights", run_id=run.id)
    assert registry.models() == []


@on_both
def test_a_version_that_was_not_published_here_has_no_bundle(registry, publish):
    run_id = publish().run_id
    registry.store.call(lambda client: client.create_model_version("flights", "file:///etc", run_id))
    with pytest.raises(ModelError, match="was not published by this platform"):
        _ = registry.resolve(ModelUid("flights", None, 2)).bundle_sha256


def publish_some(store, folder, times, results):
    registry = Registry(store)
    for _ in range(times):
        with start_run(registry.store, "flights") as run:
            for step in range(20):
                run.log_metrics({"loss": 1 / (step + 1)}, step)
            results.put(registry.publish(folder, name="flights", run_id=run.id).version)


def test_publishers_at_the_same_time_get_versions_of_their_own_and_lose_nothing(tmp_path, make_bundle):
    # given a store that no one has made yet
    store, folder = Store(str(tmp_path / "new" / "mlflow.db"), str(tmp_path / "new" / "artifacts")), make_bundle()
    spawn = multiprocessing.get_context("spawn")
    results = spawn.SimpleQueue()
    # when two processes make it, and publish
    workers = [spawn.Process(target=publish_some, args=(store, folder, 4, results)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    # then each got its versions
    assert [worker.exitcode for worker in workers] == [0, 0]
    assert sorted(results.get() for _ in range(8)) == list(range(1, 9))
    (info,) = Registry(store).models()
    assert [v.version for v in info.versions] == list(range(8, 0, -1))


def test_a_publication_without_room_for_its_files_is_no_version(registry, make_bundle, tmp_path):
    folder = make_bundle()
    # given artifacts on a full device
    (tmp_path / "artifacts").symlink_to("/dev/full")
    with pytest.raises(StorageError), start_run(registry.store, "flights") as run:
        registry.publish(folder, name="flights", run_id=run.id)
    assert registry.models() == []
    # when there is room, it is published
    (tmp_path / "artifacts").unlink()
    with start_run(registry.store, "flights") as run:
        assert registry.publish(folder, name="flights", run_id=run.id).version == 1


def publish_until_killed(store, folder):
    registry = Registry(store)
    with start_run(registry.store, "flights") as run:
        while True:
            registry.publish(folder, name="flights", run_id=run.id)


def test_a_publisher_killed_at_any_moment_leaves_no_version_without_its_files(store, registry, cache, make_bundle):
    # given a process that publishes without end
    folder = make_bundle()
    registry.models()
    worker = multiprocessing.get_context("spawn").Process(target=publish_until_killed, args=(store, folder))
    worker.start()
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not registry.models():
        time.sleep(0.05)
    # when it is killed
    time.sleep(random.uniform(0, 0.5))
    worker.kill()
    worker.join()
    # then every version that there is can be fetched
    (info,) = registry.models()
    assert all(open_bundle(cache.fetch(version), version.bundle_sha256) for version in info.versions)
