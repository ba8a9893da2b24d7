"""Streams of random numbers, and draws of Polya-Gamma variables."""

import numpy as np
import pytest
from numba import njit
from scipy import stats

from skfm.sampling import polya_gamma as pg
from skfm.sampling.random import gamma, normal, stream, uniform

N = 20_000


@njit
def many_normal(n):
    out = np.empty(n)
    for i in range(n):
        out[i] = normal(stream(1, 0, 0, i))[1]
    return out


@njit
def many_uniform(n):
    out = np.empty(n)
    for i in range(n):
        out[i] = uniform(stream(1, i, 0, 0))[1]
    return out


@njit
def many_gamma(n, shape):
    out = np.empty(n)
    for i in range(n):
        out[i] = gamma(stream(1, 0, 1, i), shape)[1]
    return out


@njit
def many_pg(n, b, c):
    out = np.empty(n)
    for i in range(n):
        out[i] = pg.polya_gamma(stream(2, 0, 0, i), b, c)[1]
    return out


@pytest.mark.parametrize(
    ("draws", "law"),
    [
        (many_normal(N), stats.norm()),
        (many_uniform(N), stats.uniform()),
        *((many_gamma(N, a), stats.gamma(a)) for a in (0.3, 1.0, 2.5, 40.0)),
    ],
)
def test_draws_follow_their_distribution(draws, law):
    assert stats.kstest(draws, law.cdf).pvalue > 1e-3


def test_normal_tail_is_drawn():
    # 60,000 draws of which 0.06 % lie beyond the last layer of the ziggurat.
    beyond = np.abs(many_normal(60_000)) > 3.4426
    assert abs(beyond.sum() - 60_000 * 2 * stats.norm.sf(3.4426)) < 4 * np.sqrt(35)


def test_streams_differ_in_every_part_of_their_key():
    keys = [(1, 2, 3, 4), (2, 2, 3, 4), (1, 3, 3, 4), (1, 2, 4, 4), (1, 2, 3, 5)]
    assert len({stream(*key) for key in keys}) == len(keys)
    assert stream(1, 2, 3, 4) == stream(1, 2, 3, 4)


def cumulants(b, c, n_terms=200_000):
    """Mean, variance and third cumulant, from the series of gamma variables."""
    h = np.arange(n_terms) + 0.5
    d = 1 / (2 * np.pi**2 * (h**2 + c**2 / (4 * np.pi**2)))
    rest = b / (2 * np.pi**2 * n_terms)  # of the mean; of the others nothing is left
    return b * d.sum() + rest, b * (d**2).sum(), 2 * b * (d**3).sum()


@pytest.mark.parametrize("c", [0.0, 0.005, 1.0, -4.0, 30.0, 60.0])
def test_polya_gamma_moments_in_closed_form(c):
    mean, variance, _ = cumulants(1.7, c)
    np.testing.assert_allclose(pg.mean_of(1.7, c), mean, rtol=1e-6)
    np.testing.assert_allclose(pg.variance_of(1.7, c), variance, rtol=1e-4)


@pytest.mark.parametrize("b", [1.0, 3.0, 0.25, 2.6, 8.5, 250.0])
@pytest.mark.parametrize("c", [0.0, 1.5, -6.0, 40.0])
def test_polya_gamma_draws_have_the_moments(b, c):
    draws = many_pg(N, b, c)
    mean, variance, third = cumulants(b, c)
    centred = draws - mean
    fourth = np.mean(centred**4)
    assert abs(draws.mean() - mean) < 4 * np.sqrt(variance / N)
    assert abs(draws.var() - variance) < 4 * np.sqrt((fourth - variance**2) / N)
    error = 5 * np.std(centred**3) / np.sqrt(N)
    assert abs(np.mean(centred**3) - third) < error


@pytest.mark.parametrize("b", [0.05, 0.9, 20.0])
def test_polya_gamma_of_any_shape_has_the_laplace_transform(b):
    # E exp(-t PG(b, c)) = cosh(c/2)^b / cosh(sqrt(c^2/4 + t/2))^b
    c, t = 1.3, np.array([0.5, 3.0])
    terms = np.exp(-t[:, None] * many_pg(N, b, c))
    exact = (np.cosh(c / 2) / np.cosh(np.sqrt(c**2 / 4 + t / 2))) ** b
    error = terms.std(axis=1) / np.sqrt(N)
    assert np.all(np.abs(terms.mean(axis=1) - exact) < 4 * error)


def test_exact_polya_gamma_follows_the_series():
    rng = np.random.default_rng(0)
    h = np.arange(200) + 0.5
    d = 1 / (2 * np.pi**2 * (h**2 + 4 / (4 * np.pi**2)))
    series = rng.exponential(size=(4000, 200)) @ d
    assert stats.ks_2samp(many_pg(4000, 1.0, 2.0), series).pvalue > 1e-3


@pytest.mark.parametrize("c", [1e3, 1e6, 1e12, np.inf, np.nan])
def test_extreme_tilts_end(c):
    draws = many_pg(50, 1.5, c)
    assert not np.isfinite(c) or np.all(draws > 0)
