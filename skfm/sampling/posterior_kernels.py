"""Compiled scoring of rows under all samples of a posterior at once.

``entries`` is (indptr, indices, data); ``samples`` is (slots, fields, table, means,
deviations, intercept) with one row a column, or field, of all samples' numbers;
``shape`` is (n_outputs, k + 1).
"""

# mypy: disable-error-code="no-untyped-def, untyped-decorator, call-arg"

from __future__ import annotations

import math

import numpy as np
from numba import njit

from ..runtime.jit import JIT, prefetch_row
from ..runtime.simd import add_row, add_squares


@njit(**JIT)
def _gather(r, entries, samples, sums, squares):
    """Sum x theta and its squares over a row's entries; returns how many are unseen."""
    indptr, indices, data = entries
    slots, fields, table, means, _, _ = samples
    n, begin, end = table.shape[1], indptr[r], indptr[r + 1]
    sums[:, :] = 0
    squares[:, :] = 0
    n_unseen = 0
    for p in range(begin, end):
        following = slots[indices[min(p + 1, end - 1)]]
        if following >= 0:
            prefetch_row(table, following, n)
        c, x = indices[p], np.float32(data[p])
        slot = np.intp(slots[c])
        if slot >= 0:
            add_row(sums, 0, 0, table, slot, 0, n, x, True)
            add_squares(squares, 0, 0, table, slot, 0, n, x, True)
        elif x != 0:
            field = np.intp(fields[c])
            add_row(sums, 0, 0, means, field, 0, n, x, True)
            add_squares(squares, 0, 0, means, field, 0, n, x, True)
            n_unseen += 1
    return n_unseen


@njit(**JIT)
def _scores(sums, squares, intercept, width, out):
    """Scores of a row under each sample and output."""
    for i in range(len(intercept)):
        begin = i * width
        pairs = np.float32(0)
        for a in range(begin, begin + width - 1):
            pairs += sums[0, a] * sums[0, a] - squares[0, a]
        out[i] = intercept[i] + sums[0, begin + width - 1] + np.float32(0.5) * pairs


@njit(**JIT)
def _variances(r, entries, samples, sums, width, out):
    """Variances that unseen columns leave in a row's scores."""
    indptr, indices, data = entries
    slots, fields, _, means, deviations, _ = samples
    for i in range(len(out)):
        begin, total = i * width, 0.0
        for a in range(begin, begin + width):
            linear = a == begin + width - 1
            first, second = 0.0, 0.0
            for p in range(indptr[r], indptr[r + 1]):
                c, x = indices[p], np.float64(data[p])
                if slots[c] >= 0:
                    continue
                spread = (x * deviations[fields[c], a]) ** 2
                slope = 1.0 if linear else sums[0, a] - x * means[fields[c], a]
                total += spread * slope * slope
                first += spread
                second += spread * spread
            if not linear:
                total += 0.5 * (first * first - second)
        out[i] = total


@njit(**JIT)
def score_rows(entries, samples, shape, out, begin, end):
    """Score rows begin:end into ``out`` (n_rows, n_samples n_outputs)."""
    n = samples[2].shape[1]
    sums, squares = np.empty((1, n), np.float32), np.empty((1, n), np.float32)
    for r in range(begin, end):
        _gather(r, entries, samples, sums, squares)
        _scores(sums, squares, samples[5], shape[1], out[r])


@njit(**JIT)
def _to_probabilities(scores, variances):
    """Turn the scores of one sample into probabilities, in place."""
    for j in range(len(scores)):
        scores[j] /= math.sqrt(1 + math.pi / 8 * variances[j])
    if len(scores) == 1:
        # Of the two forms this is the one that never overflows.
        low = math.exp(-abs(scores[0]))
        scores[0] = 1 / (1 + low) if scores[0] >= 0 else low / (1 + low)
        return
    top = scores.max()
    total = 0.0
    for j in range(len(scores)):
        scores[j] = math.exp(scores[j] - top)
        total += scores[j]
    for j in range(len(scores)):
        scores[j] /= total


@njit(**JIT)
def average_rows(entries, samples, shape, link, mean, deviation, begin, end):
    """Means and standard deviations of rows begin:end over samples."""
    n_outputs, width = shape
    n = samples[2].shape[1]
    sums, squares = np.empty((1, n), np.float32), np.empty((1, n), np.float32)
    scores = np.empty(n // width, np.float32)
    variances = np.zeros(n // width)
    one = np.empty(n_outputs)
    n_samples = n // width // n_outputs
    for r in range(begin, end):
        n_unseen = _gather(r, entries, samples, sums, squares)
        _scores(sums, squares, samples[5], width, scores)
        variances[:] = 0
        if n_unseen:
            _variances(r, entries, samples, sums, width, variances)
        first, second, left = np.zeros(n_outputs), np.zeros(n_outputs), 0.0
        for s in range(n_samples):
            block = slice(s * n_outputs, (s + 1) * n_outputs)
            one[:] = scores[block]
            if link:
                _to_probabilities(one, variances[block])
            for j in range(n_outputs):
                # About the first sample, so that nothing cancels.
                if s == 0:
                    mean[r, j] = one[j]
                first[j] += one[j] - mean[r, j]
                second[j] += (one[j] - mean[r, j]) ** 2
        for j in range(n_outputs):
            left = 0.0
            if not link:
                for s in range(n_samples):
                    left += variances[s * n_outputs + j] / n_samples
            shift = first[j] / n_samples
            mean[r, j] += shift
            deviation[r, j] = math.sqrt(
                max(0.0, second[j] / n_samples - shift * shift) + left
            )
