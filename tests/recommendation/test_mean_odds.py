"""Sums of probabilities against those of scipy."""

import numpy as np
import pytest
from scipy.special import expit

from skfm.recommendation.mean_odds import add_odds, far


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_both_sums_keep_their_relative_precision(dtype):
    limit = dtype(far(np.dtype(dtype)))
    scores = np.linspace(-limit, limit, 5000, dtype=dtype).reshape(50, 100)
    positive, negative = np.full((2, *scores.shape), 0, dtype)
    add_odds(scores, limit, positive, negative)
    exact, rtol = scores.astype(np.float64), 8 * np.finfo(dtype).eps
    np.testing.assert_allclose(positive, expit(exact), rtol=rtol)
    np.testing.assert_allclose(negative, expit(-exact), rtol=rtol)
    add_odds(scores, limit, positive, negative)
    np.testing.assert_allclose(positive, 2 * expit(exact), rtol=rtol)


def test_scores_that_are_far_count_as_equal_and_nan_stays():
    limit = np.float32(far(np.dtype(np.float32)))
    scores = np.array([[limit, 1e30, np.inf, -1e30, np.nan]], np.float32)
    positive, negative = np.zeros((2, 1, 5), np.float32)
    add_odds(scores, limit, positive, negative)
    odds = np.log(positive / negative)[0]
    np.testing.assert_allclose(odds[:4], [limit, limit, limit, -limit], rtol=1e-6)
    assert np.isnan(odds[4])
