"""Fits and predictions on Dask clusters."""

import numpy as np
import pytest
from dask_cases import Fit, make
from numpy.testing import assert_allclose, assert_array_equal
from stream_cases import FEATURES, clicks, write
from worker_cases import digest, run_workers

from skfm.distributed import run_on_dask
from skfm.exceptions import WorkerLostError

distributed = pytest.importorskip("distributed")
pytestmark = [
    pytest.mark.slow,  # starts processes
    pytest.mark.filterwarnings("default"),  # of Dask
]


@pytest.fixture(scope="module")
def client():
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.fixture
def data(tmp_path):
    return write(clicks()[[*FEATURES, "click"]], tmp_path / "data", (100, 350))


@pytest.fixture
def frame(data, tmp_path):
    dd = pytest.importorskip("dask.dataframe")
    return dd.read_parquet(tmp_path / "data")


def test_a_client_computes_the_partitions(client, frame, data):
    model = make().fit(frame, "click")
    assert digest(model) == digest(make().fit(data, "click"))
    proba = model.predict_proba(frame)
    assert type(proba).__module__.startswith("dask")
    assert len(proba.chunks[0]) == frame.npartitions
    # Rows of other batches are rounded otherwise.
    assert_allclose(proba.compute(), model.predict_proba(data), rtol=1e-5)
    assert_array_equal(model.predict(frame).compute(), model.predict(data))


def test_workers_give_the_bits_of_one_process(client, frame, data):
    (alone,) = run_workers(1, lambda rank: make().fit(data, "click"))
    for X in (frame, data):
        assert digest(run_on_dask(client, Fit(X), timeout=60)) == digest(alone)


def test_a_killed_worker(client, frame, data, tmp_path):
    (alone,) = run_workers(1, lambda rank: make().fit(data, "click"))
    options = {"killed": tmp_path / "killed", "checkpoint": str(tmp_path / "ck")}
    task = Fit(frame, **options)
    model = run_on_dask(client, task, timeout=60, max_restarts=2)
    assert (tmp_path / "killed").exists()
    assert digest(model) == digest(alone)
    assert model.network_ is not None
    assert not np.isnan(model.predict_proba(frame).compute()).any()


def test_errors(client, frame, tmp_path):
    with pytest.raises(ValueError, match="dropout"):
        run_on_dask(client, Fit(frame, dropout=2.0), timeout=60)
    with pytest.raises(WorkerLostError):
        run_on_dask(client, Fit(frame, killed=tmp_path / "killed"), timeout=60)
    with (
        distributed.Client(
            n_workers=2, processes=False, dashboard_address=None
        ) as threads,
        pytest.raises(ValueError, match="are threads of one process"),
    ):
        run_on_dask(threads, Fit(frame))
