"""Fused kernels: reduce the gradient of a column and make the step at once.

The gradient is never written to memory. Shapes and the tuple ``gradient`` are those of
`skfm.sparse.kernels`.
"""

# mypy: disable-error-code="no-untyped-def, untyped-decorator, call-arg"

from __future__ import annotations

import numpy as np

from ..runtime.jit import kernel
from ..runtime.simd import add_row
from ..sparse.kernels import COLUMNS_AHEAD, column_gradient, request, widths
from .row_steps import adagrad_row, adam_row


@kernel
def sgd(weights, gradient, learning_rate, start, stop):
    """Make a step of gradient descent: w -= lr g."""
    factors, linear = weights
    distinct, (at, end, width) = gradient[0], widths(weights, gradient)
    acc = np.empty((1, width), factors.dtype)
    k, n_linear = factors.shape[1], linear.shape[1]
    for u in range(start, stop):
        request(weights, distinct[min(u + COLUMNS_AHEAD, stop - 1)])
        column_gradient(weights, gradient, u, acc, at)
        c, a, second = distinct[u], acc[0, end], acc[0, end + 1]
        add_row(factors, c, 0, factors, c, 0, k, -learning_rate * second, True)
        add_row(factors, c, 0, acc, 0, 0, k, -learning_rate, True)
        add_row(linear, c, 0, linear, c, 0, n_linear, -learning_rate * a, True)
        add_row(linear, c, 0, acc, 0, at, n_linear, -learning_rate, True)


@kernel
def adagrad(weights, gradient, squares, settings, start, stop):
    """Make a step of Adagrad: G = n g; s += G^2; w -= lr G / (sqrt(s) + eps).

    settings = (lr, eps, n)
    """
    distinct, (at, end, width) = gradient[0], widths(weights, gradient)
    acc = np.empty((1, width), weights[0].dtype)
    k, n_linear = weights[0].shape[1], weights[1].shape[1]
    for u in range(start, stop):
        ahead = distinct[min(u + COLUMNS_AHEAD, stop - 1)]
        request(weights, ahead)
        request(squares, ahead)
        column_gradient(weights, gradient, u, acc, at)
        c, a, second = distinct[u], acc[0, end], acc[0, end + 1]
        adagrad_row(weights[0], squares[0], c, acc, 0, k, second, settings)
        adagrad_row(weights[1], squares[1], c, acc, at, n_linear, a, settings)


@kernel
def adam(weights, gradient, mean, variance, settings, start, stop):
    """Make a step of lazy Adam, which updates the moments of touched columns only.

    settings = (step size lr / (1 - beta1^t), beta1, beta2, sqrt(1 - beta2^t), eps)
    """
    distinct, (at, end, width) = gradient[0], widths(weights, gradient)
    acc = np.empty((1, width), weights[0].dtype)
    k, n_linear = weights[0].shape[1], weights[1].shape[1]
    for u in range(start, stop):
        ahead = distinct[min(u + COLUMNS_AHEAD, stop - 1)]
        request(weights, ahead)
        request(mean, ahead)
        request(variance, ahead)
        column_gradient(weights, gradient, u, acc, at)
        c, a, second = distinct[u], acc[0, end], acc[0, end + 1]
        adam_row(weights[0], mean[0], variance[0], c, acc, 0, k, second, settings)
        adam_row(weights[1], mean[1], variance[1], c, acc, at, n_linear, a, settings)
