"""Predictions from samples, and diagnostics of chains."""

import numpy as np
import pytest
import scipy.sparse as sp
from sampling_cases import fm, mixed, problem_of, quick

from skfm.sampling import bulk_ess, sample, split_rhat

LINKS = {
    "gaussian": lambda f: f,
    "logistic": lambda f: 1 / (1 + np.exp(-f)),
    "multinomial": lambda f: np.exp(f) / np.exp(f).sum(axis=-1, keepdims=True),
}


@pytest.fixture(params=["gaussian", "logistic", "multinomial"])
def fitted(request):
    X, fields = mixed(60, seed=7)
    n_outputs = {"gaussian": 2, "logistic": 1, "multinomial": 3}[request.param]
    problem = problem_of(X, fields, request.param, n_outputs)
    return X, sample(problem, quick(n_factors=3)).posterior


def scores_by_definition(posterior, X, table=None):
    """Scores (n_rows, n_samples, n_outputs) by the sum over pairs."""
    table = posterior.table if table is None else table
    out = np.empty((X.shape[0], posterior.n_samples, posterior.n_outputs))
    for s in range(posterior.n_samples):
        for j in range(posterior.n_outputs):
            theta = table[:, s, j].astype(float)
            out[:, s, j] = fm(X, posterior.intercept[s, j], theta[:, :-1], theta[:, -1])
    return out


@pytest.mark.parametrize("n_threads", [1, 2])
def test_predictions_are_those_of_the_definition(fitted, n_threads):
    X, posterior = fitted
    exact = scores_by_definition(posterior, X.toarray().astype(float))
    scores = posterior.scores(X, n_threads)
    np.testing.assert_allclose(scores, exact, rtol=1e-4, atol=1e-4)
    values = LINKS[posterior.family](exact)
    mean, deviation = posterior.mean(X, n_threads)
    np.testing.assert_allclose(mean, values.mean(axis=1), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(deviation, values.std(axis=1), rtol=1e-3, atol=1e-4)


def test_unseen_columns_are_averaged_over_their_prior():
    X, fields = mixed(40, seed=7)
    # Columns 3 and 8 are in no training row.
    keep = np.ones(10)
    keep[[3, 8]] = 0
    seen = sp.csr_array(X * keep)
    seen.eliminate_zeros()
    problem = problem_of(seen, fields)
    posterior = sample(problem, quick(n_factors=2)).posterior
    assert posterior.slots[3] == posterior.slots[8] == -1
    row = sp.csr_array(np.array([[0, 0, 0, 1.0, 1, 0, 0, 0, 2, 0.5]]))
    mean, deviation = posterior.mean(row)
    full = np.zeros((10, *posterior.table.shape[1:]))
    full[posterior.slots >= 0] = posterior.table
    rng = np.random.default_rng(0)
    draws = []
    for _ in range(3000):
        for c, g in ((3, 0), (8, 1)):
            z = rng.normal(size=full[c].shape)
            full[c] = posterior.means[g] + z * posterior.deviations[g]
        draws.append(scores_by_definition(posterior, row.toarray(), full)[0, :, 0])
    draws = np.array(draws)
    error = 5 * draws.std() / np.sqrt(draws.size)
    # The pair of two unseen columns is the product of their means.
    np.testing.assert_allclose(mean[0, 0], draws.mean(), atol=error)
    np.testing.assert_allclose(deviation[0, 0], draws.std(), rtol=0.08)


def test_probabilities_of_unseen_columns_lean_to_one_half():
    X, fields = mixed(40, seed=7)
    keep = np.ones(10)
    keep[3] = 0
    seen = sp.csr_array(X * keep)
    seen.eliminate_zeros()
    posterior = sample(problem_of(seen, fields, "logistic"), quick()).posterior
    row = sp.csr_array(np.eye(10)[[3]])
    f = posterior.scores(row)[0, :, 0].astype(float)
    sd = posterior.deviations[0, :, 0, -1].astype(float)
    z, weights = np.polynomial.hermite_e.hermegauss(40)
    exact = (1 / (1 + np.exp(-(f[:, None] + sd[:, None] * z))) @ weights).mean()
    mean, _ = posterior.mean(row)
    np.testing.assert_allclose(mean[0, 0], exact / np.sqrt(2 * np.pi), atol=0.01)


def test_other_columns_are_refused(fitted):
    _, posterior = fitted
    with pytest.raises(ValueError, match="X has 9 columns, the posterior 10"):
        posterior.mean(sp.csr_array((2, 9)))


def autoregressive(n_iter, n_chains, n, rho, rng):
    draws = np.zeros((n_iter, n_chains, n))
    draws[0] = rng.normal(size=(n_chains, n))
    for i in range(1, n_iter):
        noise = rng.normal(size=(n_chains, n)) * np.sqrt(1 - rho**2)
        draws[i] = rho * draws[i - 1] + noise
    return draws


def test_rhat_tells_chains_that_disagree():
    rng = np.random.default_rng(0)
    draws = rng.normal(size=(200, 4, 5))
    draws[:, 0, 1] += 2  # another place
    draws[:, 0, 2] *= 5  # another spread
    draws[:100, :, 3] += 2  # not stationary
    draws[..., 4] = 7  # never moves
    rhat = split_rhat(draws)
    assert rhat[0] < 1.02
    assert np.all(rhat[1:4] > 1.05)
    assert rhat[4] == 1
    # Ranks: the same under any increasing map.
    np.testing.assert_allclose(
        split_rhat(np.exp(draws[..., :1]))[0], rhat[0], rtol=0.01
    )


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9])
def test_ess_of_an_autoregressive_process(rho):
    draws = autoregressive(2000, 2, 20, rho, np.random.default_rng(1))
    expected = 4000 * (1 - rho) / (1 + rho)
    np.testing.assert_allclose(np.median(bulk_ess(draws)), expected, rtol=0.15)


def test_diagnostics_describe_the_samples():
    X, fields = mixed(80, seed=7)
    run = sample(problem_of(X, fields), quick())
    found = run.diagnostics
    assert found.n_iter == 40
    assert found.ess > 0
    np.testing.assert_allclose(found.noise, run.posterior.noise.mean(axis=0), rtol=1e-6)
    assert found.scales.shape == (3, 1, 3)
