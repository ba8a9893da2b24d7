"""Estimators and matrices that the tests of several rooms run on."""

import numpy as np
import scipy.sparse as sp

import skfm

# One architecture per kind of look-up: what all estimators of a task share is tested
# on these. Every architecture has its identities, learning tests and contract checks.
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
#: Every kind of look-up and both tasks: for what classifiers and regressors share.
ESTIMATORS = [
    skfm.FMClassifier,
    skfm.FMRegressor,
    skfm.NFMClassifier,
    skfm.DeepFMRegressor,
    skfm.AFMClassifier,
]
ALL_ESTIMATORS = [
    getattr(skfm, name)
    for name in skfm.__all__
    if name.endswith(("Classifier", "Regressor"))
]
#: Every architecture once, as a classifier and as a regressor by turns.
ARCHITECTURES = [
    classifier if i % 2 == 0 else regressor
    for i, (classifier, regressor) in enumerate(
        zip(ALL_ESTIMATORS[::2], ALL_ESTIMATORS[1::2], strict=True)
    )
]


def stochastic(cls):
    """Parameters by which an estimator trains by stochastic gradients."""
    return {"solver": "sgd"} if "solver" in cls().get_params() else {}


def one_hot(n_rows, sizes, seed=0, dtype=np.float64):
    """A one-hot CSR matrix of len(sizes) fields, and the category of each cell."""
    rng = np.random.default_rng(seed)
    cells = np.column_stack([rng.integers(size, size=n_rows) for size in sizes])
    columns = cells + np.concatenate([[0], np.cumsum(sizes)[:-1]])
    indptr = np.arange(n_rows + 1) * len(sizes)
    data = np.ones(columns.size, dtype)
    X = sp.csr_array((data, columns.ravel(), indptr), shape=(n_rows, sum(sizes)))
    return X, cells
