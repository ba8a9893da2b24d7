"""Each draw follows its conditional, worked out from the joint density."""

import numpy as np
import pytest
from sampling_cases import (
    MILD,
    cells,
    chain_of,
    fm,
    mixed,
    parameters_of,
    problem_of,
    rows_of,
    scores_of,
)
from scipy import stats

from skfm.sampling import layout_kernels, sweeps
from skfm.sampling.likelihoods import _augment
from skfm.sampling.polya_gamma import mean_of

N = 2000


def assert_moments(draws, mean, covariance):
    """Draws (n, d) have the mean and covariance of a normal distribution."""
    n = len(draws)
    error = (draws.mean(axis=0) - mean) / np.sqrt(np.diag(covariance) / n)
    assert np.all(np.abs(error) < 4.5)
    whiten = np.linalg.inv(np.linalg.cholesky(covariance))
    white = (draws - mean) @ whiten.T
    spread = (white.T @ white / n - np.eye(len(mean))) * np.sqrt(n)
    assert np.all(np.abs(spread) < 7)


def design_of(X, column, intercept, V, w):
    """The scores as a linear function of a column's numbers: offset and slopes."""

    def score(theta):
        factors, weights = V.copy(), w.copy()
        factors[column], weights[column] = theta[:-1], theta[-1]
        return fm(X, intercept, factors, weights)

    offset = score(np.zeros(V.shape[1] + 1))
    return offset, np.stack([score(e) - offset for e in np.eye(V.shape[1] + 1)], axis=1)


@pytest.mark.parametrize(
    ("k", "way", "weighted"),
    [
        (0, "short", True),
        (3, "short", False),
        (3, "long", True),
        (8, "short", True),
        (17, "short", False),
    ],
)
def test_columns_follow_their_joint_conditional(k, way, weighted):
    X, fields = mixed(14, seed=2)
    weight = np.random.default_rng(0).uniform(0.3, 3, 14) if weighted else None
    chain = chain_of(problem_of(X, fields, weight=weight), n_factors=k)
    machine, columns = chain.machines[0], chain.data.layout.columns
    rng = np.random.default_rng(5)
    machine.table[columns.ids, :k] = rng.normal(size=(len(columns.ids), k))
    machine.table[columns.ids, machine.width] = rng.normal(size=len(columns.ids))
    machine.rescore()
    hyper = np.stack([rng.normal(size=k + 1), *2 * [rng.uniform(0.5, 2, k + 1)]])
    hyper[2] = hyper[1] ** -0.5
    alpha = 1.7
    # The longest column, and for the way through the space of rows the shortest.
    lengths = np.diff(columns.bounds)
    for position in {int(lengths.argmax()), int(lengths.argmin())}:
        draws = draw_column(machine, position, alpha, hyper, way)
        offset, slopes = design_of(
            rows_of(chain),
            columns.ids[position],
            machine.intercept,
            *parameters_of(machine),
        )
        precisions = alpha * chain.data.rows.weight.astype(float)
        precision = np.diag(hyper[1]) + slopes.T @ (precisions[:, None] * slopes)
        covariance = np.linalg.inv(precision)
        pull = slopes.T @ (precisions * (machine.working - offset))
        mean = covariance @ (hyper[1] * hyper[0] + pull)
        assert_moments(draws, mean, covariance)


def draw_column(machine, position, alpha, hyper, way):
    """Draws of one column, everything else as it is."""
    layout = machine.data.layout
    columns, k = layout.columns, machine.data.n_factors
    chunk = 3 if way == "long" else 100
    tasks, chunks, long = layout_kernels.tasks(
        columns.bounds, position, position + 1, chunk, 100
    )
    state = machine.sums, machine.residual, machine.roots, machine.table
    before = [array.copy() for array in state]
    arrays, column = columns.arrays(), columns.ids[position]
    width, wide = machine.width, machine.table.shape[1]
    grams = np.zeros((len(chunks), width, width), np.float32)
    moments = np.zeros((len(chunks), 2, wide), np.float32)
    none = np.zeros((0, width, width)), np.zeros((0, 2, wide))
    fresh, bad = np.zeros((1, wide), np.float32), np.zeros(1, np.int64)
    draws = np.empty((N, k + 1))
    for i in range(N):
        prior, keys = (k, alpha, hyper), (machine.seed, i)
        if way == "long" and len(long):
            sweeps.gram_chunks(
                state, arrays, chunks, long, grams, moments, 0, len(chunks)
            )
            sweeps.draw_long(
                arrays,
                machine.table,
                long,
                (grams, moments),
                prior,
                keys,
                bad,
                fresh,
                none,
                0,
                1,
            )
            row = fresh[0]
        else:
            sweeps.draw_and_apply(state, arrays, tasks, prior, keys, bad, 0, len(tasks))
            row = machine.table[column].copy()
            for array, old in zip(state, before, strict=True):
                array[...] = old
        draws[i, :k], draws[i, k] = row[:k], row[width]
    assert not bad[0]
    return draws


