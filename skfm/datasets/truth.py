"""Ground truth of data with planted interactions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

__all__ = ["InteractionTruth"]

_CHUNK = 1 << 15


@dataclass(frozen=True, eq=False)
class InteractionTruth:
    """Ground truth of the data that `make_interactions` drew.

    Attributes
    ----------
    kind : {"fm", "field_pair", "three_way"}
        Kind of the interactions.
    fields : ndarray of int32 of shape (n_features,)
        Field of each column of X.
    probabilities : ndarray of shape (n_features,)
        Probability of each category within its field.
    linear : ndarray of shape (n_features, n_outputs)
        Linear weights. If there are more than two classes, n_outputs is their number;
        otherwise, it is 1.
    factors : ndarray of shape (n_groups, n_features, n_outputs, rank)
        Factors of each column. For ``"fm"``, all pairs share one set; otherwise, there
        is one set for each group, which is zero outside of the fields of the group.
    groups : ndarray of int of shape (n_groups, 2) or (n_groups, 3)
        Pairs or triples of fields that interact. For ``"fm"``, these are all pairs.
    noise : float
        Scale of the noise in y.
    """

    kind: str
    fields: np.ndarray
    probabilities: np.ndarray
    linear: np.ndarray
    factors: np.ndarray
    groups: np.ndarray
    noise: float

    def decision_function(self, X: sp.csr_matrix) -> np.ndarray:
        """Return the scores, without noise, of rows of `make_interactions`.

        Parameters
        ----------
        X : csr_matrix of shape (n_samples, n_features)
            Rows with one entry in each field, as `make_interactions` returns them.

        Returns
        -------
        scores : ndarray of shape (n_samples,) or (n_samples, n_classes)
            Scores of the classes; with two classes, only those of the second class.
        """
        n_fields = int(self.fields[-1]) + 1
        if X.shape[1] != len(self.fields):
            raise ValueError(
                f"X has {X.shape[1]} columns, but the generated data have "
                f"{len(self.fields)}."
            )
        if (np.diff(X.indptr) != n_fields).any():
            raise ValueError(f"Each row of X must have {n_fields} entries.")
        columns = X.indices.reshape(-1, n_fields)
        starts = range(0, len(columns), _CHUNK)
        scores = np.concatenate([self._score(columns[s : s + _CHUNK]) for s in starts])
        return scores[:, 0] if scores.shape[1] == 1 else scores

    def _score(self, columns: np.ndarray) -> np.ndarray:
        """Score rows that are given by the column of each field."""
        scores = np.zeros((len(columns), self.linear.shape[1]))
        for column in columns.T:
            scores += self.linear[column]
        if self.kind == "fm":
            return scores + self._all_pairs(columns)
        for factors, group in zip(self.factors, self.groups, strict=True):
            product = factors[columns[:, group[0]]]
            for field in group[1:]:
                product = product * factors[columns[:, field]]
            scores += product.sum(axis=2)
        return scores

    def _all_pairs(self, columns: np.ndarray) -> np.ndarray:
        """Return Σ_{f<g} ⟨v_f, v_g⟩ = ½ (‖Σ v_f‖² − Σ ‖v_f‖²)."""
        (factors,) = self.factors
        norms = np.square(factors).sum(axis=2)
        total = np.zeros((len(columns), *factors.shape[1:]))
        alone = np.zeros((len(columns), factors.shape[1]))
        for column in columns.T:
            total += factors[column]
            alone += norms[column]
        return 0.5 * (np.square(total).sum(axis=2) - alone)
