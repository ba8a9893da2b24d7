"""Merge rows of the same content into one, in an order that their content decides.

A row's likelihood depends on its content, so rows of equal content enter the sampler as
one, with the sum of their weights. The hash of the content orders the merged rows and
keys their random numbers. So weights, repetition, rows of weight zero and the order of
the rows cannot change a chain, and the first merged rows are a random sample of all.
"""

# mypy: disable-error-code="no-untyped-def, untyped-decorator, call-arg"

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..runtime.jit import kernel
from ..runtime.threads import parallel_for
from .problem import Problem
from .random import mix

_U = np.uint64


@dataclass(frozen=True)
class MergedRows:
    """Rows of different content, with their weights and targets.

    Attributes
    ----------
    first : ndarray of shape (n,), int64
        Number in X of the first row with the content.
    key : ndarray of shape (n,), uint64
        Hash of the content, ascending.
    weight : ndarray of shape (n,), float32
        Sum of the weights.
    target : ndarray of shape (n, n_outputs), float32
        Family "gaussian": weighted means of the targets. Otherwise the weight of each
        class less half of all: sum of s (y - 1/2).
    within : ndarray of shape (n_outputs,)
        Family "gaussian": weighted sum of squares of the targets about those means.
    """

    first: np.ndarray
    key: np.ndarray
    weight: np.ndarray
    target: np.ndarray
    within: np.ndarray

    @property
    def n_rows(self) -> int:
        return len(self.key)


def merge_rows(problem: Problem, n_threads: int) -> MergedRows:
    """Merge the rows of a problem that have weight."""
    X = problem.csr
    keys = np.empty(X.shape[0], np.uint64)
    parallel_for(_hash_rows, len(keys), n_threads, X.indptr, X.indices, X.data, keys)
    order = np.argsort(keys, kind="stable")
    if problem.weight is not None:
        order = order[problem.weight[order] > 0]
    starts = _starts(X.indptr, X.indices, X.data, keys, order)
    weight = np.ones(0) if problem.weight is None else problem.weight
    n, n_outputs = len(starts) - 1, problem.n_outputs
    total = np.empty(n, np.float32)
    target = np.empty((n, n_outputs), np.float32)
    parts = np.zeros((n, n_outputs) if problem.family == "gaussian" else (n, 0))
    observed: tuple[Any, ...] = order, starts, weight, problem.target
    if problem.family == "gaussian":
        parallel_for(_merge_numbers, n, n_threads, *observed, total, target, parts)
    else:
        parallel_for(_merge_classes, n, n_threads, *observed, total, target)
    within = parts.sum(axis=0).astype(np.float32).astype(np.float64)
    first = order[starts[:-1]]
    return MergedRows(first, keys[first], total, target, within)


@kernel
def _hash_rows(indptr, columns, values, out, begin, end):
    number = np.empty(1)
    bits = number.view(np.uint64)
    for r in range(begin, end):
        state = _U(0x243F6A8885A308D3)
        for p in range(indptr[r], indptr[r + 1]):
            if values[p] == 0:
                continue
            number[0] = values[p]
            state = mix(state ^ mix(bits[0] + _U(0x9E3779B97F4A7C15)))
            state = mix(state + _U(columns[p]) * _U(0xD1B54A32D192ED03) + _U(1))
        out[r] = state


@kernel
def _same(indptr, columns, values, a, b):
    """Return whether rows a and b hold the same entries, zeros aside."""
    p, p_end, q, q_end = indptr[a], indptr[a + 1], indptr[b], indptr[b + 1]
    while True:
        while p < p_end and values[p] == 0:
            p += 1
        while q < q_end and values[q] == 0:
            q += 1
        if p == p_end or q == q_end:
            return p == p_end and q == q_end
        if columns[p] != columns[q] or values[p] != values[q]:
            return False
        p += 1
        q += 1


@kernel
def _starts(indptr, columns, values, keys, order):
    """Bounds of the runs of equal rows in ``order``."""
    starts = np.empty(len(order) + 1, np.int64)
    n = 0
    for i in range(len(order)):
        # Two contents may share a hash: they stay two rows, which is as good a model.
        a, b = order[i - 1], order[i]
        if i > 0 and keys[a] == keys[b] and _same(indptr, columns, values, a, b):
            continue
        starts[n] = i
        n += 1
    starts[n] = len(order)
    return starts[: n + 1].copy()


@kernel(inner=True)
def _sort(numbers):
    """Sort numbers in place, by a heap: `np.sort` takes a second to compile."""
    n = len(numbers)
    for step in range(n // 2 + n):
        # First every parent sinks, the last one first. Then the largest goes last.
        building = step < n // 2
        root = n // 2 - 1 - step if building else 0
        end = n if building else n - 1 - (step - n // 2)
        if not building:
            numbers[0], numbers[end] = numbers[end], numbers[0]
        while 2 * root + 1 < end:
            child = 2 * root + 1
            if child + 1 < end and numbers[child + 1] > numbers[child]:
                child += 1
            if numbers[child] <= numbers[root]:
                break
            numbers[root], numbers[child] = numbers[child], numbers[root]
            root = child


@kernel(inner=True)
def _sorted_sum(numbers):
    """Sum in an order that only the numbers decide."""
    if len(numbers) > 2:
        numbers = numbers.copy()
        _sort(numbers)
    total = 0.0
    for number in numbers:
        total += number
    return total


@kernel(inner=True)
def _weights_of(order, start, stop, weight):
    out = np.ones(stop - start)
    if len(weight):
        for i in range(start, stop):
            out[i - start] = weight[order[i]]
    return out


@kernel
def _merge_numbers(order, starts, weight, numbers, total, target, within, begin, end):
    for g in range(begin, end):
        start, stop = starts[g], starts[g + 1]
        weights = _weights_of(order, start, stop, weight)
        mass = _sorted_sum(weights)
        total[g] = mass
        terms = np.empty(stop - start)
        for j in range(numbers.shape[1]):
            if stop - start == 1:
                target[g, j] = numbers[order[start], j]
                continue
            for i in range(start, stop):
                terms[i - start] = weights[i - start] * numbers[order[i], j]
            mean = _sorted_sum(terms) / mass
            target[g, j] = mean
            for i in range(start, stop):
                distance = numbers[order[i], j] - mean
                terms[i - start] = weights[i - start] * distance * distance
            within[g, j] = _sorted_sum(terms)


@kernel
def _merge_classes(order, starts, weight, codes, total, target, begin, end):
    n_outputs = target.shape[1]
    for g in range(begin, end):
        start, stop = starts[g], starts[g + 1]
        weights = _weights_of(order, start, stop, weight)
        mass = _sorted_sum(weights)
        total[g] = mass
        for j in range(n_outputs):
            wanted = 1 if n_outputs == 1 else j
            terms = np.zeros(stop - start)
            for i in range(start, stop):
                if codes[order[i]] == wanted:
                    terms[i - start] = weights[i - start]
            target[g, j] = _sorted_sum(terms) - 0.5 * mass
