"""Comparison of estimators before and after they were saved."""

import numpy as np
import pandas as pd
from numpy.testing import assert_array_equal

import skfm


def assert_same(one, other, where="model"):
    """Compare bits and types, recursively."""
    assert type(one) is type(other), where
    if isinstance(one, np.ndarray):
        assert one.dtype == other.dtype, where
        assert_array_equal(one, other, err_msg=where)
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), where
        for i, pair in enumerate(zip(one, other, strict=True)):
            assert_same(*pair, f"{where}[{i}]")
    elif isinstance(one, dict):
        assert one.keys() == other.keys(), where
        for key in one:
            assert_same(one[key], other[key], f"{where}[{key!r}]")
    elif isinstance(one, pd.Index):
        assert one.equals(other), where
    elif hasattr(one, "arrays"):
        assert_same(one.config, other.config, f"{where}.config")
        assert_same(one.arrays(), other.arrays(), f"{where}.arrays")
    elif hasattr(one, "__dict__") and not isinstance(one, type | np.dtype):
        assert_same(vars(one), vars(other), where)
    else:
        assert one == other or (one != one and other != other), where


def round_trip(estimator, tmp_path, **how):
    """Save and load an estimator."""
    path = tmp_path / "model.skfm"
    skfm.save(estimator, path)
    return skfm.load(path, **how)
