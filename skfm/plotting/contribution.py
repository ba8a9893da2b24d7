"""Display of one prediction as a waterfall."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from ..inspection import explain
from ..inspection.reading import Model
from .style import BLUE, GREY, VERMILION, axes, font_size, pair_name, pyplot, shorten


class ContributionDisplay:
    """Display of the terms of one prediction, from the bias to the raw score.

    Parameters
    ----------
    terms : DataFrame
        Terms of one row of X and one output, as returned by `skfm.inspection.explain`.
        If there are columns "lower" and "upper", all bars except that of the smaller
        terms have an error bar.
    max_terms : int, default=12
        Number of bars beside the bias. All smaller terms share one more bar.
    name : str, default=None
        Title of the plot.
    link : {"identity", "log", "logit"}, default="identity"
        Function from predictions to raw scores. If it is not the identity, the axis on
        top shows predictions.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes of the plot.
    figure_ : matplotlib Figure
        Figure of the plot.

    Examples
    --------
    >>> import numpy as np
    >>> from skfm import FMRegressor
    >>> from skfm.plotting import ContributionDisplay
    >>> X = np.random.default_rng(0).normal(size=(200, 3))
    >>> model = FMRegressor(random_state=0).fit(X, X[:, 0] + 3 * X[:, 1] * X[:, 2])
    >>> display = ContributionDisplay.from_estimator(model, X[:1])
    >>> len(display.terms)
    7
    """

    def __init__(
        self,
        terms: pd.DataFrame,
        max_terms: int = 12,
        name: str | None = None,
        link: str = "identity",
    ) -> None:
        self.terms, self.max_terms, self.name = terms, max_terms, name
        self.link = link

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        output: Any = None,
        credible_interval: float | None = None,
        max_terms: int = 12,
        name: str | None = None,
        ax: Any = None,
    ) -> Self:
        """Draw the explanation of one row.

        The axis on top shows the probability of the second class of two at a score, or
        the prediction of a regressor with a log link. A number of a table is shown with
        its value.

        Parameters
        ----------
        estimator : estimator of skfm
            Fitted estimator, or a pipeline or search that ends in one.
        X : {array-like, sparse matrix, DataFrame} of shape (1, n_features)
            Row to explain.
        output : object, default=None
            Class label, or number of the output. Needed if there are several outputs.
        credible_interval : float, default=None
            Probability of the error bars under the posterior of a fit by
            ``solver="bayes"``. None draws none.
        max_terms : int, default=12
            Number of bars beside the bias. All smaller terms share one more bar.
        name : str, default=None
            Title of the plot.
        ax : matplotlib Axes, default=None
            Axes to draw on; None: those of a new figure.

        Raises
        ------
        ValueError
            If X does not have exactly one row, ``output`` is not one of the outputs, or
            ``credible_interval`` is given and the fit is not Bayesian.
        """
        terms = explain(
            estimator, X, max_pairs=None, credible_interval=credible_interval
        )
        if "output" in terms:
            known = list(dict.fromkeys(terms["output"]))
            if output not in known:
                raise ValueError(
                    f"output={output!r} is not one of the outputs, which are "
                    f"{', '.join(map(repr, known))}: pass one of them."
                )
            terms = terms[terms["output"] == output]
        parts = ["first", "second"]
        terms[parts] = terms[parts].replace(_with_values(X))
        return cls(terms, max_terms, name, _link(estimator)).plot(ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None: those of a new figure.
        """
        n_rows = self.terms["row"].nunique()
        if n_rows != 1:
            raise ValueError(
                f"A waterfall is drawn for one row, but X has {n_rows} rows: pass one "
                "row, such as X[:1]."
            )
        names, terms = self._steps()
        values = terms["contribution"].to_numpy(np.float64)
        ends = np.cumsum(values)
        starts = ends - values
        starts[0] = ends[0]  # the other bars start from the bias
        places = np.arange(len(values))
        ax = axes(ax, (8.5, 1.8 + 0.33 * (len(values) + 1)))
        colours = np.where(values > 0, VERMILION, BLUE)
        ax.barh(places[1:], (ends - starts)[1:], 0.7, starts[1:], color=colours[1:])
        # A thin line connects each bar with the next one.
        ax.vlines(ends, places + 0.35, places + 0.65, color=GREY, lw=1)
        for end, place in ((ends[0], 0), (ends[-1], len(values))):
            ax.vlines(end, place - 0.35, place + 0.35, color="black", lw=3)
        rights = np.maximum(starts, ends)
        if "lower" in terms:
            _draw_intervals(ax, terms, ends - values)
            rights = np.fmax(rights, ends - values + terms["upper"])
        self._write(ax, values, [*rights, ends[-1]], ends[-1])
        _name_colours(ax)
        size = font_size(len(values))
        ax.set_yticks([*places, len(values)], [*names, "raw score"], fontsize=size)
        ax.set_ylim(len(values) + 0.6, -0.6)
        ax.use_sticky_edges = False
        ax.margins(x=0.15)
        ax.set(xlabel="raw score")
        # A name may be wider than the axes, which leave room for labels.
        ax.set_title(self.name, wrap=True)
        self._add_predictions(ax)
        ax.grid(axis="x", alpha=0.3)
        ax.set_axisbelow(True)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _add_predictions(self, ax: Any) -> None:
        """Draw an axis of predictions on top, if scores are none."""
        if self.link == "identity":
            return
        low, high = ax.get_xlim()
        to_prediction, to_score, largest, label = _LINKS[self.link]
        nice = pyplot().MaxNLocator(20).tick_values(*to_prediction([low, high]))
        if self.link == "logit" and high - low > 2:
            nice = _PROBABILITIES
        predictions = nice[(nice > 0) & (nice < largest)]
        scores = to_score(predictions)
        inside = (low <= scores) & (scores <= high)
        shown = _apart(scores, np.flatnonzero(inside), (high - low) / _MOST_TICKS)
        top = ax.secondary_xaxis("top")
        top.set_ticks(scores[shown], [f"{value:g}" for value in predictions[shown]])
        top.set_xlabel(label)

    def _steps(self) -> tuple[list[str], pd.DataFrame]:
        """Return names and terms: the bias, the largest terms, the sum of the rest."""
        bias = self.terms["kind"] == "bias"
        terms = self.terms[~bias].sort_values(
            "contribution", key=np.abs, ascending=False, kind="stable"
        )
        top, rest = terms[: self.max_terms], terms[self.max_terms :]
        names = ["bias", *(_name(*row) for row in top[_PARTS].to_numpy())]
        parts = [self.terms[bias], top]
        if len(rest):
            names.append(f"{len(rest)} smaller terms")
            parts.append(pd.DataFrame({"contribution": [rest["contribution"].sum()]}))
        return names, pd.concat(parts, ignore_index=True)

    def _write(
        self, ax: Any, values: np.ndarray, rights: list[float], score: float
    ) -> None:
        """Write the number of each term beside its bar, and the score at the end."""
        last = len(values)
        texts = [f"{values[0]:.3g}", *(f"{v:+.3g}" for v in values[1:])]
        for place, (text, right) in enumerate(
            zip([*texts, f"{score:.3g}"], rights, strict=True)
        ):
            weight = "bold" if place in (0, last) else "normal"
            spot = {"xytext": (5, 0), "textcoords": "offset points", "va": "center"}
            ax.annotate(
                text, (right, place), **spot, fontsize=font_size(last), weight=weight
            )


