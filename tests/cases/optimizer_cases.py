"""Cases and references that the tests of optimizers share."""

import numpy as np
import pytest

from skfm.sparse import KernelBackend, TorchBackend

PATHS = [
    pytest.param(KernelBackend, id="kernels"),
    pytest.param(TorchBackend, id="torch"),
]
#: Optimizers that step by the gradient of the batch's sum rather than of its mean.
BY_SUMS = {"adagrad", "ftrl"}


def naive_ftrl(weight, gradient, state, lr, l1=0.0, beta=1.0):
    """McMahan et al. (2013), algorithm 1, with z times the learning rate."""
    z, squares = state[:2]
    z[squares == 0] = -beta * weight[squares == 0]
    sigma = (np.sqrt(squares + gradient**2) - np.sqrt(squares)) / lr
    z += lr * (gradient - sigma * weight)
    squares += gradient**2
    step = lr / (beta + np.sqrt(squares))
    shrunk = np.where(np.abs(z) <= l1, 0, z - np.sign(z) * l1)
    return -step * shrunk / lr
