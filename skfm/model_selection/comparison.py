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
    """Scores of models on sets of features, as returned by `compare`.

    Attributes
    ----------
    folds : DataFrame
        One row for each set of features, model and fold. The columns are ``features``,
        ``model``, ``fold``, ``score``, ``fit_seconds``, ``predict_seconds`` (the time
        of scoring the test rows), ``n_parameters``, ``n_columns``, ``n_train``,
        ``n_test``, the ``error`` of a fit that failed, and a column for each metric if
        there are several.
    scoring : str
        Name of the metric of the column ``score``, whose greater values are better.
    metrics : tuple of str
        Names of all metrics.
    """

    folds: pd.DataFrame
    scoring: str
    metrics: tuple[str, ...] = ()

    def by(self, metric: str) -> Comparison:
        """Return the comparison by another of the metrics.

        Parameters
        ----------
        metric : str
            Name of the metric.

        Raises
        ------
        ValueError
            If the metric is not one that was computed.
        """
        if metric == self.scoring:
            return self
        if metric not in self.metrics:
            raise ValueError(
                f"metric={metric!r} was not computed, but {', '.join(self.metrics)}: "
                "choose one of them, or name it in scoring."
            )
        folds = self.folds.assign(score=self.folds[metric])
        return Comparison(folds, metric, self.metrics)

    @property
    def frame(self) -> pd.DataFrame:
        """Table with one row for each set of features and model, in the given order.

        The columns are ``mean`` and ``std`` (with n - 1) of the score over the folds
        that did not fail, mean seconds to fit and to predict, mean ``n_parameters`` and
        ``n_columns`` of the last step (missing if a model does not report them),
        ``n_failed``, the number of folds that failed, and the mean of each metric, by
        its name, if there are several.
        """
        groups = self.folds.groupby(_CELL, sort=False)
        several = self.metrics if len(self.metrics) > 1 else ()
        return groups.agg(
            mean=("score", "mean"),
            std=("score", "std"),
            fit_seconds=("fit_seconds", "mean"),
            predict_seconds=("predict_seconds", "mean"),
            n_parameters=("n_parameters", "mean"),
            n_columns=("n_columns", "mean"),
            n_failed=("error", "count"),
            **{metric: (metric, "mean") for metric in several},
        ).reset_index()

    @property
    def errors(self) -> pd.DataFrame:
        """Table of the folds that failed: features, model, fold and error."""
        failed = self.folds["error"].notna()
        columns = [*_CELL, "fold", "error"]
        return self.folds.loc[failed, columns].reset_index(drop=True)

    def test(
        self, baseline: tuple[str, str] | None = None, *, confidence: float = 0.95
    ) -> pd.DataFrame:
        """Test the difference between each cell and a baseline.

        This is the two-sided t-test for repeated cross-validation by Nadeau and Bengio
        (2003). Folds share training rows. The variance of the mean difference is
        therefore estimated as (1 / J + n_test / n_train) times the variance between the
        J folds.

        Parameters
        ----------
        baseline : (str, str), default=None
            Names of the features and of the model of the baseline. None means those
            given first.
        confidence : float, default=0.95
            Confidence level of the intervals.

        Returns
        -------
        DataFrame
            One row for each other cell. The columns are ``features``, ``model``, the
            ``difference`` of the mean scores, the ends ``low`` and ``high`` of its
            interval, ``t``, ``p_value``, and ``p_holm``, which is corrected for the
            number of tests (Holm, 1979). They are computed from the folds in which
            neither cell failed, and are missing if there are fewer than two.

        Raises
        ------
        ValueError
            If the baseline is not one of the cells.

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
                f"baseline={baseline!r} is not one of the cells (features, model): "
                f"choose one of {', '.join(map(str, cells))}."
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
        """Draw mean and spread of the cells by `skfm.plotting.ComparisonDisplay`."""
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
    """Correct p-values for the number of tests by Holm's method."""
    corrected = np.full(len(p_values), np.nan)
    known = np.flatnonzero(~np.isnan(p_values))
    order = known[np.argsort(p_values[known], kind="stable")]
    steps = (len(order) - np.arange(len(order))) * p_values[order]
    corrected[order] = np.minimum(1, np.maximum.accumulate(steps))
    return corrected
