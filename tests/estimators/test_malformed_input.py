"""A thousand odd inputs: each is taken, or refused by an error that says why.

None crashes the interpreter, hangs, or makes a prediction that is NaN.
"""

import functools
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from common_cases import CLASSIFIERS, ESTIMATORS
from estimator_cases import LABELS, X, fitted, make, scores, target
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_allclose, assert_array_equal

import skfm
from skfm.datasets import load_libffm
from skfm.runtime import memory

#: Errors that may refuse an input; any other error is a defect.
REFUSALS = (ValueError, TypeError, MemoryError, FloatingPointError)
EXTREMES = [0.0, -0.0, 1e-320, 1e-40, 1e30, -1e30, 1e300, np.nan, np.inf, -np.inf]
FORMATS = ["csr", "csc", "coo", "lil", "dok", "dia", "bsr"]


@functools.cache
def model(cls):
    return fitted(cls)


def finite(predictions):
    return predictions.dtype.kind != "f" or np.all(np.isfinite(predictions))


def taken_or_refused(action):
    """Return whether an action ends in a finite result or an error with a message."""
    with warnings.catch_warnings():
        # NumPy's about casts of extreme numbers; pandas' about odd tables.
        warnings.simplefilter("ignore")
        try:
            result = action()
        except REFUSALS:
            return
    assert finite(result)


cells = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=3),
    st.just(np.nan),
    st.dates(),
    st.lists(st.text(max_size=2), max_size=2),
)
arrays = hnp.arrays(
    st.one_of(
        hnp.floating_dtypes(),
        hnp.integer_dtypes(),
        hnp.boolean_dtypes(),
        hnp.complex_number_dtypes(),
        hnp.unicode_string_dtypes(max_len=3),
        hnp.datetime64_dtypes(),
    ),
    hnp.array_shapes(max_dims=3, max_side=13),
)
tables = st.integers(1, 4).flatmap(
    lambda n_rows: st.dictionaries(
        st.text(max_size=2),
        st.lists(cells, min_size=n_rows, max_size=n_rows),
        min_size=1,
        max_size=3,
    ).map(lambda columns: pd.DataFrame(columns, dtype=object))
)


@settings(max_examples=150)
@given(data=arrays, which=st.sampled_from(ESTIMATORS))
def test_arrays_to_predict(data, which):
    taken_or_refused(lambda: model(which).predict(data))


@settings(max_examples=150)
@given(data=arrays, y=st.sampled_from([LABELS, LABELS * 0.5]), n=st.integers(1, 13))
def test_arrays_to_fit(data, y, n):
    new = make(skfm.FMRegressor, max_iter=1)
    taken_or_refused(lambda: new.fit(data, y[: max(n, len(data))]).predict(data))


@settings(max_examples=150)
@given(table=tables, to_fit=st.booleans())
def test_tables(table, to_fit):
    if to_fit:
        y = np.arange(len(table)) % 2
        new = make(skfm.FMClassifier, max_iter=1)
        taken_or_refused(lambda: new.fit(table, y).decision_function(table))
    else:
        known = _on_a_table()
        taken_or_refused(lambda: known.decision_function(table))


@functools.cache
def _on_a_table():
    table = pd.DataFrame({"a": list("xyxy"), "b": [1.0, 2.0, None, 4.0]})
    return make(skfm.FMClassifier).fit(table, [0, 1, 1, 0])


@settings(max_examples=250)
@given(
    indptr=hnp.arrays(np.int32, 4, elements=st.integers(-3, 9)),
    indices=hnp.arrays(
        np.int32, 6, elements=st.sampled_from([0, 3, 11, 12, -1, 2**30])
    ),
    values=hnp.arrays(np.float64, 6, elements=st.sampled_from([*EXTREMES, 1.0, 0.5])),
    which=st.sampled_from(ESTIMATORS),
    to_fit=st.booleans(),
)
def test_contradicting_sparse_arrays(indptr, indices, values, which, to_fit):
    rows = sp.csr_array((3, 12))
    # scipy's constructor would refuse most of them.
    rows.indptr, rows.indices, rows.data = indptr, indices, values
    if to_fit:
        new = make(which, max_iter=1, fields=(4, 5, 3))
        taken_or_refused(lambda: new.fit(rows, [0, 1, 1]).predict(X))
    else:
        taken_or_refused(lambda: model(which).predict(rows))


