"""Predictions from samples, and diagnostics of chains."""

import numpy as np
import pytest
import scipy.sparse as sp
from sampling_cases import fm, mixed, parameters_of, problem_of, quick

from skfm.sampling import HeldOut, State, bulk_ess, sample, split_rhat

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


def scores_by_definition(posterior, X):
    """Scores (n_rows, n_samples, n_outputs) by the sum over pairs."""
    size = len(posterior.linear), *posterior.intercept.shape
    factors = posterior.factors.reshape(*size, -1).astype(float)
    linear = posterior.linear.reshape(size).astype(float)
    out = np.empty((X.shape[0], *size[1:]))
    for s in range(size[1]):
        for j in range(size[2]):
            one = factors[:, s, j], linear[:, s, j]
            out[:, s, j] = fm(X, posterior.intercept[s, j], *one)
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


def without(X, columns):
    """Return X without the entries of some columns."""
    keep = np.ones(X.shape[1])
    keep[columns] = 0
    seen = sp.csr_array(X * keep)
    seen.eliminate_zeros()
    return seen


def test_unseen_columns_are_drawn_from_their_fields():
    X, fields = mixed(40, seed=7)
    run = sample(problem_of(without(X, [3, 8]), fields), quick(n_factors=2))
    keeper = run.keeper
    chosen = keeper.chosen(run.iteration)
    size = 10, len(chosen), -1
    numbers = np.concatenate(
        [getattr(run.posterior, name).reshape(size) for name in ("factors", "linear")],
        axis=2,
    )
    for column, field in ((3, 0), (8, 1)):
        mean, deviation = keeper.means[field, chosen], keeper.deviations[field, chosen]
        draws = (numbers[column] - mean[:, 0]) / deviation[:, 0]
        np.testing.assert_allclose(draws.mean(axis=0), 0, atol=1e-5)
        np.testing.assert_allclose(draws.std(axis=0), 1, atol=1e-5)
        assert len(np.unique(draws)) == draws.size
    again = sample(problem_of(without(X, [3, 8]), fields), quick(n_factors=2))
    np.testing.assert_array_equal(run.posterior.linear, again.posterior.linear)


def test_held_out_rows_are_scored_by_the_mean_of_the_iterations():
    X, fields = mixed(60, seed=7)
    train, rest = without(X[:40], [3]), X[40:]
    problem = problem_of(train, fields, "multinomial", 3)
    target = np.random.default_rng(0).integers(3, size=20)
    weight = np.arange(20.0)
    run = State(problem, quick(n_factors=2, burn_in=3))
    held_out = HeldOut(run, rest, target, weight)
    means = []
    for _ in range(8):
        run.advance()
        found = held_out.score()
        # The draws for column 3 stay in the tables until the next score.
        tables = [[m.table for m in chain.machines] for chain in run.chains]
        assert all(table[3].any() for of_chain in tables for table in of_chain)
        scores = [present_scores(chain, rest) for chain in run.chains]
        values = LINKS["multinomial"](np.array(scores)).mean(axis=0)
        means = [*means, values] if run.iteration > 4 else [values]
        chosen = np.mean(means, axis=0)[np.arange(20), target]
        expected = np.average(np.log(chosen), weights=weight)
        np.testing.assert_allclose(found, expected, rtol=1e-4)


def present_scores(chain, X):
    """Scores of other rows under the parameters of a chain, by definition."""
    dense = X.toarray().astype(float) / chain.data.layout.columns.scales
    machines = [(m.intercept, *parameters_of(m)) for m in chain.machines]
    return np.stack([fm(dense, *machine) for machine in machines], axis=1)


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
