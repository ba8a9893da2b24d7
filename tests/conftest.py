"""Shared by all tests."""

import sys

import numpy as np
import pytest
from common_cases import one_hot
from hypothesis import settings

from skfm.sparse import BACKENDS, TorchBackend

# The first call of a numba kernel compiles it, which is no reason to call a test slow.
settings.register_profile("skfm", deadline=None, print_blob=True)
settings.load_profile("skfm")


@pytest.fixture(scope="session")
def click_data():
    """400 one-hot rows of three fields, with a planted pairwise interaction."""
    X, cells = one_hot(400, (4, 5, 3))
    noise = np.random.default_rng(1).random(400) < 0.05
    y = ((cells[:, 0] % 2 == cells[:, 1] % 2) ^ noise).astype(int)
    return X, y


@pytest.fixture
def in_torch(monkeypatch):
    """Networks built meanwhile run without kernels."""
    monkeypatch.setitem(BACKENDS, "cpu", TorchBackend)


@pytest.fixture(autouse=True)
def _unchanged_modes():
    """No test, and no error in it, may leave gradients switched off."""
    yield
    torch = sys.modules.get("torch")
    if torch is not None and not torch.is_grad_enabled():
        torch.set_grad_enabled(True)
        pytest.fail("torch no longer records gradients")