def _link(estimator: Any) -> str:
    """Return the link of an estimator whose score has a prediction of its own."""
    link = Model.of(estimator).estimator._make_loss().link.name
    return {"binary_logit": "logit", "logit": "logit", "log": "log"}.get(
        link, "identity"
    )


def _with_values(X: Any) -> dict[str, str]:
    """Return the name and the value of each column of numbers of a DataFrame."""
    if not hasattr(X, "columns") or not hasattr(X, "dtypes"):
        return {}
    columns = ((str(name), X[name].to_numpy()) for name in X.columns)
    return {
        name: f"{name} = {cells[0]:.6g}"
        for name, cells in columns
        if len(cells) and cells.dtype.kind in "iuf" and np.isfinite(cells[0])
    }


def _name_colours(ax: Any) -> None:
    """Say below the axes which colour raises the score."""
    named = {"raises the score": VERMILION, "lowers the score": BLUE}
    handles = [pyplot().Rectangle((0, 0), 1, 1, color=c) for c in named.values()]
    ax.legend(
        handles,
        list(named),
        loc="upper center",
        bbox_to_anchor=(0.5, -0.1),
        ncols=2,
        frameon=False,
    )


def _apart(places: np.ndarray, numbers: np.ndarray, distance: float) -> list[int]:
    """Choose ticks that are a distance apart, those nearest to a score of 0 first."""
    chosen: list[int] = []
    for number in numbers[np.argsort(np.abs(places[numbers]), kind="stable")].tolist():
        if all(abs(places[number] - places[other]) >= distance for other in chosen):
            chosen.append(number)
    return chosen


def _draw_intervals(ax: Any, terms: pd.DataFrame, starts: np.ndarray) -> None:
    """Draw the intervals of the terms, which are relative to ``starts``."""
    places = np.arange(len(terms))
    lower, upper = starts + terms["lower"], starts + terms["upper"]
    ax.hlines(places, lower, upper, color="black", lw=1)
    for bound in (lower, upper):
        ax.vlines(bound, places - 0.12, places + 0.12, color="black", lw=1)


#: By link: predictions of scores, scores of predictions, largest prediction, its name.
_LINKS = {
    "log": (np.exp, np.log, np.inf, "prediction at this score"),
    "logit": (expit, logit, 1, "probability at this score"),
}
_PARTS = ["kind", "first", "second"]
_PROBABILITIES = np.r_[1e-4, 1e-3, 0.01, 0.05, 0.1:0.95:0.1, 0.95, 0.99, 0.999, 0.9999]
#: Largest number of predictions on an axis.
_MOST_TICKS = 9


def _name(kind: str, first: str, second: str) -> str:
    if second:
        return pair_name(first, second)
    return shorten(first, 40) if first else kind
