"""Geweke's joint test, simulation-based calibration, and a plain Gibbs sampler."""

import numpy as np
import pytest
from sampling_cases import MILD, cells, chain_of, mixed, problem_of, quick
from scipy import stats
from scipy.special import expit

from skfm.sampling import Prior, Problem, Settings, sample


def simulate_prior(chain, rng):
    """Overwrite a chain's parameters with a draw from the prior."""
    data, prior = chain.data, chain.data.prior
    for j, machine in enumerate(chain.machines):
        machine.intercept = rng.normal(0, prior.intercept)
        shape, rate = prior.noise
        if data.problem.family == "gaussian":
            chain.likelihood.alpha[j] = rng.gamma(shape, 1 / rate)
        sd = np.abs(rng.standard_t(prior.degrees, machine.hyper[:, 0].shape))
        sd = sd * data.scales
        mean = rng.normal(size=sd.shape) * sd / np.sqrt(prior.pull)
        machine.hyper[:] = np.stack([mean, sd**-2.0, sd], axis=1)
        ids, k = data.layout.columns.ids, data.n_factors
        g = data.problem.fields[ids]
        theta = mean[g] + sd[g] * rng.normal(size=(len(ids), k + 1))
        machine.table[ids, :k], machine.table[ids, machine.width] = (
            theta[:, :k],
            theta[:, k],
        )
        machine.rescore()


