"""Meaning of the columns of an encoded matrix: their names, and their table."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted

from ..runtime.attributes import on_snapshot
from .state import CodecEstimator

__all__ = ["EncodedColumns"]


class EncodedColumns(CodecEstimator):
    """An encoder whose columns have names and can be decoded."""

    fields_: np.ndarray

    @on_snapshot
    def inverse_transform(self, X: Any) -> np.ndarray:
        """Return the table of an encoded matrix.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features_out)
            Encoded rows.

        Returns
        -------
        X_original : ndarray of object of shape (n_samples, `n_features_in_`)
            Categories; None for missing, unknown, infrequent and hashed ones. Numbers;
            NaN for missing ones, middles of bins for those binned at quantiles, the
            bounds for those that were clipped. Truth values. In multi-valued
            columns an array of the distinct values of each cell, and in columns that
            share their categories one of the distinct values of all of them.
        """
        check_is_fitted(self)
        X = check_array(X, accept_sparse="csr")
        if X.shape[1] != len(self.fields_):
            raise ValueError(
                f"X has {X.shape[1]} columns, but this FieldEncoder makes "
                f"{len(self.fields_)}."
            )
        return self._codec.decode(sp.csr_matrix(X))

    @on_snapshot
    def get_feature_names_out(
        self, input_features: ArrayLike | None = None
    ) -> np.ndarray:
        """Return the names of the columns of the matrix.

        Parameters
        ----------
        input_features : array-like of str of shape (`n_features_in_`,), default=None
            Names of the table's columns, where it had none during `fit`.

        Returns
        -------
        names : ndarray of str objects of shape (n_features_out,)
            ``carrier_AA``, ``carrier_<infrequent>``, ``carrier_<unknown>``,
            ``carrier_<missing>``, ``carrier_<hash 0>``, ``hour``, ``hour_(6.0, 9.0]``,
            ``hour_<fine>_(6.5, 7.5]``.
        """
        check_is_fitted(self)
        names = self._codec.names
        if input_features is not None:
            names = np.asarray(input_features, dtype=object)
            known = getattr(self, "feature_names_in_", None)
            if known is not None and not np.array_equal(known, names):
                raise ValueError("input_features is not equal to feature_names_in_")
            if len(names) != self.n_features_in_:
                raise ValueError(
                    "input_features should have length equal to number of features "
                    f"({self.n_features_in_}), got {len(names)}"
                )
        return self._codec.column_names(names)
