import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from core.bundle import open_bundle
from core.contracts import ModelUid
from core.errors import CorruptFile, ModelError

pytestmark = pytest.mark.parametrize("store", ["local", pytest.param("cluster", marks=pytest.mark.cluster)], indirect=True)


def find_artifact(files, name):
    return next(path for path in files.names() if path.endswith(f"/data/bundle/{name}"))


def read_index(cache):
    return json.loads((cache.folder / "index.json").read_text())


def test_a_fetched_bundle_is_the_one_that_was_published(cache, publish):
    version = publish()
    folder = cache.fetch(version)

    assert folder == cache.folder / "flights" / "1"
    assert open_bundle(folder, version.bundle_sha256).name == "flights"
    assert [path.name for path in (cache.folder / "flights").iterdir()] == ["1"]


def test_a_bundle_that_is_here_needs_the_registry_no_more(cache, publish, files):
    version = publish()
    cache.fetch(version)
    files.delete(find_artifact(files, "model.onnx"))
    assert cache.fetch(version).is_dir()


@pytest.mark.parametrize("file", ["model.onnx", "manifest.json", "features.json"])
def test_an_artifact_changed_after_registration_is_refused_by_version_and_file(cache, publish, files, file):
    version = publish()
    path = find_artifact(files, file)
    files.write(path, files.read(path).replace(b"1", b"2", 1) + b" ")

    with pytest.raises(CorruptFile, match=rf"model flights:1: {file} in the registry is not what was published: publish"):
        cache.fetch(version)
    assert not (cache.folder / "flights" / "1").exists()
    assert list((cache.folder / "flights").iterdir()) == []


def test_a_version_whose_files_are_gone_is_said_to_be(cache, publish, files):
    version = publish()
    for name in files.names():
        files.delete(name)
    with pytest.raises(ModelError, match="model flights:1: its files are gone from"):
        cache.fetch(version)


def test_a_damaged_copy_is_fetched_again(cache, publish):
    version = publish()
    (cache.fetch(version) / "model.onnx").write_bytes(b"short")
    assert open_bundle(cache.fetch(version), version.bundle_sha256).name == "flights"


@pytest.mark.parametrize(
    "source",
    [
        "file:///etc",
        "s3://bucket/model",
        "file://host/etc",
        "/etc",
        "{artifacts}/../../etc",
        "{artifacts}/models/../../secret",
        "{artifacts}-others/model",
        "{artifacts}?versionId=1",
    ],
)
def test_a_source_outside_the_artifacts_is_not_followed(cache, publish, registry, source):
    first = publish()
    tags = {"maas.bundle_sha256": first.bundle_sha256}
    uri = source.format(artifacts=registry.store.artifacts)
    registry.store.call(lambda client: client.create_model_version("flights", uri, first.run_id, tags))
    with pytest.raises(ModelError, match="do not lie in"):
        cache.fetch(registry.resolve(ModelUid("flights", None, 2)))


def test_the_index_holds_aliased_versions_and_those_fetched_before(cache, publish):
    assert cache.sync().models == {}
    first, second = publish(0.1), publish(0.2)
    cache.sync()
    third = publish(0.3)
    publish(0.4, alias=None)

    index = cache.sync()
    versions = {"2": {"sha256": second.bundle_sha256}, "3": {"sha256": third.bundle_sha256}}
    assert index.models == {"flights": {"aliases": {"active": 3}, "versions": versions}}
    assert read_index(cache) == {"models": index.models}
    assert index.refused == ()
    assert first.bundle_sha256 != second.bundle_sha256


def test_one_damaged_model_does_not_keep_the_others_from_being_served(cache, publish, files):
    publish(name="broken")
    files.delete(find_artifact(files, "model.onnx"))
    publish(name="sound")

    index = cache.sync()
    assert list(index.models) == ["sound"]
    assert ["broken:1" in error.message for error in index.refused] == [True]


def test_syncs_at_the_same_time_leave_one_whole_index(cache, publish):
    publish(name="a")
    publish(name="b")
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: cache.sync().models, range(8)))
    assert all(models == read_index(cache)["models"] for models in found)
    assert sorted(read_index(cache)["models"]) == ["a", "b"]
