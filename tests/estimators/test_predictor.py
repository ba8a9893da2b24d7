"""Predictors: the predictions of the estimator, from many threads, over a socket."""

import http.client
import importlib.util
import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from common_cases import ARCHITECTURES, CLASSIFIERS, ESTIMATORS
from estimator_cases import CELLS, LABELS, X, fitted, make, scores, target
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import is_classifier

import skfm

FRAME = pd.DataFrame(CELLS, columns=["site", "ad", "hour"]).astype(str)
APP = Path(__file__).resolve().parents[2] / "docs" / "serving_app.py"


def assert_same_answers(predictor, model, rows, data, tolerance=0.0):
    """Rows in one form, and the data that the estimator takes."""
    methods = ["predict"]
    if is_classifier(model):
        methods += ["decision_function", "predict_proba"]
    for method in methods:
        found, expected = getattr(predictor, method)(rows), getattr(model, method)(data)
        assert found.dtype == expected.dtype
        if tolerance and method != "predict":
            assert_allclose(found, expected, rtol=tolerance, atol=tolerance)
        else:
            assert_array_equal(found, expected)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cls", ESTIMATORS)
def test_csr(cls, dtype):
    model = fitted(cls, dtype=dtype)
    predictor = model.compile_predictor()
    wide = sp.csr_array((X.data, X.indices.astype(np.int64), X.indptr), shape=X.shape)
    for rows in (X, X.astype(np.float32), X.astype(np.int8), wide):
        assert_same_answers(predictor, model, rows, X)
    # Products of one row and of many round differently.
    for i in range(5):
        assert_same_answers(predictor, model, X[i : i + 1], X[i : i + 1])


@pytest.mark.parametrize("cls", ARCHITECTURES)
def test_every_architecture_from_dicts(cls):
    frame = FRAME.assign(number=np.arange(len(FRAME)) % 7 * 0.5)
    model = make(cls, max_iter=1).fit(frame, target(cls))
    predictor = model.compile_predictor()
    some = frame.iloc[:9]
    assert_same_answers(predictor, model, some.to_dict("records"), some)
    assert_same_answers(predictor, model, some.iloc[0].to_dict(), some.iloc[:1])


@pytest.mark.parametrize("index_type", [np.int32, np.int64])
@pytest.mark.parametrize("field_pooling", ["sum", "mean"])
def test_values_of_a_field(field_pooling, index_type):
    two = X + sp.csr_array(np.roll(X.toarray(), 1, axis=1))
    two.indices, two.indptr = (a.astype(index_type) for a in (two.indices, two.indptr))
    model = make(skfm.FMClassifier, field_pooling=field_pooling, fields=(4, 5, 3))
    model.fit(two, LABELS)
    rows = two[:7]
    assert rows.indices.dtype == index_type
    assert_same_answers(model.compile_predictor(), model, rows, rows)


CELLS_OF = {
    "strings": ["b", "a", None, "new"],
    "integers": [3, -1, None, 2**60],
    "floats": [0.5, -2.0, np.nan, 7.5],
    "booleans": [True, False, None, True],
    "dates": [pd.Timestamp("2020-02-29"), pd.Timestamp("1970-01-01"), None, None],
    "lists": [["a", "b"], ["b"], [], None],
}


