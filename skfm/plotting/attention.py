"""Attention in one prediction."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import pandas as pd

from ..inspection import attention_weights
from .style import BLUE, axes, bars, heat_map, pair_name


class AttentionDisplay:
    """Attention of a model in one row: bars for an AFM, a heat map for an AutoInt.

    Parameters
    ----------
    weights : DataFrame
        As `skfm.inspection.attention_weights` returns it, of one row of X.
    max_pairs : int, default=15
        Bars of an AFM; the label of the axis tells of the other pairs.
    name : str, default=None
        Title.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

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
            Fitted; or a pipeline or search with one at its end.
        X : {array-like, sparse matrix, DataFrame} of shape (1, n_features)
            The row.
        max_pairs : int, default=15
            Bars of an AFM; the label of the axis tells of the other pairs.
        name : str, default=None
            Title.
        ax : matplotlib Axes, default=None
            Where to draw; None: a new figure.

        Raises
        ------
        ValueError
            If X is not one row, or has no pair.
        """
        weights = attention_weights(estimator, X)
        return cls(weights, max_pairs, name).plot(ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where; None: a new figure.
        """
        n_rows = self.weights["row"].nunique()
        if n_rows != 1:
            raise ValueError(
                "attention is drawn for one row with at least one pair, but X has "
                f"{n_rows} such rows: pass one row, such as X[:1]."
            )
        draw = self._map if "layer" in self.weights else self._bars
        self.ax_ = draw(ax)
        self.figure_ = self.ax_.figure
        return self

    def _bars(self, ax: Any) -> Any:
        """Draw the largest weights, and the weight of each pair if all were equal."""
        ranked = self.weights.sort_values("weight", ascending=False, kind="stable")
        top, rest = ranked[: self.max_pairs], ranked[self.max_pairs :]
        pairs = zip(top["first"], top["second"], strict=True)
        names = [pair_name(first, second) for first, second in pairs]
        values = top["weight"].to_numpy(np.float64)
        ax = axes(ax, (8.5, 1.6 + 0.3 * len(values)))
        bars(ax, names, values, BLUE, [_percent(value) for value in values])
        even = 1 / len(ranked)
        ax.axvline(even, color="black", lw=1, ls=":")
        label = f"attention (dotted: if all pairs were alike, {_percent(even)})"
        if len(rest):
            others = _percent(rest["weight"].sum())
            label += f"\n{len(rest)} other pairs have {others} together"
        ax.set(xlabel=label, title=self.name)
        ax.xaxis.set_major_formatter(lambda value, _: _percent(value))
        return ax

    def _map(self, ax: Any) -> Any:
        """Draw the mean over the heads of the last layer."""
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
