"""Interactions of users and items that a factorization machine explains."""

import numpy as np
import pandas as pd
import scipy.sparse as sp

N_USERS, N_ITEMS, N_ROWS = 12, 9, 500
_rng = np.random.default_rng(0)
USER, ITEM = _rng.integers(N_USERS, size=N_ROWS), _rng.integers(N_ITEMS, size=N_ROWS)
NUMBER = _rng.normal(size=N_ROWS)
SCORE = _rng.normal(size=N_USERS)[USER] * _rng.normal(size=N_ITEMS)[ITEM] + NUMBER
NOISE = 0.3
Y = SCORE + NOISE * _rng.normal(size=N_ROWS)
LABELS = np.where(SCORE > 0, "yes", "no")
CLASSES = np.digitize(SCORE, [-0.7, 0.7])
TABLE = pd.DataFrame({"user": USER.astype(str), "item": ITEM.astype(str), "x": NUMBER})
TRAIN, TEST = np.arange(400), np.arange(400, N_ROWS)


def one_hot():
    columns = np.column_stack([USER, N_USERS + ITEM]).ravel()
    indptr = np.arange(N_ROWS + 1) * 2
    shape = N_ROWS, N_USERS + N_ITEMS
    return sp.csr_array((np.ones(2 * N_ROWS), columns, indptr), shape=shape)


def make(cls, **parameters):
    return cls(**{"max_iter": 60, "random_state": 0, **parameters})