def simulate_targets(chain, rng):
    """Overwrite the targets with a draw given the parameters."""
    rows, family = chain.data.rows, chain.data.problem.family
    for machine in chain.machines:
        machine.rescore()
    scores = chain.scores(rows.n_rows).astype(float)
    if family == "gaussian":
        scores += rng.normal(size=scores.shape) / np.sqrt(chain.likelihood.alpha)
        for j, machine in enumerate(chain.machines):
            machine.working[:] = scores[:, j]
    elif family == "logistic":
        weight = rows.weight.astype(int)
        share = 1 / (1 + np.exp(-scores[:, 0]))
        rows.target[:, 0] = rng.binomial(weight, share) - 0.5 * rows.weight
    else:
        shares = np.exp(scores - scores.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        counts = rng.multinomial(rows.weight.astype(int), shares)
        rows.target[:] = counts - 0.5 * rows.weight[:, None]
    chain.resume()


def summary(chain):
    """Bounded functions of all parameters: half-t tails have few moments."""
    out = []
    for j, machine in enumerate(chain.machines):
        k, ids = chain.data.n_factors, chain.data.layout.columns.ids
        v, w = machine.table[ids, :k].astype(float), machine.table[ids, machine.width]
        scores = chain.scores(chain.data.rows.n_rows)[:, j].astype(float)
        out += [
            np.tanh(machine.intercept),
            np.log(chain.likelihood.alpha[j]),
            *np.log(machine.hyper[:, 2]).clip(-8, 3).ravel(),
            *np.tanh(machine.hyper[:, 0]).ravel(),
            *np.tanh(np.abs(v).mean(axis=0)),
            np.tanh(w.astype(float)).mean(),
            *np.tanh(scores[:3]),
            np.tanh(scores).std(),
        ]
    return np.array(out)


def batch_errors(draws, n_batches=40):
    """Standard errors of the means of dependent draws."""
    batches = draws[: len(draws) // n_batches * n_batches]
    batches = batches.reshape(n_batches, -1, draws.shape[1]).mean(axis=1)
    return batches.std(axis=0, ddof=1) / np.sqrt(n_batches)


@pytest.mark.parametrize(
    ("family", "n"), [("gaussian", 3000), ("logistic", 3000), ("multinomial", 1500)]
)
def test_geweke(family, n):
    # Two ways to draw from the joint distribution of parameters and targets: prior and
    # likelihood, and alternating the sampler with the likelihood.
    X, fields = mixed(14, seed=6) if family == "logistic" else cells(14, [3, 2, 4])
    weight = None
    if family == "gaussian":  # of which the simulation knows no repeated rows
        X = X[np.unique(X.toarray(), axis=0, return_index=True)[1]]
    else:
        weight = np.repeat([3.0, 1.0], [4, 10])
    n_outputs = 3 if family == "multinomial" else 1
    problem = problem_of(X, fields, family, n_outputs, weight=weight)
    prior = Prior(weight=0.9, factor=0.8, intercept=1.0, noise=(4.0, 4.0))
    chain = chain_of(problem, n_factors=2, prior=prior)
    rng = np.random.default_rng(0)
    independent, successive = [], []
    for _ in range(n):
        simulate_prior(chain, rng)
        independent.append(summary(chain))
    for _ in range(2 * n):
        simulate_targets(chain, rng)
        chain.step()
        successive.append(summary(chain))
    independent, successive = np.array(independent), np.array(successive)
    error = np.hypot(independent.std(axis=0) / np.sqrt(n), batch_errors(successive))
    z = (independent.mean(axis=0) - successive.mean(axis=0)) / np.maximum(error, 1e-12)
    assert np.abs(z).max() < 4.2, z.round(1)
    # Nearly all of many standard normal numbers are within two.
    assert np.mean(np.abs(z) < 2.5) > 0.85


def test_simulation_based_calibration():
    # Talts et al. 2018: the rank of what made the data among the samples is uniform.
    X, fields = cells(40, [4, 3, 2], seed=3)
    problem = problem_of(X, fields, "logistic")
    prior = Prior(weight=1.5, factor=1.0, intercept=1.0)
    rng = np.random.default_rng(1)
    n_runs, n_samples = 120, 15
    ranks = []
    for run in range(n_runs):
        chain = chain_of(problem, 2, prior, seed=run)
        simulate_prior(chain, rng)
        simulate_targets(chain, rng)
        truth = watched(chain)
        draws = []
        for _ in range(n_samples):
            for _ in range(6):
                chain.step()
            draws.append(watched(chain))
        ranks.append((np.array(draws) < truth).sum(axis=0))
    ranks = np.array(ranks)
    for quantity in ranks.T:
        counts = np.bincount(quantity // 4, minlength=4)
        assert stats.chisquare(counts).pvalue > 1e-3


def watched(chain):
    """Quantities whose ranks are taken: scores, the intercept and a field's scale."""
    machine = chain.machines[0]
    return np.r_[
        chain.scores(3)[:, 0],
        machine.intercept,
        machine.hyper[0, 2, -1],
        machine.hyper[1, 2, 0],
    ]


def plain_gibbs(X, fields, target, family, k, prior, n_iter, seed):
    """Mean of f or of its logistic over a Gibbs sampler written from the equations."""
    rng = np.random.default_rng(seed)
    n, d = X.shape
    scales = prior.scales(k, (X != 0).sum() / n)
    theta = rng.normal(scale=0.1, size=(d, k + 1))
    groups = np.unique(fields)
    mu, lam = np.zeros((len(groups), k + 1)), np.ones((len(groups), k + 1))
    w0, total, count = 0.0, np.zeros(n), 0

    def score():
        q = X @ theta[:, :k]
        return w0 + X @ theta[:, k] + 0.5 * ((q**2) - X**2 @ theta[:, :k] ** 2).sum(1)

    for it in range(n_iter):
        f = score()
        if family == "gaussian":
            z = target
            a, b = prior.noise
            precision = np.full(
                n, rng.gamma(a + n / 2, 1 / (b + ((z - f) ** 2).sum() / 2))
            )
        else:
            h = np.arange(100) + 0.5
            d_h = 1 / (2 * np.pi**2 * (h**2 + f[:, None] ** 2 / (4 * np.pi**2)))
            precision = (rng.exponential(size=d_h.shape) * d_h).sum(1)
            z = (target - 0.5) / precision
        total_precision = precision.sum() + prior.intercept**-2
        rest = precision @ (z - f + w0)
        w0 = rest / total_precision + rng.normal() / np.sqrt(total_precision)
        for g in groups:
            members = theta[fields == g]
            m, mean = len(members), members.mean(axis=0)
            tau = rng.gamma(
                (prior.degrees + 1) / 2, 1 / (prior.degrees * lam[g] + scales**-2)
            )
            around = ((members - mean) ** 2).sum(axis=0) + m / (m + 1) * mean**2
            lam[g] = rng.gamma(
                (prior.degrees + m) / 2, 1 / (prior.degrees * tau + around / 2)
            )
            mu[g] = m * mean / (m + 1) + rng.normal(size=k + 1) / np.sqrt(
                lam[g] * (m + 1)
            )
        for i in range(d):
            x, g = X[:, i], fields[i]
            q = X @ theta[:, :k]
            slopes = np.column_stack([x[:, None] * (q - np.outer(x, theta[i, :k])), x])
            gram = slopes.T * precision
            system = np.diag(lam[g]) + gram @ slopes
            right = lam[g] * mu[g] + gram @ (z - score() + slopes @ theta[i])
            noise = np.linalg.solve(
                np.linalg.cholesky(system).T, rng.normal(size=k + 1)
            )
            theta[i] = np.linalg.solve(system, right) + noise
        if it >= n_iter // 4:
            f = score()
            total += f if family == "gaussian" else expit(f)
            count += 1
    return total / count


@pytest.mark.parametrize(
    ("kind", "family"),
    [("two fields", "logistic"), ("mixed", "gaussian"), ("linear", "logistic")],
)
def test_posterior_means_are_those_of_a_plain_sampler(family, kind):
    # Two one-hot fields make Bayesian matrix factorisation; no factors a linear model.
    k = 0 if kind == "linear" else 2
    if kind == "two fields":
        X, fields = cells(50, [4, 3], seed=8)
    else:
        X, fields = mixed(60, seed=8)
    rng = np.random.default_rng(2)
    dense = X.toarray().astype(float)
    dense /= np.sqrt((dense**2).sum(axis=0) / np.maximum(1, (dense != 0).sum(axis=0)))
    signal = dense @ rng.normal(size=X.shape[1])
    target = signal + 2 * rng.normal(size=len(signal))
    target = (target - target.mean()) / target.std()
    if family == "logistic":
        target = (target > 0).astype(float)
    plain = [
        plain_gibbs(dense, fields, target, family, k, MILD, 1000, s) for s in (1, 2)
    ]
    given = target[:, None] if family == "gaussian" else target.astype(int)
    problem = Problem(X, fields, int(fields.max()) + 1, given, None, family)
    settings = Settings(k, 4, 1200, 300, 400, None, 3, prior=MILD)
    mean, _ = sample(problem, settings).posterior.mean(X)
    # The distance of two runs of the plain sampler bounds the error of one.
    error = 4 * np.abs(plain[0] - plain[1]).max() + 0.01
    assert np.abs(mean[:, 0] - np.mean(plain, axis=0)).max() < min(error, 0.1)
    assert np.ptp(mean) > 0.3


@pytest.mark.parametrize("family", ["gaussian", "logistic"])
def test_a_planted_machine_is_recovered(family):
    rng = np.random.default_rng(0)
    X, fields = cells(3000, [12, 10, 8], seed=9)
    V = rng.normal(size=(30, 2))
    q = X @ V
    truth = 0.5 * (q**2 - X**2 @ V**2).sum(axis=1)
    if family == "gaussian":
        target = (truth + 0.3 * rng.normal(size=3000))[:, None] / truth.std()
    else:
        target = (rng.random(3000) < 1 / (1 + np.exp(-2 * truth))).astype(int)
    train = slice(0, 2000)
    problem = Problem(X[train], fields, 3, target[train], None, family)
    run = sample(problem, quick(n_factors=4, max_iter=100, burn_in=30, n_samples=16))
    test = slice(2000, 3000)
    scores = run.posterior.scores(X[test]).mean(axis=1)[:, 0]
    assert np.corrcoef(scores, truth[test])[0, 1] ** 2 > 0.95
    if family == "gaussian":
        np.testing.assert_allclose(
            run.diagnostics.noise[0] * truth.std(), 0.3, rtol=0.1
        )
