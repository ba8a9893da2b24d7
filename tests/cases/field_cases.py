"""Matrices and tables shared by the tests of fields."""

import numpy as np
import pandas as pd
from scipy import sparse

from skfm.fields import FieldInferenceError, infer_fields
from skfm.fields.scan import active_columns

REMEDIES = ["fields=", "OneHotEncoder", "FieldEncoder"]


def csr(rows, n_features, data=None):
    """CSR array with the given columns in each row and ones as values."""
    indptr = np.cumsum([0, *(len(row) for row in rows)])
    indices = np.array([c for row in rows for c in row], dtype=np.int32)
    values = np.ones(len(indices)) if data is None else np.asarray(data, dtype=float)
    return sparse.csr_array((values, indices, indptr), shape=(len(rows), n_features))


def random_frame(rng, n_rows, n_extra_levels=0):
    """Categories (one with NaN, one rare-tailed), numbers with and without zeros."""
    levels = 5 + n_extra_levels
    zipf = np.minimum(rng.zipf(1.5, n_rows), 30 + n_extra_levels)
    some = rng.choice([*"pqr", np.nan], n_rows).astype(object)
    some[some == "nan"] = np.nan
    return pd.DataFrame(
        {
            "city": rng.integers(0, levels, n_rows).astype(str).astype(object),
            "tail": np.char.add("t", zipf.astype(str)).astype(object),
            "some": some,
            "zeros": rng.integers(0, 3, n_rows).astype(float),
            "dense": rng.normal(size=n_rows),
        }
    )


def assert_exact(X, fields, truth):
    """Same division of the active columns; the others go with the block before."""
    active = np.flatnonzero(active_columns(X))
    expected = np.unique(np.asarray(truth)[active], return_inverse=True)[1]
    np.testing.assert_array_equal(fields[active], expected)
    before = np.searchsorted(active, np.arange(X.shape[1]), side="right") - 1
    np.testing.assert_array_equal(fields, expected[np.maximum(before, 0)])


def exact_or_refused(X, truth):
    """Check the promise of infer_fields; return whether it gave an answer."""
    fields, message = infer_or_message(X)
    if fields is None:
        assert all(remedy in message for remedy in REMEDIES)
        assert "Usual causes: a one-hot encoder with drop=" in message
        return False
    assert_exact(X, fields, truth)
    return True


def infer_or_message(X):
    try:
        return infer_fields(X), None
    except FieldInferenceError as error:
        return None, str(error)