@settings(max_examples=150)
@given(
    values=hnp.arrays(np.float64, (4, 12), elements=st.sampled_from([*EXTREMES, 1.0])),
    weights=hnp.arrays(np.float64, 4, elements=st.sampled_from([*EXTREMES, 1.0])),
    which=st.sampled_from(ESTIMATORS),
)
def test_extreme_values_and_weights(values, weights, which):
    new = make(which, max_iter=2)
    y = [0, 1, 1, 0]
    taken_or_refused(lambda: scores(new.fit(values, y, sample_weight=weights), X))
    taken_or_refused(lambda: scores(model(which), values))


@settings(max_examples=60)
@given(y=hnp.arrays(np.float64, 120, elements=st.sampled_from([*EXTREMES, 1.0, 2.0])))
def test_extreme_targets(y):
    new = make(skfm.FMRegressor, max_iter=2)
    taken_or_refused(lambda: new.fit(X, y).predict(X))


@settings(max_examples=100)
@given(
    kind=st.sampled_from(FORMATS),
    dtype=st.sampled_from([np.float32, np.float64, np.int8, np.uint64, bool]),
    matrix=st.booleans(),
    which=st.sampled_from(CLASSIFIERS),
)
def test_every_format_and_type_of_ones_is_the_same(kind, dtype, matrix, which):
    form = getattr(sp, f"{kind}_{'matrix' if matrix else 'array'}")
    with warnings.catch_warnings():
        # scipy's about many diagonals.
        warnings.simplefilter("ignore", sp.SparseEfficiencyWarning)
        found = scores(model(which), form(X.astype(dtype)))
    assert_array_equal(found, scores(model(which)))


@settings(max_examples=60)
@given(order=st.permutations(range(12)), which=st.sampled_from(ESTIMATORS))
def test_order_of_entries_does_not_matter(order, which):
    """Nor do zeros that are stored, or entries that are cut in two."""
    dense = X[:5].toarray()
    rows = np.repeat(np.arange(5), 24)
    columns = np.tile([*order, *order], 5)
    values = dense[rows, columns] / 2
    odd = sp.csr_array((values, columns, np.arange(0, 121, 24)), shape=(5, 12))
    assert_allclose(scores(model(which), odd), scores(model(which), X[:5]), rtol=1e-12)


@settings(max_examples=300)
@given(data=st.binary(max_size=80), text=st.booleans())
def test_any_bytes_as_libffm(tmp_path_factory, data, text):
    if text:
        letters = "0123456789:: \n\n..-+einfNaN#\t"
        data = "".join(letters[byte % len(letters)] for byte in data).encode()
    path = tmp_path_factory.getbasetemp() / "fuzz.ffm"
    path.write_bytes(data)
    try:
        found = load_libffm(path)
    except ValueError:
        return
    rows, y = found[0], found[1]
    assert rows.shape[0] == len(y)
    rows.check_format(full_check=True)
    written = [float(word) for word in data.replace(b":", b" ").split()]
    if np.all(np.isfinite(written)):
        assert np.all(np.isfinite(rows.data))
        assert np.all(np.isfinite(y))


@pytest.mark.parametrize("cls", [skfm.FMClassifier, skfm.NFMRegressor])
def test_tables_that_do_not_fit_in_memory(cls, monkeypatch):
    monkeypatch.setattr(memory, "available_memory", lambda: 2**30)
    columns = np.full(120, 49_999_999)
    huge = sp.csr_array((np.ones(120), columns, np.arange(121)))
    new = make(cls, n_factors=16, dtype="float32")
    with pytest.raises(MemoryError, match=r"3 tables.*50000000 columns x 17.*9\.5 GiB"):
        new.fit(huge, target(cls))
    assert not hasattr(new, "network_")
