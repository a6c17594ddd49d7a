"""A driver's JVM maps its classes from the archive that set-up made."""

from pathlib import Path

from pyspark.sql import SparkSession

from core.jvm import class_archive, java_options

JARS = Path(__file__).parents[2] / "jars" / "spark"


def test_our_sessions_map_the_archive(spark: SparkSession):
    engine = spark.sparkContext._jvm.ProcessHandle.current().pid()  # type: ignore[union-attr]
    assert str(class_archive(JARS)) in Path(f"/proc/{engine}/maps").read_text()


def test_without_an_archive_only_the_others_options_are_given(tmp_path: Path):
    assert java_options(tmp_path) == ""
    assert java_options(tmp_path, "-Da=b", "") == "-Da=b"


def test_a_place_with_a_space_is_one_option(tmp_path: Path):
    folder = tmp_path / "our jars"
    folder.mkdir()
    class_archive(folder).touch()
    assert java_options(folder, "-Da=b") == f"'-XX:SharedArchiveFile={folder}/classes.jsa' '-Xlog:cds*=off' -Da=b"