class TestTables:
    @pytest.mark.parametrize("kind", CELLS_OF)
    def test_cells(self, kind):
        cells = pd.Series(CELLS_OF[kind], dtype=object)
        known = cells.where(cells.index < 2, None)
        frame = pd.DataFrame({"cells": known, "number": [1, None, 2.5, -1.0]})
        model = make(skfm.FMClassifier, categorical_features=["cells"])
        model.fit(frame, [0, 1, 1, 0])
        new = frame.assign(cells=cells)
        predictor = model.compile_predictor()
        for i, number in enumerate([1, None, 2.5, -1.0]):
            row = {"cells": cells[i], "number": number}
            assert_same_answers(predictor, model, row, new.iloc[i : i + 1])
        assert_same_answers(predictor, model, new[["number", "cells"]], new)

    def test_mixed_rows_take_the_slow_way_and_agree(self):
        frame = pd.DataFrame({"id": [1, 2, 3, 4] * 5, "other": list("abcd") * 5})
        model = make(skfm.FMClassifier, categorical_features="all")
        model.fit(frame, [0, 1, 1, 0] * 5)
        rows = [{"id": 1.0, "other": "a"}, {"id": np.int64(2), "other": None}, {}]
        table = pd.DataFrame({"id": [1, 2, None], "other": ["a", None, None]})
        assert_same_answers(model.compile_predictor(), model, rows, table)

    def test_polars(self):
        model = fitted_on_table()
        frame = pl.from_pandas(FRAME)
        predictor = model.compile_predictor()
        assert_same_answers(predictor, model, frame.select("hour", "ad", "site"), frame)

    def test_numbers_by_name_and_by_position(self):
        frame = pd.DataFrame(X.toarray(), columns=list("abcdefghijkl"))
        named, unnamed = fitted(skfm.FMClassifier), None
        unnamed = named.compile_predictor()
        model = make(skfm.FMClassifier).fit(frame, LABELS)
        predictor = model.compile_predictor()
        sparse_row = {name: 1.0 for name in frame if frame[name][0]}
        assert len(sparse_row) == 3
        assert_same_answers(predictor, model, sparse_row, frame[:1])
        assert_same_answers(predictor, model, frame[frame.columns[::-1]], frame)
        by_number = {int(j): 1.0 for j in X[[0]].indices}
        assert_same_answers(unnamed, named, by_number, X[[0]])


def fitted_on_table(**parameters):
    return make(skfm.FMClassifier, **parameters).fit(FRAME, LABELS)


def out_of_bounds(value):
    bad = X[[0]]
    bad.indices = bad.indices.copy()
    bad.indices[1] = value
    return bad


class TestRefused:
    @pytest.mark.parametrize(
        ("rows", "error", "message"),
        [
            (X[:, :5], ValueError, "CSR matrix of 12 columns"),
            (X.tocsc(), ValueError, "got a csc matrix"),
            (X.toarray(), TypeError, "got a ndarray"),
            (X[[0]] * np.nan, ValueError, "NaN"),
            (X[[0]] * np.inf, ValueError, "NaN, infinity"),
            (out_of_bounds(-1), ValueError, "not a valid CSR"),
            (out_of_bounds(2**31 - 1), ValueError, "not a valid CSR"),
            ({12: 1.0}, ValueError, "has 12, but the fit had no column"),
            ({"a": 1.0}, ValueError, "has 'a'"),
            ([], TypeError, "list"),
        ],
    )
    def test_rows(self, rows, error, message):
        with pytest.raises(error, match=message):
            fitted(skfm.FMClassifier).compile_predictor().predict(rows)

    @pytest.mark.parametrize(
        ("rows", "message"),
        [
            ({"sight": "1"}, "has 'sight'"),
            ({"site": 1}, "held strings during fit but holds numbers"),
            (X, "fitted on a table"),
            (FRAME.rename(columns={"ad": "add"}), r"differ.*\['ad', 'add'\]"),
            (FRAME[["ad"]], "differ"),
        ],
    )
    def test_tables(self, rows, message):
        predictor = fitted_on_table().compile_predictor()
        with pytest.raises(ValueError, match=message):
            predictor.predict(rows)

    def test_unfitted(self):
        with pytest.raises(ValueError, match="not fitted"):
            skfm.FMClassifier().compile_predictor()

    def test_regressors_have_no_probabilities(self):
        with pytest.raises(AttributeError, match="predict_proba"):
            fitted(skfm.FMRegressor).compile_predictor().predict_proba(X)


def test_duplicates_and_zeros_are_put_in_order():
    model = fitted(skfm.FMClassifier)
    odd = sp.csr_array(
        ([1.0, 0.5, 0.5, 0.0], [9, 0, 0, 5], [0, 4]), shape=(1, X.shape[1])
    )
    straight = sp.csr_array(odd.toarray())
    found = model.compile_predictor().decision_function(odd)
    assert_array_equal(found, model.decision_function(straight))


