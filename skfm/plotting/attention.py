"""Display of the attention in one prediction."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import pandas as pd

from ..inspection import attention_weights
from .style import BLUE, axes, bars, heat_map, pair_name


class AttentionDisplay:
    """Display of the attention in one row: bars for an AFM, a heat map for an AutoInt.

    Parameters
    ----------
    weights : DataFrame
        Weights of one row of X, as returned by `skfm.inspection.attention_weights`.
    max_pairs : int, default=15
        Number of bars for an AFM. The label of the axis summarises the other pairs.
    name : str, default=None
        Title of the plot.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes of the plot.
    figure_ : matplotlib Figure
        Figure of the plot.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import OneHotEncoder
    >>> from skfm import AFMClassifier
    >>> from skfm.plotting import AttentionDisplay
    >>> X = [["a", "x", "u"], ["a", "y", "u"], ["b", "x", "u"], ["b", "y", "u"]] * 25
    >>> model = make_pipeline(OneHotEncoder(), AFMClassifier(max_iter=5))
    >>> model = model.fit(X, [0, 1, 1, 0] * 25)
    >>> display = AttentionDisplay.from_estimator(model, X[:1])
    >>> len(display.weights)
    3
    """

    def __init__(
        self, weights: pd.DataFrame, max_pairs: int = 15, name: str | None = None
    ) -> None:
        self.weights, self.max_pairs, self.name = weights, max_pairs, name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        max_pairs: int = 15,
        name: str | None = None,
        ax: Any = None,
    ) -> Self:
        """Draw the attention of a fitted AFM or AutoInt in one row.

        Parameters
        ----------
        estimator : AFM or AutoInt estimator
            Fitted estimator, or a pipeline or search that ends in one.
        X : {array-like, sparse matrix, DataFrame} of shape (1, n_features)
            Row to explain.
        max_pairs : int, default=15
            Number of bars for an AFM. The label of the axis summarises the other pairs.
        name : str, default=None
            Title of the plot.
        ax : matplotlib Axes, default=None
            Axes to draw on; None: those of a new figure.

        Raises
        ------
        ValueError
            If X does not have exactly one row, or the row has no pair of entries.
        """
        weights = attention_weights(estimator, X)
        return cls(weights, max_pairs, name).plot(ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None: those of a new figure.
        """
        n_rows = self.weights["row"].nunique()
        if n_rows != 1:
            raise ValueError(
                "Attention is drawn for one row with at least one pair, but X has "
                f"{n_rows} such rows: pass one row, such as X[:1]."
            )
        draw = self._map if "layer" in self.weights else self._bars
        self.ax_ = draw(ax)
        self.figure_ = self.ax_.figure
        return self

    def _bars(self, ax: Any) -> Any:
        """Draw the largest weights, and a line at the weight of equal pairs."""
        ranked = self.weights.sort_values("weight", ascending=False, kind="stable")
        top, rest = ranked[: self.max_pairs], ranked[self.max_pairs :]
        pairs = zip(top["first"], top["second"], strict=True)
        names = [pair_name(first, second) for first, second in pairs]
        values = top["weight"].to_numpy(np.float64)
        ax = axes(ax, (8.5, 1.6 + 0.3 * len(values)))
        bars(ax, names, values, BLUE, [_percent(value) for value in values])
        even = 1 / len(ranked)
        ax.axvline(even, color="black", lw=1, ls=":")
        label = f"attention (dotted: equal weights, {_percent(even)})"
        if len(rest):
            others = _percent(rest["weight"].sum())
            label += f"\n{len(rest)} other pairs: {others} in total"
        ax.set(xlabel=label, title=self.name)
        ax.xaxis.set_major_formatter(lambda value, _: _percent(value))
        return ax

    def _map(self, ax: Any) -> Any:
        """Draw the attention of the last layer, averaged over its heads."""
        last = self.weights[self.weights["layer"] == self.weights["layer"].max()]
        keys = ["field", "attends_to"]
        mean = last.groupby(keys, sort=False)["weight"].mean().unstack()
        order = list(dict.fromkeys(last["field"]))
        mean = mean.loc[order, order]
        side = float(np.clip(2.5 + 0.32 * len(order), 5, 13))
        ax = axes(ax, (side + 1.2, side))
        label = "attention, mean over the heads of the last layer"
        matrix = mean.to_numpy(np.float64)
        limits = float(matrix.min()), float(matrix.max())
        heat_map(ax, matrix, order, order, label, limits=limits)
        ax.set(xlabel="attends to", ylabel="field", title=self.name)
        return ax


def _percent(share: float) -> str:
    return f"{100 * share:.3g}%"
