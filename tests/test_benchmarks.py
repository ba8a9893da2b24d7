"""The benchmarks run, on data too small to measure anything."""

import importlib
from pathlib import Path

import pytest
from conftest import one_hot

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
pytestmark = pytest.mark.skipif(
    not BENCHMARKS.is_dir(), reason="the benchmarks are not here"
)
X, CELLS = one_hot(200, (4, 5, 3))
Y = CELLS[:, 0] % 2


@pytest.fixture
def load(monkeypatch):
    """Import a module of the benchmarks."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module


def test_the_profile_of_a_step(load, capsys):
    load("steps").profile(X, Y, batch=64)
    out = capsys.readouterr().out
    for part in ("gather rows", "look up", "reduce and update", "whole step"):
        assert out.count(part) >= 3


def test_rates_on_a_device(load, capsys):
    gpu = load("gpu")
    gpu.measure(gpu.models()[0], "cpu", X, Y)
    name, difference = capsys.readouterr().out.split("resident")
    assert name.strip() == "FMClassifier"
    assert float(difference.split("within")[1]) < 1e-6


@pytest.mark.parametrize("skew", [1, 3])
def test_a_lock_free_epoch(load, skew):
    workloads, lock_free = load("workloads"), load("lock_free")
    data, y = workloads.one_hot(300, 3900, skew=skew), workloads.labels(300)
    model = lock_free.LockFreeFM(data.shape[1], 4, n_threads=1)
    assert model.epoch(data, y) > 0
