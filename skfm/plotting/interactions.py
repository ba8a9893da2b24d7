"""Display of the interactions of fields as a heat map."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import pandas as pd

from ..inspection import interaction_strength
from ..inspection.of_weights import measure
from ..inspection.reading import Model
from .style import axes, heat_map

#: Label of the colour bar for each measure of the strength.
_LABELS = {
    "variance": "standard deviation of the pair's term",
    "total": "standard deviation of the joint effect",
    "weights": "strength of the weights",
}


class FieldInteractionDisplay:
    """Display of the interaction strength of each pair of fields as a heat map.

    Parameters
    ----------
    strength : DataFrame of shape (n_fields, n_fields)
        Strengths, as returned by `skfm.inspection.interaction_strength`.
    label : str, default="strength"
        Label of the colour bar.
    name : str, default=None
        Title of the plot.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes of the plot.
    figure_ : matplotlib Figure
        Figure of the plot.
    image_ : matplotlib AxesImage
        Image of the matrix.

    Examples
    --------
    >>> import numpy as np
    >>> from skfm import FMRegressor
    >>> from skfm.plotting import FieldInteractionDisplay
    >>> X = np.random.default_rng(0).normal(size=(200, 3))
    >>> model = FMRegressor(random_state=0).fit(X, X[:, 0] + 3 * X[:, 1] * X[:, 2])
    >>> display = FieldInteractionDisplay.from_estimator(model, X)
    >>> display.strength.shape
    (3, 3)
    """

    def __init__(
        self, strength: pd.DataFrame, label: str = "strength", name: str | None = None
    ) -> None:
        self.strength, self.label, self.name = strength, label, name

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any = None, *, name: str | None = None, ax: Any = None
    ) -> Self:
        """Draw the interaction strengths of a fitted estimator.

        For an FM, FwFM, FFM or AFM, the strength of a pair is the standard deviation of
        its term, in units of the raw score. For a DCN with ``cross="matrix"``, it is
        computed from the weights. For all other models, it is the standard deviation of
        all joint effects of two columns.

        Parameters
        ----------
        estimator, X
            Model and rows, as in `skfm.inspection.interaction_strength`.
        name : str, default=None
            Title of the plot.
        ax : matplotlib Axes, default=None
            Axes to draw on; None: those of a new figure.
        """
        strength = interaction_strength(estimator, X)
        kind = measure(Model.of(estimator).network)
        if kind != "weights":
            strength = np.sqrt(strength)
        return cls(strength, _LABELS[kind], name).plot(ax)

    @classmethod
    def from_strength(
        cls,
        strength: pd.DataFrame,
        *,
        label: str = "strength",
        name: str | None = None,
        ax: Any = None,
    ) -> Self:
        """Draw a matrix of strengths.

        Parameters
        ----------
        strength : DataFrame of shape (n_fields, n_fields)
            Strength of each pair of fields.
        label : str, default="strength"
            Label of the colour bar.
        name : str, default=None
            Title of the plot.
        ax : matplotlib Axes, default=None
            Axes to draw on; None: those of a new figure.
        """
        return cls(strength, label, name).plot(ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw the display; only the lower half of a symmetric matrix.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None: those of a new figure, whose size depends on the
            number of fields.
        """
        matrix = self.strength.to_numpy(np.float64)
        rows, columns = list(self.strength.index), list(self.strength.columns)
        if np.allclose(matrix, matrix.T):
            # Draw each pair once, and the diagonal only if it is not zero.
            within = bool(np.diagonal(matrix).any())
            upper = np.triu(np.ones_like(matrix, dtype=bool), 1 if within else 0)
            matrix = np.where(upper, np.nan, matrix)
            if not within and len(rows) > 1:
                matrix, rows, columns = matrix[1:, :-1], rows[1:], columns[:-1]
        side = float(np.clip(2.5 + 0.32 * len(rows), 5, 13))
        ax = axes(ax, (side + 1.2, side))
        self.image_ = heat_map(ax, matrix, rows, columns, self.label)
        for edge in ax.spines.values():
            edge.set_visible(False)
        ax.set_title(self.name)
        self.ax_, self.figure_ = ax, ax.figure
        return self
