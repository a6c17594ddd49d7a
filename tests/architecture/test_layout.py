"""Habits that no linter knows."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("core", "etl", "training", "serving", "monitoring", "jobs")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def names(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_no_module_bears_the_name_of_a_standard_module():
    # a file of jobs/ is on the path alone when spark-submit runs its neighbour
    taken = {path.stem for path in (ROOT / "jobs").glob("*.py")} - {"__init__"}
    assert not taken & sys.stdlib_module_names


@pytest.mark.parametrize("path", SOURCES, ids=names)
def test_nothing_is_left_undone(path):
    assert not re.search(r"\b(TODO|FIXME|XXX|NotImplementedError)\b", path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", SOURCES, ids=names)
def test_files_and_functions_stay_readable(path):
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= 300
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno - node.lineno <= 45, node.name


@pytest.mark.parametrize("path", [p for p in SOURCES if p.name == "__init__.py"], ids=names)
def test_a_package_file_holds_a_docstring_alone(path):
    body = ast.parse(path.read_text(encoding="utf-8")).body
    assert [type(node) for node in body] == [ast.Expr]


def test_nothing_is_unpickled():
    words = re.compile(r"\b(pickle|cloudpickle|joblib|dill)\.(load|loads|Unpickler)\b|weights_only=False")
    assert [names(path) for path in SOURCES if words.search(path.read_text(encoding="utf-8"))] == []


def test_services_bind_this_machine_only_unless_told():
    assert [names(path) for path in SOURCES if "0.0.0.0" in path.read_text(encoding="utf-8")] == []


def test_ci_runs_what_the_readme_says():
    assert "\nexec make test\n" in (ROOT / ".ci/run").read_text(encoding="utf-8")
    assert "\nmake test " in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_set_up_script_and_ci_are_sound_shell():
    for script in ("tools/setup", "tools/setup-cluster", "tools/lib.sh", ".ci/run"):
        subprocess.run(["bash", "-n", str(ROOT / script)], check=True, timeout=20)
