"""Gains of the crosses that were found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from ..encoding import CrossInfo
from .style import BLUE, axes, bars, shorten


class CrossesDisplay:
    """Estimated gain in log-likelihood of each cross that was found.

    Parameters
    ----------
    crosses : list of CrossInfo
        Crosses in the order in which they were found: the attribute ``crosses_`` of an
        estimator.
    name : str, default=None
        Title.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from skfm.encoding import FieldCrosses
    >>> from skfm.plotting import CrossesDisplay
    >>> rng = np.random.default_rng(0)
    >>> X = pd.DataFrame(rng.choice(["u", "v", "w"], (2000, 3)), columns=list("abc"))
    >>> y = (X["a"] == X["c"]) + 0.1 * rng.normal(size=2000)
    >>> crosses = FieldCrosses(random_state=0).fit(X, y)
    >>> display = CrossesDisplay.from_estimator(crosses)
    >>> [label.get_text() for label in display.ax_.get_yticklabels()]
    ['a x c']
    """

    def __init__(self, crosses: Sequence[CrossInfo], name: str | None = None) -> None:
        self.crosses, self.name = list(crosses), name

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, name: str | None = None, ax: Any = None
    ) -> Self:
        """Draw the gains of a fitted estimator's crosses.

        Parameters
        ----------
        estimator : estimator of skfm, or FieldCrosses
            Fitted; or a pipeline or search with one in it.
        name : str, default=None
            Title.
        ax : matplotlib Axes, default=None
            Axes to draw on; None: those of a new figure.

        Raises
        ------
        ValueError
            If no cross was found.
        """
        model = getattr(estimator, "best_estimator_", estimator)
        steps = (
            [step for _, step in model.steps] if hasattr(model, "steps") else [model]
        )
        found = [cross for s in steps for cross in getattr(s, "crosses_", [])]
        return cls(found, name).plot(ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None: those of a new figure.
        """
        found = [cross for cross in self.crosses if np.isfinite(cross.gain)]
        if not found:
            raise ValueError(
                "there is no cross to draw: none was found, or crosses were given, "
                'whose gains are not estimated. Fit with crosses="auto".'
            )
        gains = np.array([cross.gain for cross in found])
        ax = axes(ax, (7, 1.6 + 0.35 * len(gains)))
        names = [shorten(cross.name, 48) for cross in found]
        bars(ax, names, gains, BLUE, [f"{gain:.0f}" for gain in gains])
        ax.set(xlabel="gain in log-likelihood", title=self.name)
        self.ax_, self.figure_ = ax, ax.figure
        return self
