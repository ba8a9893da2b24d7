"""The same models in other libraries; one that is not installed is None."""

from __future__ import annotations

import contextlib
import io
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from workloads import FACTORS, FIELDS

BATCH = 4096


def _torch_rate(model: torch.nn.Module, cells: np.ndarray, y: np.ndarray) -> float:
    """Rows per second of a plain training loop with Adam over all weights."""
    optimizer, loss = torch.optim.Adam(model.parameters()), torch.nn.BCELoss()
    x, target = torch.from_numpy(cells), torch.from_numpy(y).float()
    times = []
    for lo in range(0, len(y) - BATCH + 1, BATCH):
        start = time.perf_counter()
        optimizer.zero_grad()
        loss(model(x[lo : lo + BATCH]), target[lo : lo + BATCH]).backward()
        optimizer.step()
        times.append(time.perf_counter() - start)
    return BATCH / float(np.median(times[1:]))


def torchfm_rate(name: str, cells: np.ndarray, y: np.ndarray, per_field: int) -> float:
    """FM, DeepFM or AFM of pytorch-fm."""
    from torchfm.model.afm import AttentionalFactorizationMachineModel
    from torchfm.model.dfm import DeepFactorizationMachineModel
    from torchfm.model.fm import FactorizationMachineModel

    sizes = [per_field] * FIELDS
    make: dict[str, Callable[[], torch.nn.Module]] = {
        "FM": lambda: FactorizationMachineModel(sizes, FACTORS),
        "DeepFM": lambda: DeepFactorizationMachineModel(
            sizes, FACTORS, (400, 400, 400), 0.0
        ),
        "AFM": lambda: AttentionalFactorizationMachineModel(
            sizes, FACTORS, 16, (0.0, 0.0)
        ),
    }
    return _torch_rate(make[name](), cells, y)


def deepctr_rate(name: str, cells: np.ndarray, y: np.ndarray, per_field: int) -> float:
    """DeepFM or AFM of DeepCTR-Torch, an epoch of its own fit."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        from deepctr_torch.inputs import SparseFeat
        from deepctr_torch.models import AFM, DeepFM

        columns = [SparseFeat(f"c{j}", per_field, FACTORS) for j in range(FIELDS)]
        model = (
            DeepFM(columns, columns, dnn_hidden_units=(400, 400, 400))
            if name == "DeepFM"
            else AFM(columns, columns, attention_factor=16)
        )
        model.compile("adam", "binary_crossentropy")
        data = {f"c{j}": cells[:, j] for j in range(FIELDS)}
        start = time.perf_counter()
        model.fit(data, y, batch_size=BATCH, epochs=1, verbose=0)
        return len(y) / (time.perf_counter() - start)


def lightgbm_seconds(cells: np.ndarray, y: np.ndarray) -> float:
    """Seconds of a default fit of LightGBM, the cells as categories of 255 levels."""
    import lightgbm

    model = lightgbm.LGBMClassifier(verbose=-1)
    start = time.perf_counter()
    model.fit(cells % 255, y, categorical_feature=list(range(FIELDS)))
    return time.perf_counter() - start


def boosting_seconds(cells: np.ndarray, y: np.ndarray) -> float:
    """The same of scikit-learn's HistGradientBoosting."""
    categories = list(range(FIELDS))
    model = HistGradientBoostingClassifier(categorical_features=categories)
    start = time.perf_counter()
    model.fit(cells % 255, y)
    return time.perf_counter() - start


def linear_seconds(X: Any, y: np.ndarray) -> float:
    """Seconds of a default fit of scikit-learn's LogisticRegression."""
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        LogisticRegression().fit(X, y)
    return time.perf_counter() - start


def if_installed(measure: Callable[..., float], *args: Any) -> float | None:
    """Return the measurement, or None if the library is missing."""
    try:
        return measure(*args)
    except ImportError:
        return None


class PlainAFM(torch.nn.Module):
    """AFM as one writes it in torch: all pairs at once, dense gradients."""

    def __init__(self, n_columns: int, m: int, t: int) -> None:
        super().__init__()
        self.linear = torch.nn.Embedding(n_columns, 1)
        self.factors = torch.nn.Embedding(n_columns, m)
        self.attention = torch.nn.Linear(m, t)
        self.score = torch.nn.Linear(t, 1, bias=False)
        self.head = torch.nn.Linear(m, 1)
        self.pairs = torch.triu_indices(FIELDS, FIELDS, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        v = self.factors(x)
        products = v[:, self.pairs[0]] * v[:, self.pairs[1]]
        weights = self.score(torch.relu(self.attention(products))).softmax(dim=1)
        pooled = (weights * products).sum(dim=1)
        return torch.sigmoid(self.linear(x).sum(dim=1) + self.head(pooled))[:, 0]


def plain_afm_rate(columns: np.ndarray, y: np.ndarray, n_columns: int) -> float:
    """Rows per second of `PlainAFM` with m = 10 and t = 16."""
    return _torch_rate(PlainAFM(n_columns, 10, 16), columns, y)
