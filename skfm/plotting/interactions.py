"""Heat map of field interactions."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import pandas as pd

from ..inspection import interaction_strength
from ..inspection.of_weights import measure
from ..inspection.reading import Model
from .style import axes, heat_map

#: What the colours mean, by the measure of the strength.
_LABELS = {
    "variance": "standard deviation of the pair's term",
    "total": "standard deviation of the joint effect",
    "weights": "strength of the weights",
}


class FieldInteractionDisplay:
    """Heat map of the interaction strength of each pair of fields.

    Parameters
    ----------
    strength : DataFrame of shape (n_fields, n_fields)
        As `skfm.inspection.interaction_strength` returns it.
    label : str, default="strength"
        What the colours mean.
    name : str, default=None
        Title.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    image_ : matplotlib AxesImage

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

        The standard deviation of each pair's term, in units of the raw score, of an FM,
        FwFM, FFM or AFM; of a DCN with ``cross="matrix"``, what its weights say; of
        all other models, the standard deviation of all that two columns do together.

        Parameters
        ----------
        estimator, X
            As in `skfm.inspection.interaction_strength`.
        name : str, default=None
            Title.
        ax : matplotlib Axes, default=None
            Where to draw; None: a new figure.
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
        label : str, default="strength"
            What the colours mean.
        name : str, default=None
            Title.
        ax : matplotlib Axes, default=None
            Where to draw; None: a new figure.
        """
        return cls(strength, label, name).plot(ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw; of a symmetric matrix the lower half.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where; None: a new figure, which grows with the number of fields.
        """
        matrix = self.strength.to_numpy(np.float64)
        rows, columns = list(self.strength.index), list(self.strength.columns)
        if np.allclose(matrix, matrix.T):
            # Each pair once; the diagonal only where pairs within fields count.
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
