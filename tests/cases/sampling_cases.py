"""Small problems, and plain float64 NumPy versions of what the sampler computes."""

import numpy as np
import scipy.sparse as sp

from skfm.sampling import Prior, Problem, Settings
from skfm.sampling.chain import Chain
from skfm.sampling.data import Data

#: Priors that keep simulated data of tiny problems within reason.
MILD = Prior(intercept=1.0, noise=(4.0, 4.0))


def cells(n_rows, sizes, seed=0):
    """One-hot CSR matrix, and the field of each column."""
    rng = np.random.default_rng(seed)
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    columns = np.column_stack([rng.integers(s, size=n_rows) for s in sizes]) + starts
    indptr = np.arange(0, columns.size + 1, len(sizes))
    ones = np.ones(columns.size, np.float32)
    X = sp.csr_array((ones, columns.ravel(), indptr), shape=(n_rows, sum(sizes)))
    return X, np.repeat(np.arange(len(sizes)), sizes)


def mixed(n_rows, seed=0):
    """One-hot, multi-valued and numeric columns, and the field of each."""
    rng = np.random.default_rng(seed)
    one_hot, _ = cells(n_rows, [4], seed)
    multi = sp.random_array((n_rows, 5), density=0.4, rng=rng, dtype=np.float32)
    multi.data[:] = 1
    number = sp.csr_array(rng.normal(size=(n_rows, 1)).astype(np.float32))
    X = sp.csr_array(sp.hstack([one_hot, multi, number], format="csr"))
    X.sort_indices()
    return X, np.repeat([0, 1, 2], [4, 5, 1])


def problem_of(X, fields, family="gaussian", n_outputs=1, seed=0, weight=None):
    """A problem with random targets."""
    rng = np.random.default_rng(seed + 1)
    n = X.shape[0]
    n_fields = 1 if fields is None else int(fields.max()) + 1
    target = (
        rng.normal(size=(n, n_outputs))
        if family == "gaussian"
        else rng.integers(2 if family == "logistic" else n_outputs, size=n)
    )
    return Problem(X, fields, n_fields, target, weight, family, max(2, n_outputs))


def chain_of(problem, n_factors=2, prior=MILD, seed=0, n_threads=1):
    """A chain that is ready to step."""
    chain = Chain(Data.of(problem, prior, n_factors), seed, 0, n_threads)
    chain.resume()
    return chain


def rows_of(chain):
    """The merged rows, scaled as the chain sees them, as a dense float64 matrix."""
    data = chain.data
    dense = data.problem.csr[data.rows.first].toarray().astype(float)
    return dense / data.layout.columns.scales


def parameters_of(machine):
    """Factors (n_columns, k) and weights of a machine."""
    k = machine.data.n_factors
    table = machine.table.astype(float)
    return table[:, :k], table[:, machine.width]


def fm(X, intercept, V, w):
    """Scores of a factorization machine: the sum over pairs, by definition."""
    out = intercept + X @ w
    for i in range(X.shape[1]):
        for j in range(i + 1, X.shape[1]):
            out = out + X[:, i] * X[:, j] * (V[i] @ V[j])
    return out


def scores_of(chain, output=0):
    """Scores of the merged rows under a machine's parameters, by definition."""
    machine = chain.machines[output]
    return fm(rows_of(chain), machine.intercept, *parameters_of(machine))


def quick(**changes):
    """Settings of a short run."""
    given = {"n_factors": 2, "max_iter": 40, "burn_in": 8, "n_samples": 8, "tol": None}
    return Settings(**{**given, **changes})