@pytest.mark.parametrize("family", ["gaussian", "logistic", "multinomial"])
@pytest.mark.parametrize("k", [0, 2, 9])
def test_rows_are_kept_up_to_date(family, k):
    X, fields = mixed(50, seed=4)
    chain = chain_of(problem_of(X, fields, family, 3), n_factors=k)
    for _ in range(4):
        chain.step()
    scores = chain.scores(chain.data.rows.n_rows)
    for j in range(len(chain.machines)):
        exact = scores_of(chain, j)
        np.testing.assert_allclose(scores[:, j], exact, rtol=1e-4, atol=1e-4)


def test_intercept_follows_its_conditional():
    X, fields = cells(12, [3, 3])
    chain = chain_of(problem_of(X, fields, weight=np.arange(1.0, 13)))
    machine, alpha = chain.machines[0], 0.8
    totals, residual = machine.row_sums(), machine.residual.copy()
    draws = np.empty((N, 1))
    for i in range(N):
        machine.intercept, machine.residual[:] = 0.0, residual
        machine.draw_intercept(i, alpha, totals)
        draws[i] = machine.intercept
    weight = chain.data.rows.weight.astype(float)
    rest = machine.working - (scores_of(chain) - machine.intercept)
    precision = alpha * weight.sum() + MILD.intercept**-2
    mean = alpha * (weight @ rest) / precision
    assert_moments(draws, [mean], np.array([[1 / precision]]))


def test_noise_follows_its_conditional():
    X, fields = cells(30, [2, 2])  # of few kinds, so that rows are merged
    problem = problem_of(X, fields, weight=np.random.default_rng(0).uniform(0, 3, 30))
    chain = chain_of(problem)
    draws = np.empty(N)
    for i in range(N):
        chain.likelihood.prepare(0, i)
        draws[i] = chain.likelihood.alpha[0]
    machine = chain.machines[0]
    errors = problem.target[:, 0] - fm(
        X.toarray(), machine.intercept, *parameters_of(machine)
    )
    shape, rate = MILD.noise
    law = stats.gamma(
        shape + problem.weight.sum() / 2,
        scale=1 / (rate + problem.weight @ errors**2 / 2),
    )
    assert stats.kstest(draws, law.cdf).pvalue > 1e-3


def test_hyperparameters_follow_their_conditional():
    X, fields = cells(40, [6, 3])
    chain = chain_of(problem_of(X, fields), n_factors=1)
    machine, data = chain.machines[0], chain.data
    machine.table[:, 0] = np.random.default_rng(1).normal(0.4, 0.7, 9)
    log_sd, means = np.empty(4 * N), np.empty(4 * N)
    for i in range(4 * N):
        machine.draw_hyper(i)
        log_sd[i], means[i] = np.log(machine.hyper[0, 2, 0]), machine.hyper[0, 0, 0]
    theta, scale, nu = machine.table[:6, 0].astype(float), data.scales[0], MILD.degrees
    # p(theta, mu, sd) on a grid, normalised numerically.
    sd, mu = np.exp(np.linspace(-4, 3, 500))[:, None], np.linspace(-4, 4, 801)
    log_density = (
        stats.norm.logpdf(theta[:, None, None], mu, sd).sum(axis=0)
        + stats.norm.logpdf(mu, 0, sd / np.sqrt(MILD.pull))
        + stats.t.logpdf(sd / scale, nu)
        + np.log(sd)  # the grid is even in log sd
    )
    density = np.exp(log_density - log_density.max())
    for draws, points, mass in (
        (log_sd, np.log(sd[:, 0]), density.sum(axis=1)),
        (means, mu, density.sum(axis=0)),
    ):
        cumulative = np.cumsum(mass) / mass.sum()

        def cdf(x, points=points, cumulative=cumulative):
            return np.interp(x, points, cumulative)

        # Draws of one precision after the other depend on each other: every fourth.
        assert stats.kstest(draws[::4], cdf).pvalue > 1e-3


def test_augmentation_has_the_likelihood_of_the_classes():
    X, fields = cells(20, [2, 5])
    chain = chain_of(problem_of(X, fields, "multinomial", 3))
    machine, rows = chain.machines[1], chain.data.rows
    machine.working[:] = np.random.default_rng(0).normal(size=rows.n_rows)
    machine.rescore()
    f = machine.residual.astype(float) + machine.working
    chain.likelihood.resume()
    scores = chain.likelihood.scores.astype(float)
    others = np.log(np.exp(scores[:, 0]) + np.exp(scores[:, 2]))
    omega = np.zeros(rows.n_rows)
    for i in range(N):
        _augment(
            rows.key,
            rows.weight,
            rows.target,
            (machine.seed, i),
            chain.likelihood.scores,
            1,
            machine.working,
            machine.residual,
            machine.roots,
            0,
            rows.n_rows,
        )
        precision = machine.roots.astype(float) ** 2
        omega += precision / N
        # omega (z - offset) is kappa, whatever omega is
        kappa = precision * (machine.working - others)
        np.testing.assert_allclose(kappa, rows.target[:, 1], atol=1e-3)
        np.testing.assert_allclose(machine.residual + machine.working, f, atol=1e-3)
    expected = [mean_of(s, c) for s, c in zip(rows.weight, f - others, strict=True)]
    np.testing.assert_allclose(omega, expected, rtol=0.05)
