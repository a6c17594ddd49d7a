"""A version as MLflow alone sees it: loaded where this project is not importable."""

import json
import subprocess
import sysconfig
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest

from core.bundle import open_bundle
from core.errors import InputError
from core.predictor import Predictor
from core.registry.portable import _load_pyfunc

SCRIPT = """
import json, os, sys
sys.path.append({site!r})  # by hand, so that no .pth file of it is read
import mlflow, pandas as pd
try:
    import core
    raise SystemExit("the project is importable here")
except ModuleNotFoundError:
    sys.modules["core"] = sys  # somebody else's package of that name
model = mlflow.pyfunc.load_model("models:/flights@active")
frame = pd.DataFrame(json.loads(sys.stdin.read()))
answers = [model.predict(frame), model.predict(frame[["hour", "distance"]])]
package = model.loader_module.partition(".")[0]
ours = [module.__file__ for name, module in sys.modules.items() if name.partition(".")[0] == package]
print(json.dumps({{"ours": ours, "answers": [a.tolist() for a in answers], "dtype": str(answers[0].dtype)}}))
"""


def test_a_version_loads_with_mlflow_alone_and_answers_as_the_predictor_does(publish, store, tmp_path, raw_columns):
    publish(0.3)
    # given a Python that sees the installed packages, but not this project
    site = sysconfig.get_paths()["purelib"]
    python = [sysconfig.get_config_var("BINDIR") + "/python3.11", "-I", "-S", "-c", SCRIPT.format(site=site)]
    environment = {"PATH": "/usr/bin:/bin", "MLFLOW_TRACKING_URI": store.uri, "HOME": str(tmp_path), "DO_NOT_TRACK": "true"}
    frame = {
        "distance": [100.0, 500.0, 900.0],
        "hour": [6, 12, 18],
        "wind": [1.0, None, 3.0],
        "origin": ["EWR", "JFK", None],
    }
    # when it loads the version and predicts
    done = subprocess.run(
        python, input=json.dumps(frame), capture_output=True, text=True, env=environment, cwd=tmp_path, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    # then the code came with the version, and the answers are ours
    folder = next(path for path in Path(store.artifacts).rglob("bundle") if path.is_dir())
    predictor = Predictor(open_bundle(folder))
    missing = {"wind": np.full(3, np.nan), "origin": np.full(3, None, dtype=object)}
    assert len(found["ours"]) > 5
    assert all("/code/maas_model_" in file for file in found["ours"])
    assert found["answers"][0] == predictor.predict(raw_columns).tolist()
    assert found["answers"][1] == predictor.predict({**raw_columns, **missing}).tolist()
    assert found["dtype"] == "float32"


def test_a_version_carries_no_pickle_and_nothing_of_the_project_but_what_it_runs(publish, store):
    publish()
    files = {path.name for path in Path(store.artifacts).rglob("*.*")}
    assert not [file for file in files if file.endswith((".pkl", ".pickle", ".pt", ".lock", ".toml"))]
    assert {"predictor.py", "bundle.py", "portable.py", "onehot.py"} <= files
    assert not files & {"settings.py", "spark.py", "store.py", "config.py", "versions.py"}


def test_requirements_are_pinned_to_what_is_installed(publish, store):
    publish()
    lines = next(Path(store.artifacts).rglob("requirements.txt")).read_text().split()
    assert {line.partition("==")[0] for line in lines} == {"mlflow", "numpy", "onnxruntime", "pandas"}
    assert f"mlflow=={mlflow.__version__}" in lines


def test_mlflow_enforces_the_signature(publish, store):
    publish()
    mlflow.set_tracking_uri(store.uri)
    model = mlflow.pyfunc.load_model("models:/flights/1")
    with pytest.raises(mlflow.MlflowException, match="missing inputs"):
        model.predict(pd.DataFrame({"distance": [1.0]}))
    with pytest.raises(mlflow.MlflowException, match="Incompatible input types"):
        model.predict(pd.DataFrame({"distance": [1.0], "hour": ["six"]}))


@pytest.fixture
def model(make_bundle):
    return _load_pyfunc(str(make_bundle()))


def test_a_frame_a_mapping_and_records_give_the_same_answers(model):
    records = [
        {"distance": 100.0, "hour": 6, "wind": 1.0, "origin": "EWR"},
        {"distance": 500, "hour": 12, "origin": "JFK"},
        {"distance": 900.0, "hour": 18, "wind": 3.0, "origin": None, "unused": 1},
    ]
    frame = pd.DataFrame(records)
    answers = [
        model.predict(records),
        model.predict(frame),
        model.predict(frame.convert_dtypes()),
        model.predict(frame[frame.columns[::-1]]),
        model.predict({name: frame[name].tolist() for name in frame}),
    ]
    assert answers[0].dtype == np.float32
    assert answers[0].shape == (3,)
    assert [a.tolist() for a in answers[1:]] == [answers[0].tolist()] * 4
    assert model.predict(frame.head(0)).shape == (0,)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"distance": [1.0]}, "column 'hour' is missing"),
        ({"distance": [None], "hour": [1]}, "column 'distance', row 0: no value"),
        ({"distance": [float("nan")], "hour": [1]}, "column 'distance', row 0: no value"),
        ({"distance": ["far"], "hour": [1]}, "column 'distance', row 0: 'far' is not a number"),
        ({"distance": [1.0], "hour": [1], "origin": [5]}, "column 'origin', row 0: 5 is not a string"),
        ({"distance": [1.0, 2.0], "hour": [1]}, "not of one length"),
        ("text", "input is a str"),
    ],
)
def test_input_that_does_not_fit_is_refused_by_column_and_row(model, given, said):
    with pytest.raises(InputError, match=said):
        model.predict(given)
