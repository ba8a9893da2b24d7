"""Scorers of users on the held-out rows, in the loop of training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn import config_context
from sklearn.metrics import get_scorer

from .._sklearn import safe_indexing
from ..runtime.attributes import snapshot

Judge = Callable[[np.ndarray, Any], float]


@dataclass(frozen=True)
class Given:
    """Arguments of `fit`, for scorers that need rows as users pass them.

    Attributes
    ----------
    rows : tuple
        X, y, sample_weight and qid, of which the last two may be None.
    held_out : tuple
        The same of the rows to stop on, all None if there are none.
    """

    rows: tuple[Any, ...]
    held_out: tuple[Any, ...]

    def judge(
        self,
        model: Any,
        chosen: np.ndarray | None,
        offset: np.ndarray | None = None,
    ) -> Judge | None:
        """Return what scores the held-out rows by the estimator's ``scoring``.

        Parameters
        ----------
        model : estimator
            Knows the encoding of its target.
        chosen : ndarray of int or None
            The rows that are held out; None: those that were given to stop on.
        offset : ndarray of shape (n_rows, n_outputs) or None
            Offsets of their raw scores.

        Returns
        -------
        callable or None
            Takes raw scores of the rows (n_rows, n_outputs), and the network that they
            come from. None where the loss judges.
        """
        if model._judges_itself(model.scoring):
            return None
        given = self.held_out
        if chosen is not None:
            given = tuple(_take(part, chosen) for part in self.rows)
        judge = _ScorerJudge(model, get_scorer(model.scoring), *given)
        judge.offset = offset
        return judge


def _take(part: Any, rows: np.ndarray) -> Any:
    if part is None:
        return None
    return safe_indexing(part.tocsr() if sp.issparse(part) else part, rows)


class _ScorerJudge:
    """A scorer on held-out rows.

    The scorer sees the estimator as it would be if training ended now. The raw scores
    of the held-out rows are there already; other rows are scored if it asks for them.
    """

    def __init__(
        self, model: Any, scorer: Any, X: Any, y: Any, weight: Any, qid: Any
    ) -> None:
        self._model, self._scorer, self._rows = snapshot(model), scorer, (X, y)
        known = {"sample_weight": weight, "qid": qid}
        self._metadata = {k: v for k, v in known.items() if v is not None}
        #: Offsets of the raw scores of the held-out rows.
        self.offset: np.ndarray | None = None

    def __str__(self) -> str:
        return f"{self._scorer}"

    def __call__(self, raw: np.ndarray, network: Any) -> float:
        X, y = self._rows
        model = self._model
        if self.offset is not None:
            raw = raw + self.offset
        if network is not None:
            model.network_ = network

        def raw_scores(rows: Any) -> np.ndarray:
            return raw if rows is X else type(model)._raw_scores(model, rows)

        model._raw_scores = raw_scores
        # Queries reach a scorer as if it had asked for them.
        with config_context(enable_metadata_routing="qid" in self._metadata):
            score = float(self._scorer(model, X, y, **self._metadata))
        if not np.isfinite(score):
            raise ValueError(
                f"scoring={model.scoring!r} gives {score} on the held-out rows: pass "
                "other X_val and y_val, or another scoring."
            )
        return score
