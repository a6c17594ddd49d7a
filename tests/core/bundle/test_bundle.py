"""Bundles are read as they were written, or not at all."""

import hashlib
import json
import os
import resource
import subprocess
import sys

import pytest

from core.bundle import FORMAT, open_bundle, write_bundle
from core.contracts import Column, Dtype, Signature
from core.errors import CorruptFile, DiskFull, MaasError, ModelError, ModelNotFound, StorageError

FILES = ["manifest.json", "model.onnx", "features.json", "signature.json"]


def test_a_bundle_is_read_as_it_was_written(write, features):
    folder, digest = write()
    bundle = open_bundle(folder, digest)
    assert (bundle.name, bundle.digest, bundle.facts) == ("flights", digest, {"seed": 1})
    assert bundle.features == features
    assert [column.name for column in bundle.signature.inputs] == ["distance", "hour", "origin"]
    assert digest == hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()


@pytest.mark.parametrize("file", FILES)
def test_one_flipped_bit_is_refused_and_the_file_is_named(write, file):
    folder, digest = write()
    data = bytearray((folder / file).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / file).write_bytes(data)
    with pytest.raises(CorruptFile, match=file):
        open_bundle(folder, digest)


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("size", [0, 7])
def test_a_cut_file_is_refused_and_the_file_is_named(write, file, size):
    folder, digest = write()
    os.truncate(folder / file, size)
    with pytest.raises(CorruptFile, match=file):
        open_bundle(folder, digest)


@pytest.mark.parametrize("file", FILES)
def test_a_missing_file_is_refused_and_named(write, file):
    folder, _ = write()
    (folder / file).unlink()
    with pytest.raises(CorruptFile, match=f"{file} is missing"):
        open_bundle(folder)


@pytest.mark.parametrize("file", FILES)
def test_a_symbolic_link_is_refused_though_it_leads_to_the_right_bytes(write, tmp_path, file):
    folder, digest = write()
    (folder / file).rename(tmp_path / file)
    (folder / file).symlink_to(tmp_path / file)
    with pytest.raises(CorruptFile, match="symbolic link"):
        open_bundle(folder, digest)


def test_a_pipe_in_place_of_a_file_is_refused_and_nothing_waits_for_it(write):
    folder, digest = write()
    (folder / "model.onnx").unlink()
    os.mkfifo(folder / "model.onnx")
    with pytest.raises(CorruptFile, match="not a regular file"):
        open_bundle(folder, digest)


def test_a_file_that_is_no_part_of_a_bundle_is_refused(write):
    folder, digest = write()
    (folder / "weights.pkl").write_bytes(b"cos\nsystem\n")
    with pytest.raises(CorruptFile, match=r"weights\.pkl"):
        open_bundle(folder, digest)


def _rewrite(folder, change):
    manifest = json.loads((folder / "manifest.json").read_text())
    change(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda m: m.update(format="maas-bundle/9"), FORMAT),
        (lambda m: m["files"].update({"../../etc/passwd": {"sha256": "0", "bytes": 1}}), "a bundle has"),
        (lambda m: m["files"].pop("model.onnx"), "a bundle has"),
        (lambda m: m.pop("files"), "not a manifest"),
        (lambda m: m.update(files=[1]), "not a manifest"),
        (lambda m: m["files"]["model.onnx"].update(bytes="many"), "not a manifest"),
        (lambda m: m.update(facts=None), "a bundle has"),
    ],
)
def test_a_manifest_of_another_form_is_refused(write, change, says):
    folder, _ = write()
    _rewrite(folder, change)
    with pytest.raises(ModelError, match=says):
        open_bundle(folder)


@pytest.mark.parametrize("text", ["", "[]", "null", "{", '{"inputs": 1}', '{"inputs": [], "outputs": []}', "[" * 100_000])
@pytest.mark.parametrize("file", ["signature.json", "features.json"])
def test_a_file_with_its_right_digest_and_the_wrong_content_is_an_error_of_ours(write, file, text):
    folder, _ = write()
    (folder / file).write_text(text)
    digest = hashlib.sha256(text.encode()).hexdigest()
    _rewrite(folder, lambda m: m["files"].update({file: {"sha256": digest, "bytes": len(text)}}))
    with pytest.raises(MaasError):
        open_bundle(folder)


def test_no_folder_is_no_model(tmp_path):
    with pytest.raises(ModelNotFound, match="no bundle"):
        open_bundle(tmp_path / "nothing")


def test_a_bundle_is_never_written_over(write):
    folder, digest = write()
    with pytest.raises(StorageError, match="exists already"):
        write()
    assert open_bundle(folder).digest == digest


def test_features_that_read_what_the_signature_lacks_are_refused_before_anything_is_written(tmp_path, features):
    signature = Signature((Column("distance", Dtype.DOUBLE),), (Column("y", Dtype.FLOAT),))
    with pytest.raises(ModelError, match="'hour'"):
        write_bundle(tmp_path / "b", name="flights", onnx=b"", features=features, signature=signature, facts={})
    text = Signature(tuple(Column(n, Dtype.STRING) for n in ("distance", "hour", "origin")), (Column("y", Dtype.FLOAT),))
    with pytest.raises(ModelError, match="'distance' is string in the signature"):
        write_bundle(tmp_path / "b", name="flights", onnx=b"", features=features, signature=text, facts={})
    assert list(tmp_path.iterdir()) == []


def test_a_write_that_fails_half_way_leaves_nothing(tmp_path, write, features):
    signature = open_bundle(write()[0]).signature
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # when no file may grow past 1,000 bytes (Python ignores SIGXFSZ, so the write fails)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, hard))
    try:
        with pytest.raises(DiskFull, match="disk full: free some space"):
            write_bundle(tmp_path / "big", name="flights", onnx=bytes(100_000), features=features, signature=signature, facts={})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_what_reads_bundles_imports_no_heavy_library():
    heavy = ("mlflow", "pandas", "torch", "pyspark", "onnx", "pyarrow", "pydantic")
    script = f"import sys, core.predictor; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
