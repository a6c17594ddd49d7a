"""Which version answers, and what happens when one cannot."""

import os
import threading

import pytest

from core.contracts import ModelUid
from core.errors import ConfigError, CorruptFile, ModelError, ModelNotFound
from serving.server.repository import Repository

from .conftest import NUMBERS


def find(repository, uid):
    parsed = ModelUid.parse(uid)
    return repository.find(parsed) or repository.open(parsed)


@pytest.fixture
def repository(bundles):
    for version in (1, 2, 3):
        bundles.add("m", version, inputs=NUMBERS)
    bundles.alias("m", active=2, champion=1)
    opened = Repository(bundles.folder)
    opened.refresh()
    return opened


@pytest.mark.parametrize(("uid", "version"), [("m", 2), ("m@active", 2), ("m@champion", 1), ("m:3", 3), ("m:2", 2)])
def test_a_uid_names_a_version(repository, uid, version):
    assert find(repository, uid).version == version


@pytest.mark.parametrize("uid", ["n", "m@nobody", "m:9"])
def test_what_the_index_does_not_name_is_not_found(repository, uid):
    with pytest.raises(ModelNotFound):
        find(repository, uid)


def test_a_version_is_loaded_once_and_the_active_one_from_the_start(repository):
    assert repository.find(ModelUid.parse("m")) is not None
    assert repository.find(ModelUid.parse("m:3")) is None
    assert find(repository, "m:3") is find(repository, "m:3")
    assert repository.loaded() == 2


def test_versions_on_demand_are_let_go_when_there_are_more_than_eight(bundles):
    for version in range(1, 13):
        bundles.add("m", version, inputs=NUMBERS)
    repository = Repository(bundles.folder)
    repository.refresh()
    for version in range(1, 13):
        find(repository, f"m:{version}")
    assert repository.loaded() == 8
    assert find(repository, "m:1").version == 1


def test_a_moved_alias_is_followed_and_an_untouched_model_stays_the_same_object(repository, bundles):
    bundles.add("other", inputs=NUMBERS, active=1)
    repository.refresh()
    other = find(repository, "other")
    assert not repository.changed()
    bundles.alias("m", active=3)
    assert repository.changed()
    repository.refresh()
    assert find(repository, "m").version == 3
    assert find(repository, "other") is other


def test_a_model_that_left_the_index_is_gone(repository, bundles):
    bundles.write({"models": {}})
    repository.refresh()
    with pytest.raises(ModelNotFound):
        find(repository, "m")


def _damage(bundles, name, version):
    file = bundles.folder / name / str(version) / "model.onnx"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)


def test_a_damaged_version_does_not_take_the_place_of_a_good_one(repository, bundles):
    _damage(bundles, "m", 3)
    bundles.alias("m", active=3)
    repository.refresh()
    assert find(repository, "m").version == 2
    assert isinstance(repository.snapshot.failures["m"], CorruptFile)
    with pytest.raises(CorruptFile):
        find(repository, "m:3")


def test_a_damaged_model_does_not_stop_the_others(bundles):
    bundles.add("bad", inputs=NUMBERS, active=1).add("good", inputs=NUMBERS, active=1)
    _damage(bundles, "bad", 1)
    repository = Repository(bundles.folder)
    repository.refresh()
    assert find(repository, "good").version == 1
    with pytest.raises(ModelError, match="sha256"):
        find(repository, "bad")


def test_a_bundle_that_is_not_the_one_of_the_index_is_refused(bundles):
    bundles.add("m", 1, inputs=NUMBERS, active=1).add("m", 2, inputs=NUMBERS)
    (bundles.folder / "m" / "1").rename(bundles.folder / "away")
    (bundles.folder / "m" / "2").rename(bundles.folder / "m" / "1")
    repository = Repository(bundles.folder)
    repository.refresh()
    assert isinstance(repository.snapshot.failures["m"], CorruptFile)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"models": []}',
        '{"models": {"m": {}}}',
        '{"models": {"../../etc": {"aliases": {}, "versions": {}}}}',
        '{"models": {"m": {"aliases": {"active": 7}, "versions": {}}}}',
        '{"models": {"m": {"aliases": {"active": "x"}, "versions": {"1": {"sha256": "0"}}}}}',
        '{"models": {"m": {"aliases": {}, "versions": {"../1": {"sha256": "0"}}}}}',
        "[" * 100_000,
        b"\xff\xfe",
    ],
)
def test_an_index_of_another_form_is_refused_and_what_was_loaded_stays(repository, bundles, text):
    (bundles.folder / "index.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError, match=r"index\.json"):
        repository.refresh()
    assert find(repository, "m").version == 2


def test_a_missing_index_is_named(tmp_path):
    with pytest.raises(ConfigError, match="no such file"):
        Repository(tmp_path).refresh()


def test_every_answer_while_versions_change_is_that_of_one_version(repository, bundles):
    # given what each version answers
    golden = {version: find(repository, f"m:{version}").answer(b'{"inputs":[[1,2,3,4]]}') for version in (1, 2, 3)}
    assert len(set(golden.values())) == 3
    wrong, seen, stop = [], set(), threading.Event()

    def ask():
        while not stop.is_set():
            model = find(repository, "m")
            seen.add(model.version)
            if model.answer(b'{"inputs":[[1,2,3,4]]}') != golden[model.version]:
                wrong.append(model.version)

    # when the active version changes a hundred times under four callers
    callers = [threading.Thread(target=ask) for _ in range(4)]
    for caller in callers:
        caller.start()
    for turn in range(100):
        bundles.alias("m", active=1 + turn % 3)
        os.utime(bundles.folder / "index.json", ns=(turn, turn))
        repository.refresh()
    stop.set()
    for caller in callers:
        caller.join()
    # then each answer was the golden one of the version that it named
    assert wrong == []
    assert seen == {1, 2, 3}
