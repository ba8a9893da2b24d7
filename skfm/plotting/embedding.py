"""Display of the embeddings of a field as a map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA

from ..inspection import embeddings
from .style import BLUE, SEQUENTIAL, axes, pyplot, shorten


class EmbeddingDisplay:
    """Map of the categories of a field, in which similar categories are close.

    The axes are the two directions in which the embeddings, each scaled to length 1,
    vary most.

    Parameters
    ----------
    positions : DataFrame of shape (n_categories, 2)
        Position of each category, by name.
    share : float
        Share of the variance that the map shows.
    values : array-like of shape (n_categories,), default=None
        Numbers that the colours show; None: all points have the same colour.
    values_label : str, default=""
        Label of the colour bar.
    name : str, default=None
        Title of the plot.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes of the plot.
    figure_ : matplotlib Figure
        Figure of the plot.
    scatter_ : matplotlib PathCollection
        Points of the categories.

    Examples
    --------
    >>> import pandas as pd
    >>> from skfm import FMClassifier
    >>> from skfm.plotting import EmbeddingDisplay
    >>> df = pd.DataFrame({"a": list("pqr") * 40, "b": list("xyzz") * 30})
    >>> y = [(a != "r") == (b == "x") for a, b in zip(df["a"], df["b"])]
    >>> model = FMClassifier(solver="sgd", random_state=0).fit(df, y)
    >>> EmbeddingDisplay.from_estimator(model, "a").positions.index.tolist()
    ['p', 'q', 'r']
    """

    def __init__(
        self,
        positions: pd.DataFrame,
        share: float,
        values: Any = None,
        values_label: str = "",
        name: str | None = None,
    ) -> None:
        self.positions, self.share, self.name = positions, share, name
        self.values = None if values is None else np.asarray(values, np.float64)
        self.values_label = values_label

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        field: str | int,
        *,
        categories: Sequence[str] | None = None,
        values: pd.Series | None = None,
        name: str | None = None,
        ax: Any = None,
    ) -> Self:
        """Draw the embeddings of a field of a fitted estimator.

        Parameters
        ----------
        estimator : estimator of skfm
            Fitted estimator, or a pipeline or search that ends in one.
        field : str or int
            Name or number of the field.
        categories : sequence of str, default=None
            Categories to draw; None: all. They are labelled in this order while there
            is room, so that the most important should come first.
        values : Series, default=None
            Number of each category, by name, which its colour shows. Categories without
            a number are grey. The name of the Series labels the colour bar.
        name : str, default=None
            Title of the plot; None: the name of the field.
        ax : matplotlib Axes, default=None
            Axes to draw on; None: those of a new figure.

        Raises
        ------
        ValueError
            If there is no such field or category, or there are fewer than three.
        """
        vectors = embeddings(estimator, field)
        if categories is not None:
            unknown = [name for name in categories if name not in vectors.index]
            if unknown:
                raise ValueError(
                    f"categories has {unknown[0]!r}, which has no vector: leave it out."
                )
            vectors = vectors.loc[list(categories)]
        if len(vectors) < 3 or vectors.shape[1] < 2:
            raise ValueError(
                "A map needs at least three categories and two factors, but there are "
                f"{len(vectors)} and {vectors.shape[1]}: choose another field, or fit "
                "with a larger n_factors."
            )
        unit = vectors.to_numpy(np.float64)
        pca = PCA(2, svd_solver="full")
        at = pca.fit_transform(unit / np.linalg.norm(unit, axis=1, keepdims=True))
        positions = pd.DataFrame(at, vectors.index, ["first", "second"])
        share = float(pca.explained_variance_ratio_.sum())
        title = str(vectors.index.name) if name is None else name
        if values is None:
            return cls(positions, share, name=title).plot(ax)
        own = values.reindex(positions.index).to_numpy(np.float64)
        return cls(positions, share, own, str(values.name), title).plot(ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw the display, without labels that would cover others.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None: those of a new figure.
        """
        ax = axes(ax, (8, 6.5))
        x, y = self.positions.to_numpy().T
        style = {"s": 28, "edgecolors": "white", "linewidths": 0.5}
        if self.values is None:
            self.scatter_ = ax.scatter(x, y, color=BLUE, **style)
        else:
            cmap = pyplot().get_cmap(SEQUENTIAL).with_extremes(bad="lightgrey")
            colours = {"c": self.values, "cmap": cmap, "plotnonfinite": True}
            self.scatter_ = ax.scatter(x, y, **colours, **style)
            ax.figure.colorbar(self.scatter_, ax=ax, label=self.values_label)
        ax.axhline(0, color="black", lw=0.5, alpha=0.3, zorder=0)
        ax.axvline(0, color="black", lw=0.5, alpha=0.3, zorder=0)
        ax.margins(0.08)
        shown = f"{self.share:.0%} of the variance"
        ax.set(xlabel=f"first direction (together {shown})", ylabel="second direction")
        ax.set_title(self.name)
        _label(ax, [shorten(name, 24) for name in self.positions.index], x, y)
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _label(ax: Any, names: list[str], x: np.ndarray, y: np.ndarray) -> None:
    """Label as many points as there is room for, in their order."""
    figure = ax.figure
    figure.draw_without_rendering()
    boxes: list[Any] = []
    for name, *spot in zip(names, x, y, strict=True):
        text = ax.annotate(name, spot, (3, 3), textcoords="offset points", fontsize=8)
        box = text.get_window_extent()
        if any(box.overlaps(other) for other in boxes):
            text.remove()
        else:
            boxes.append(box)
