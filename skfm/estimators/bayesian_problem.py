"""Problems of the sampler, from checked data."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from ..data.rows import Rows
from ..runtime.memory import check_memory
from ..sampling import Family, Problem
from .data import Data


def make_problem(model: Any, data: Data, fields: np.ndarray | None) -> Problem:
    """Make the problem of a fit.

    Parameters
    ----------
    model : estimator
        Estimator that is fitted, which is only read.
    data : Data
    fields : ndarray of shape (n_columns,) or None
        Field of each column: see `prior_fields`.
    """
    family: Family = "gaussian"
    if model.loss == "log_loss":
        family = "logistic" if model._n_outputs() == 1 else "multinomial"
    return Problem(
        csr=floating(data, model._mean_fields),
        fields=fields,
        n_fields=1 if fields is None else int(fields.max()) + 1,
        target=data.target,
        weight=data.weight,
        family=family,
        n_classes=model._n_outputs() if family == "multinomial" else 2,
    )


def prior_fields(model: Any, data: Data) -> tuple[Any, Any]:
    """Find the field of each column, and the names of the fields.

    The columns of a field share their prior. The fields are those of the estimator, or
    those that the structure of X shows for certain, or else those that are likely.
    """
    if model.fields_ is not None:
        return model.fields_, model.field_names_
    return model._find_fields(data.X, data.dense, needed=True, certain=False)


def floating(data: Data, mean_fields: np.ndarray | None) -> Any:
    """Return X with floating values, divided where entries of a field are averaged."""
    X = data.X
    values = X.data if X.dtype.kind == "f" else X.data.astype(np.float32)
    if mean_fields is not None:
        rows = Rows(X, "float64", mean_fields=mean_fields)
        values = rows.span(0, len(rows)).values
    return sp.csr_array((values, X.indices, X.indptr), shape=X.shape, copy=False)


def table_bytes(model: Any, n_columns: int) -> float:
    """Estimate the bytes of the samples, which a fit holds twice at its end."""
    numbers = model.n_samples * model._n_outputs() * (model.n_factors + 1)
    return 2 * 4.0 * n_columns * numbers


def check_table(model: Any, n_columns: int) -> None:
    """Refuse samples that do not fit the memory there is.

    Raises
    ------
    MemoryError
    """
    check_memory(
        table_bytes(model, n_columns),
        f"{model.n_samples} samples of {n_columns} columns need",
        "lower n_samples or n_factors, hash the categories into fewer columns, or set "
        'solver="sgd".',
    )
