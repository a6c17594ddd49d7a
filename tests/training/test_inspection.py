"""What is wrong with the data is said before any process starts."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from core.config import validate
from core.errors import ConfigError, TrainingError
from training.data.inspection import Split, inspect
from training.spec import SplitFiles, TaskConfig, TrainingSpec


def write(folder: Path, name: str, **columns: object) -> tuple[str, ...]:
    path = folder / f"{name}.parquet"
    pq.write_table(pa.table({"x": [0.0, 1.0, 2.0], "late": [0.0, 1.0, None], **columns}), path)
    return (str(path),)


def spec_of(train: tuple[str, ...], good: tuple[str, ...], feature: str = "x") -> TrainingSpec:
    return TrainingSpec(files=SplitFiles(train=train, validation=good, test=good), features=(feature,), label="late")


def test_a_good_table_is_counted(tmp_path: Path) -> None:
    good = write(tmp_path, "good")

    splits = inspect(spec_of(good, good))

    assert splits["train"] == Split(good, (3,), labelled=2, positives=1)
    assert (splits["train"].rows, splits["train"].unlabelled) == (3, 1)
    assert Split.from_json(splits["test"].to_json()) == splits["test"]


@pytest.mark.parametrize("labels", [[0, 1, None], [False, True, None], [0.0, 1.0, float("nan")]])
def test_labels_may_be_integers_booleans_or_floats_and_missing_ones_are_not_counted(tmp_path: Path, labels: list[object]) -> None:
    good = write(tmp_path, "good", late=labels)

    assert inspect(spec_of(good, good))["train"].labelled == 2


@pytest.mark.parametrize(
    ("columns", "feature", "message"),
    [
        ({}, "y", r"column 'y' is not in .*bad\.parquet"),
        ({"distance": [1.0, 2.0, 3.0]}, "distnce", "did you mean 'distance'"),
        ({"x": ["a", "b", "c"]}, "x", "column 'x' is string, not a number"),
        ({"late": [0.0, 2.0, None]}, "x", r"label 'late' holds 2 in .*bad\.parquet: it must be 0, 1 or null"),
        ({"late": [0.0, 0.0, None]}, "x", "label 'late' is 0 in all 2 rows of split 'train'"),
        ({"late": [1.0, 1.0, 1.0]}, "x", "label 'late' is 1 in all 3 rows"),
        ({"late": pa.array([None, None, None], pa.float64())}, "x", "3 rows but no label"),
    ],
)
def test_a_table_that_cannot_be_trained_on_is_refused(
    tmp_path: Path, columns: dict[str, object], feature: str, message: str
) -> None:
    bad, good = write(tmp_path, "bad", **columns), write(tmp_path, "good")

    with pytest.raises(TrainingError, match=message):
        inspect(spec_of(bad, good, feature))


def test_a_split_without_files_or_with_an_empty_one_is_refused(tmp_path: Path) -> None:
    good = write(tmp_path, "good")
    hollow = write(tmp_path, "hollow", x=pa.array([], pa.float32()), late=pa.array([], pa.float64()))

    for empty in ((), hollow):
        with pytest.raises(TrainingError, match="split 'train' has no rows"):
            inspect(spec_of(empty, good))


def test_a_missing_or_damaged_file_is_named(tmp_path: Path) -> None:
    good = write(tmp_path, "good")
    (tmp_path / "damaged.parquet").write_bytes(Path(good[0]).read_bytes()[:-20])

    with pytest.raises(TrainingError, match=r"gone\.parquet: no such file"):
        inspect(spec_of((str(tmp_path / "gone.parquet"),), good))
    with pytest.raises(TrainingError, match=r"damaged\.parquet: not a readable Parquet file"):
        inspect(spec_of((str(tmp_path / "damaged.parquet"),), good))


def test_the_task_section_of_a_pipeline_is_read_strictly() -> None:
    section = {"kind": "binary_classification", "model": {"kind": "mlp", "hidden": [128, 64], "dropout": 0.1}, "epochs": 12}

    assert validate(section, TaskConfig, "flights.yaml").model.hidden == (128, 64)
    with pytest.raises(ConfigError, match=r"flights\.yaml: unknown key 'epocs': did you mean 'epochs'"):
        validate({"epocs": 3}, TaskConfig, "flights.yaml")
    with pytest.raises(ConfigError, match=r"'model\.hidden"):
        validate({"model": {"hidden": [0]}}, TaskConfig, "flights.yaml")


def test_a_label_among_the_features_or_a_feature_given_twice_is_refused() -> None:
    files = SplitFiles(train=(), validation=(), test=())

    with pytest.raises(ValidationError, match="the label 'x' is among the features"):
        TrainingSpec(files=files, features=("x",), label="x")
    with pytest.raises(ValidationError, match="features stand twice: x"):
        TrainingSpec(files=files, features=("x", "x"), label="y")


def test_specifications_have_one_digest_if_and_only_if_they_are_equal() -> None:
    files = SplitFiles(train=("a",), validation=("b",), test=("c",))
    spec = TrainingSpec(files=files, features=("x",), label="y")

    assert spec.digest == TrainingSpec.model_validate_json(spec.model_dump_json()).digest
    assert spec.digest != spec.model_copy(update={"task": TaskConfig(seed=8)}).digest
