"""Shared by all tests."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import settings

import skfm

# The first call of a numba kernel compiles it, which is no reason to call a test slow.
settings.register_profile("skfm", deadline=None, print_blob=True)
settings.load_profile("skfm")

# One architecture per lookup of the engine: what all estimators share is tested on
# these. Every architecture has its identities, learning tests and contract checks.
CLASSIFIERS = [
    skfm.FMClassifier,  # pooled, the squares in all
    skfm.NFMClassifier,  # pooled
    skfm.DeepFMClassifier,  # by field
    skfm.AFMClassifier,  # by non-zero
]
REGRESSORS = [
    skfm.FMRegressor,
    skfm.NFMRegressor,
    skfm.DeepFMRegressor,
    skfm.AFMRegressor,
]
ESTIMATORS = CLASSIFIERS + REGRESSORS
ALL_ESTIMATORS = [
    getattr(skfm, name)
    for name in skfm.__all__
    if name.endswith(("Classifier", "Regressor"))
]


def one_hot(n_rows, sizes, seed=0, dtype=np.float64):
    """A one-hot CSR matrix of len(sizes) fields, and the category of each cell."""
    rng = np.random.default_rng(seed)
    cells = np.column_stack([rng.integers(size, size=n_rows) for size in sizes])
    columns = cells + np.concatenate([[0], np.cumsum(sizes)[:-1]])
    indptr = np.arange(n_rows + 1) * len(sizes)
    data = np.ones(columns.size, dtype)
    X = sp.csr_array((data, columns.ravel(), indptr), shape=(n_rows, sum(sizes)))
    return X, cells


@pytest.fixture(scope="session")
def click_data():
    """400 one-hot rows of three fields, with a planted pairwise interaction."""
    X, cells = one_hot(400, (4, 5, 3))
    noise = np.random.default_rng(1).random(400) < 0.05
    y = ((cells[:, 0] % 2 == cells[:, 1] % 2) ^ noise).astype(int)
    return X, y
