"""Calibration and convergence of the Bayesian solver where positives are rare.

    python benchmarks/rare.py [--rows 100000 300000] [--shares 0.02 0.003]

Rows of nine skewed one-hot fields have a planted factorization machine. Of each number
of rows and share of positives: the log loss on 200,000 further rows beside that of the
truth and of the share alone; predicted, true and observed shares of positives by group
of predictions; and the split R-hat of the scores and of the intercept.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import scipy.sparse as sp
from sampling import FLIGHTS, flights_like
from scipy.optimize import brentq
from scipy.special import expit

from skfm.sampling import Problem, Settings, State, sample, split_rhat

N_TEST = 200_000
#: Bounds of the groups of predictions, as shares of the rows from the lowest one on.
GROUPS = (0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 1.0)


def planted(n_rows: int, share: float) -> tuple[sp.csr_array, np.ndarray, np.ndarray]:
    """Rows, their probabilities, of which the mean is ``share``, and classes."""
    rng = np.random.default_rng(0)
    X, _ = flights_like(n_rows)
    V = rng.normal(scale=0.25, size=(X.shape[1], 4))
    w = rng.normal(scale=0.4, size=X.shape[1])
    q = X @ V
    score = X @ w + 0.5 * (q**2 - X @ V**2).sum(axis=1)
    intercept = brentq(lambda b: expit(score + b).mean() - share, -40, 40)
    probability = expit(score + intercept)
    return X, probability, (rng.random(n_rows) < probability).astype(int)


def log_loss(y: np.ndarray, p: Any) -> float:
    p = np.clip(p, 1e-12, 1 - 1e-12)
    return float(-np.mean(np.where(y, np.log(p), np.log1p(-p))))


def measure(n_rows: int, share: float, n_threads: int) -> None:
    """Fit, and print what was found."""
    X, truth, y = planted(n_rows + N_TEST, share)
    fields = np.repeat(np.arange(len(FLIGHTS)), FLIGHTS)
    train, test = slice(0, n_rows), slice(n_rows, None)
    problem = Problem(X[train], fields, len(FLIGHTS), y[train], None, "logistic")
    intercepts: list[list[float]] = []

    def note(state: State) -> None:
        intercepts.append([chain.machines[0].intercept for chain in state.chains])

    settings = Settings(max_iter=200, n_threads=n_threads)
    run = sample(problem, settings, monitor=note)
    mean, _ = run.posterior.mean(X[test], n_threads)
    p, y, truth = mean[:, 0], y[test], truth[test]
    print(f"{n_rows:,} rows, {share:.1%} positive, {run.iteration} iterations")
    losses = [log_loss(y, q) for q in (p, truth, problem.target.mean())]
    print("  log loss {:.5f}, of the truth {:.5f}, of the share {:.5f}".format(*losses))
    print("  share of the rows   predicted       truth    observed")
    order, ends = np.argsort(p), np.array(GROUPS) * len(p)
    for begin, end in zip(ends[:-1].astype(int), ends[1:].astype(int), strict=True):
        group = order[begin:end]
        print(
            f"  {begin / len(p):8.0%} to {end / len(p):5.0%}   {p[group].mean():9.4%}"
            f"   {truth[group].mean():9.4%}   {y[group].mean():9.4%}"
        )
    draws = np.array(intercepts)[run.iteration // 2 :, :, None]
    found = run.diagnostics
    print(
        f"  R-hat of the scores {found.rhat:.3f}, of the intercept "
        f"{split_rhat(draws)[0]:.3f}; standard error of predictions {found.gap:.5f}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 300_000])
    parser.add_argument("--shares", type=float, nargs="+", default=[0.02, 0.003])
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    for n_rows, share in zip(given.rows, given.shares, strict=True):
        measure(n_rows, share, given.threads)


if __name__ == "__main__":
    main()
