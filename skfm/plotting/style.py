"""Common parts of the displays: matplotlib, axes, colours, shortened names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

# Colours by Okabe and Ito, which colour-blind readers can distinguish, in this order.
BLUE, VERMILION, GREEN, ORANGE = "#0072B2", "#D55E00", "#009E73", "#E69F00"
PURPLE, SKY, GREY = "#CC79A7", "#56B4E9", "#7F7F7F"
CYCLE = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY, "black")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")

#: Colour map of uniform lightness, also in grey and for colour-blind readers.
SEQUENTIAL = "cividis"

#: Largest number of characters of a name in a label.
_LONGEST = 32


def pyplot() -> Any:
    """Import matplotlib.pyplot.

    Raises
    ------
    ImportError
        If matplotlib is missing; the message names the extra that installs it.
    """
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            'skfm.plotting needs matplotlib: pip install "skfm[plot]".'
        ) from error
    return plt


def axes(ax: Any, size: tuple[float, float]) -> Any:
    """Return the given axes, or those of a new figure of ``size`` inches."""
    plt = pyplot()
    return ax if ax is not None else plt.subplots(figsize=size, layout="constrained")[1]


def shorten(name: Any, longest: int = _LONGEST) -> str:
    """Shorten a long name in its middle, because both ends are informative."""
    # matplotlib would read a dollar sign as the start of a formula.
    text = str(name)
    if len(text) > longest:
        tail = (longest - 1) // 2
        text = f"{text[: longest - 1 - tail]}…{text[-tail:]}"
    return text.replace("$", r"\$")


def pair_name(first: Any, second: Any) -> str:
    """Return the label of a pair."""
    return f"{shorten(first, 24)} × {shorten(second, 24)}"


def font_size(n_labels: int, room: float = 30.0) -> float:
    """Return the font size, in points, for ``n_labels`` labels side by side."""
    return float(np.clip(10 * room / max(n_labels, 1), 6, 10))


def heat_map(
    ax: Any,
    matrix: np.ndarray,
    rows: Sequence[Any],
    columns: Sequence[Any],
    label: str,
    *,
    limits: tuple[float, float] | None = None,
) -> Any:
    """Draw a matrix with names and a colour bar, and numbers if it is small."""
    low, high = limits or (0.0, float(np.nanmax(matrix, initial=0)) or 1.0)
    image = ax.imshow(matrix, cmap=SEQUENTIAL, vmin=low, vmax=high)
    for axis, names in ((ax.xaxis, columns), (ax.yaxis, rows)):
        labels = [shorten(name) for name in names]
        axis.set_ticks(range(len(names)), labels, fontsize=font_size(len(names)))
    ax.tick_params(length=0)
    for tick in ax.get_xticklabels():
        tick.set(rotation=90 if len(columns) > 12 else 45, ha="right", va="top")
        tick.set_rotation_mode("anchor" if len(columns) <= 12 else "default")
        tick.set_ha("right" if len(columns) <= 12 else "center")
    if matrix.size <= 144:
        _write_numbers(ax, matrix, low, high)
    ax.figure.colorbar(image, ax=ax, label=label, shrink=0.8)
    return image


def _write_numbers(ax: Any, matrix: np.ndarray, low: float, high: float) -> None:
    for (row, column), value in np.ndenumerate(matrix):
        if np.isfinite(value):
            light = value > (low + high) / 2
            colour = "black" if light else "white"
            text = f"{value:.2g}"
            ax.text(
                column, row, text, ha="center", va="center", color=colour, fontsize=8
            )


def bars(
    ax: Any,
    names: Iterable[str],
    values: np.ndarray,
    colours: Any,
    texts: Iterable[str],
) -> Any:
    """Draw horizontal bars from top to bottom, each with a text at its end."""
    places = np.arange(len(values))
    drawn = ax.barh(places, values, color=colours, height=0.7)
    ax.set_yticks(places, list(names), fontsize=font_size(len(values)))
    ax.set_ylim(len(values) - 0.4, -0.6)
    ax.bar_label(drawn, list(texts), padding=3, fontsize=font_size(len(values)))
    ax.margins(x=0.15)
    ax.grid(axis="x", alpha=0.3)
    ax.set_axisbelow(True)
    return drawn
