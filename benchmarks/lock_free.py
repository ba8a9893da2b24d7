"""The loop to beat: per-sample FM with Adagrad, threads racing on one table.

What libFM and xLearn do in C++, compiled by numba with the same LLVM flags as ours:
one pass over the rows, scores and updates a row at a time, no locks, so that results
depend on the threads' timing. Weights and squared gradients of a column share a row.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
import scipy.sparse as sp


@numba.njit(nogil=True, fastmath=True, boundscheck=False, error_model="numpy")
def _pass(table, bias, order, indptr, columns, target, n_factors, rate, l2):
    """Learn from each row of ``order`` in turn; bias = [w0, its squared gradients]."""
    state = n_factors + 1
    total = np.empty(n_factors, np.float32)
    for b in order:
        total[:] = 0
        squares = np.float32(0)
        score = bias[0]
        for p in range(indptr[b], indptr[b + 1]):
            c = columns[p]
            score += table[c, n_factors]
            for j in range(n_factors):
                v = table[c, j]
                total[j] += v
                squares += v * v
        norm = np.float32(0)
        for j in range(n_factors):
            norm += total[j] * total[j]
        score += np.float32(0.5) * (norm - squares)
        g = np.float32(1) / (np.float32(1) + np.exp(-score)) - target[b]
        bias[1] += g * g
        bias[0] -= rate * g / np.sqrt(bias[1] + np.float32(1e-10))
        for p in range(indptr[b], indptr[b + 1]):
            c = columns[p]
            for j in range(n_factors):
                v = table[c, j]
                d = g * (total[j] - v) + l2 * v
                s = table[c, state + j] + d * d
                table[c, state + j] = s
                table[c, j] = v - rate * d / np.sqrt(s + np.float32(1e-10))
            w = table[c, n_factors]
            d = g + l2 * w
            s = table[c, state + n_factors] + d * d
            table[c, state + n_factors] = s
            table[c, n_factors] = w - rate * d / np.sqrt(s + np.float32(1e-10))


class LockFreeFM:
    """A factorization machine for two classes, trained by racing threads."""

    def __init__(self, n_columns: int, n_factors: int, n_threads: int) -> None:
        rng = np.random.default_rng(0)
        self.table = np.zeros((n_columns, 2 * (n_factors + 1)), np.float32)
        self.table[:, :n_factors] = 0.05 * rng.standard_normal((n_columns, n_factors))
        self.bias = np.zeros(2, np.float32)
        self.n_factors, self.n_threads = n_factors, n_threads

    def epoch(self, X: sp.csr_array, y: np.ndarray) -> float:
        """Seconds of one pass over X in random order."""
        order = np.random.default_rng(1).permutation(X.shape[0])
        target = y.astype(np.float32)
        start = time.perf_counter()
        with ThreadPoolExecutor(self.n_threads) as pool:
            passes = [
                pool.submit(
                    _pass,
                    self.table,
                    self.bias,
                    part,
                    X.indptr,
                    X.indices,
                    target,
                    self.n_factors,
                    np.float32(0.03),
                    np.float32(1e-5),
                )
                for part in np.array_split(order, self.n_threads)
            ]
            for one in passes:
                one.result()
        return time.perf_counter() - start
