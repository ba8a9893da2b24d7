"""Public names, which are imported on their first use."""

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import skfm


def in_a_fresh_process(script):
    ran = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return ran.stdout.split()


def test_the_import_loads_no_library():
    heavy = ["torch", "numba", "pandas", "sklearn", "scipy", "numpy"]
    script = f"import sys, skfm; print(*[n for n in {heavy} if n in sys.modules])"
    assert in_a_fresh_process(script) == []


BAYESIAN = """
import pickle, sys
import numpy as np, skfm
X = np.random.default_rng(0).integers(0, 2, (60, 3)).astype(float)
for model, y in [
    (skfm.FMClassifier(max_iter=5), X.sum(1) > 1),
    (skfm.FMClassifier(max_iter=5), X.sum(1)),
    (skfm.FMRegressor(max_iter=5), X.sum(1)),
]:
    predicted = model.fit(X, y).predict(X)
    skfm.save(model, sys.argv[1])
    for again in (skfm.load(sys.argv[1]), pickle.loads(pickle.dumps(model))):
        assert np.array_equal(again.predict(X), predicted)
    assert np.isfinite(model.compile_predictor().predict({0: 1.0})).all()
    model.coef_, model.intercept_, model.factors_, model.summary(), model.score(X, y)
    model.set_params(warm_start=True).fit(X, y)
model.predict(X, return_std=True)
assert "torch" not in sys.modules
type(model.network_)
assert "torch" in sys.modules
"""


@pytest.mark.slow
def test_the_bayesian_solver_does_without_torch(tmp_path):
    command = [sys.executable, "-W", "ignore", "-c", BAYESIAN, tmp_path / "model"]
    subprocess.run(command, check=True)


def test_what_checkers_see_is_what_is_found():
    tree = ast.parse(Path(skfm.__file__).read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    stated = {
        alias.name: node.module or alias.name
        for node in block.body
        for alias in node.names
    }
    assert stated.keys() == set(skfm.__all__)
    for name, module in stated.items():
        if name not in skfm._MODULES:
            place = import_module(f"skfm.{module}")
            assert getattr(skfm, name) is getattr(place, name)


def test_all_names_are_listed_and_importable():
    assert set(skfm.__all__) <= set(dir(skfm))
    assert {"plotting", "metrics"} <= set(dir(skfm))
    names = {}
    exec("from skfm import *", names)
    assert set(skfm.__all__) <= names.keys()
    assert skfm.exceptions.__name__ == "skfm.exceptions"


def test_unknown_names():
    with pytest.raises(AttributeError, match="no attribute 'GMClassifier'"):
        skfm.GMClassifier  # noqa: B018
    with pytest.raises(ImportError, match="GMClassifier"):
        exec("from skfm import GMClassifier")