@pytest.mark.parametrize("cls", CLASSIFIERS)
def test_eight_threads_at_once(cls):
    model = make(cls).fit(FRAME, LABELS)
    predictor = model.compile_predictor()
    rows = FRAME.to_dict("records")
    expected = [predictor.predict_proba(row) for row in rows]
    with ThreadPoolExecutor(8) as pool:
        found = pool.map(predictor.predict_proba, rows * 5)
        for i, answer in enumerate(found):
            assert_array_equal(answer, expected[i % len(rows)])


def test_a_predictor_outlives_a_new_fit():
    model = fitted(skfm.FMClassifier)
    predictor, before = model.compile_predictor(), scores(model)
    model.fit(X, 1 - LABELS)
    assert_array_equal(predictor.decision_function(X), before)


@pytest.fixture
def served(tmp_path, monkeypatch):
    """The application of the documentation on a real socket; its port and model."""
    model = fitted_on_table()
    with serving(model, tmp_path, monkeypatch) as port:
        yield port, model


@contextmanager
def serving(model, tmp_path, monkeypatch):
    """The application at work on a model; its port."""
    uvicorn = pytest.importorskip("uvicorn")
    pytest.importorskip("fastapi")
    skfm.save(model, tmp_path / "model.skfm")
    monkeypatch.setenv("MODEL", str(tmp_path / "model.skfm"))
    spec = importlib.util.spec_from_file_location("serving_app", APP)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(module.app, log_level="critical", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield listener.getsockname()[1]
    server.should_exit = True
    thread.join(30)
    listener.close()


def test_hundreds_of_requests_in_flight(served):
    port, model = served
    rows = FRAME.to_dict("records")
    expected = [model.predict_proba(FRAME[i : i + 1])[0, 1] for i in range(len(rows))]
    per_client, n_clients = 3, 100
    barrier = threading.Barrier(n_clients)

    def client(number):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        connection.connect()
        barrier.wait(60)
        for k in range(per_client):
            i = (number * per_client + k) % len(rows)
            connection.request(
                "POST",
                "/predict",
                json.dumps([rows[i]]),
                {"Content-Type": "application/json"},
            )
            response = connection.getresponse()
            assert response.status == 200
            assert json.loads(response.read()) == [expected[i]]
        connection.close()
        return True

    with ThreadPoolExecutor(n_clients) as pool:
        assert all(pool.map(client, range(n_clients)))


def post(port, rows):
    """Status and content of the answer to rows."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    body = json.dumps(rows)
    connection.request("POST", "/predict", body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    answer = response.status, json.loads(response.read())
    connection.close()
    return answer


def test_bad_requests(served):
    port, _ = served
    status, answer = post(port, [{"sight": "1"}])
    assert status == 422
    assert "'sight'" in answer["detail"]


def test_cells_are_served_as_they_are(tmp_path, monkeypatch):
    """Integers beyond the floats, truth values and dates."""
    days = pd.to_datetime(["2020-01-31", "2021-06-01", "2022-12-24"] * 7)
    ids = [2**60 + i % 7 for i in range(21)]
    frame = pd.DataFrame({"id": ids, "new": [True, False, False] * 7, "day": days})
    model = make(skfm.FMClassifier, max_iter=20, categorical_features=["id", "new"])
    model.fit(frame, [0, 1, 1, 0, 0, 1, 0] * 3)
    expected = model.predict_proba(frame)[:, 1].tolist()
    assert len(set(expected)) == 21
    monkeypatch.setenv("DATES", "day")
    rows = frame.assign(day=days.strftime("%Y-%m-%d")).to_dict("records")
    with serving(model, tmp_path, monkeypatch) as port:
        assert post(port, rows) == (200, expected)
        assert post(port, [{"id": float(2**60)}])[0] == 422
        assert post(port, [{"id": True}])[0] == 422
        assert post(port, [{"day": "soon"}])[0] == 422
