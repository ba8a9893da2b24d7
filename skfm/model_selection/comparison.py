"""Results of a comparison, and tests of their differences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import stats

if TYPE_CHECKING:
    from ..plotting import ComparisonDisplay

_CELL = ["features", "model"]


@dataclass(frozen=True, eq=False)
class Comparison:
    """Scores of models on sets of features; `compare` makes one.

    Attributes
    ----------
    folds : DataFrame
        A row for each features, model and fold: ``score``, ``fit_seconds``,
        ``predict_seconds`` (of scoring the test rows), ``n_parameters``,
        ``n_columns``, ``n_train``, ``n_test``, and the ``error`` of a cell that failed.
    scoring : str
        Name of the metric. Greater is better.
    """

    folds: pd.DataFrame
    scoring: str

    @property
    def frame(self) -> pd.DataFrame:
        """A row for each features and model, in the order they were given.

        ``mean`` and ``std`` (with n - 1) of the score over the folds that did not fail,
        mean seconds to fit and to predict, mean ``n_parameters`` and ``n_columns`` of
        the last step (missing where a model does not tell), and ``n_failed`` folds.
        """
        groups = self.folds.groupby(_CELL, sort=False)
        return groups.agg(
            mean=("score", "mean"),
            std=("score", "std"),
            fit_seconds=("fit_seconds", "mean"),
            predict_seconds=("predict_seconds", "mean"),
            n_parameters=("n_parameters", "mean"),
            n_columns=("n_columns", "mean"),
            n_failed=("error", "count"),
        ).reset_index()

    @property
    def errors(self) -> pd.DataFrame:
        """The folds that failed: features, model, fold and error."""
        failed = self.folds["error"].notna()
        columns = [*_CELL, "fold", "error"]
        return self.folds.loc[failed, columns].reset_index(drop=True)

    def test(
        self, baseline: tuple[str, str] | None = None, *, confidence: float = 0.95
    ) -> pd.DataFrame:
        """Test the difference of each cell to a baseline.

        The t-test for repeated cross-validation of Nadeau and Bengio (2003): folds
        share training rows, so the variance of their mean difference is taken as
        (1 / J + n_test / n_train) times that between the J folds. Two-sided.

        Parameters
        ----------
        baseline : (str, str), default=None
            Names of the features and of the model. None: those given first.
        confidence : float, default=0.95
            Confidence level of the intervals.

        Returns
        -------
        DataFrame
            A row for each other features and model: ``difference`` of the mean scores,
            ``low`` and ``high`` end of its interval, ``t``, ``p_value``, and
            ``p_holm``, corrected for the number of tests (Holm, 1979). Over the folds
            in which neither failed; missing where these are fewer than two.

        Raises
        ------
        ValueError
            If the baseline is none of the cells.

        References
        ----------
        C. Nadeau and Y. Bengio, "Inference for the Generalization Error", Machine
        Learning 52, 2003.
        """
        scores = self.folds.set_index([*_CELL, "fold"])["score"].unstack()
        cells = list(self.frame[_CELL].itertuples(index=False, name=None))
        base = cells[0] if baseline is None else tuple(baseline)
        if base not in cells:
            raise ValueError(
                f"baseline={baseline!r} is not one of the cells (features, model), "
                f"which are {', '.join(map(str, cells))}."
            )
        ratio = float((self.folds["n_test"] / self.folds["n_train"]).mean())
        others = [cell for cell in cells if cell != base]
        rows = [
            _corrected_t_test(scores.loc[cell] - scores.loc[base], ratio, confidence)
            for cell in others
        ]
        table = pd.DataFrame(
            rows, columns=["difference", "low", "high", "t", "p_value"]
        )
        table["p_holm"] = _holm(table["p_value"].to_numpy())
        names = pd.DataFrame(others, columns=_CELL)
        return pd.concat([names, table.astype(np.float64)], axis=1)

    def plot(self, ax: Any = None) -> ComparisonDisplay:
        """Draw mean and spread of each cell: see `skfm.plotting.ComparisonDisplay`."""
        from ..plotting import ComparisonDisplay

        return ComparisonDisplay.from_comparison(self, ax=ax)


def _corrected_t_test(
    differences: pd.Series, ratio: float, confidence: float
) -> tuple[float, ...]:
    """Compute the mean, its interval, t and p of paired differences of folds."""
    known = differences.dropna().to_numpy()
    n = len(known)
    if n < 2:
        return (float(known.mean()) if n else np.nan, *[np.nan] * 4)
    mean = float(known.mean())
    error = float(np.sqrt((1 / n + ratio) * known.var(ddof=1)))
    half = error * float(stats.t.ppf((1 + confidence) / 2, n - 1))
    if error == 0:
        t = 0.0 if mean == 0 else np.copysign(np.inf, mean)
    else:
        t = mean / error
    p_value = float(2 * stats.t.sf(abs(t), n - 1))
    return mean, mean - half, mean + half, t, p_value


def _holm(p_values: np.ndarray) -> np.ndarray:
    """p-values corrected step by step, the smallest by the number of all tests."""
    corrected = np.full(len(p_values), np.nan)
    known = np.flatnonzero(~np.isnan(p_values))
    order = known[np.argsort(p_values[known], kind="stable")]
    steps = (len(order) - np.arange(len(order))) * p_values[order]
    corrected[order] = np.minimum(1, np.maximum.accumulate(steps))
    return corrected
