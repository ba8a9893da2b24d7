"""Predictions that are computed when they are asked for."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from sklearn.utils.validation import check_is_fitted

from ..runtime.attributes import snapshot
from ..streams.tables import as_stream, is_dask
from .table_streams import feature_columns

__all__ = ["lazy_on_dask"]

Method = TypeVar("Method", bound=Callable[..., Any])


def lazy_on_dask(method: Method) -> Method:
    """Make a method return a Dask array for a Dask DataFrame, by partition."""

    @functools.wraps(method)
    def lazy(estimator: Any, X: Any, **options: Any) -> Any:
        if not is_dask(X):
            return method(estimator, X, **options)
        from ..streams.dask_frames import map_partitions

        check_is_fitted(estimator)
        names = feature_columns(estimator, as_stream(X), "X")
        # Later fits of the estimator do not change it.
        call = functools.partial(method, snapshot(estimator), **options)
        return map_partitions(X, names, call)

    return lazy  # type: ignore[return-value]
