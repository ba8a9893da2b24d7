"""Estimators and matrices that the tests of several rooms run on."""

import numpy as np
import scipy.sparse as sp

import skfm

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
