"""Cases that the tests of FieldEncoder share."""

import numpy as np
import pandas as pd
import polars as pl
from numpy.testing import assert_array_equal

OPTIONS = [
    {},
    {"categorical_features": "all"},
    {"categorical_features": "all", "n_buckets": 8},
    {"categorical_features": "all", "min_frequency": 2, "max_categories": 3},
    {"numeric": "scale"},
    {"numeric": "quantile"},
    {"numeric": "passthrough"},
]


def equal(A, B):
    return A.shape == B.shape and (A != B).nnz == 0


def columns_of(encoder, X):
    """The name of the only entry of each row."""
    assert_array_equal(np.diff(X.indptr), 1)
    return encoder.get_feature_names_out()[X.indices].tolist()


def table(rng, n):
    """A table with a column of each kind, 10 % of the cells missing."""
    df = pd.DataFrame(
        {
            "text": rng.choice(["a", "b", "c", "é"], n),
            "flag": rng.choice([True, False], n),
            "id": rng.integers(0, 2**60, 6)[rng.integers(0, 6, n)],
            "price": rng.normal(size=n).round(2),
            "count": rng.integers(0, 3, n),
        }
    )
    df = df.astype({"flag": "boolean", "id": "Int64", "count": "Int64"})
    return df.mask(rng.uniform(size=df.shape) < 0.1)


def to_polars(df):
    columns = {name: [*df[name].astype(object)] for name in df}
    listed = {
        name: [None if pd.isna(cell) else cell for cell in cells]
        for name, cells in columns.items()
    }
    return pl.DataFrame(listed)
