"""Write results as a table and a picture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

Tables = dict[str, "list[Row]"]

INTRODUCTION = [
    "# Speed and memory",
    "",
    "`make bench` measures the figures of this page and writes it. They come from one",
    "run on one machine. Each row compares a figure of skfm with another library, with",
    "another setting or with a target. The ratio is the first figure divided by the",
    "second. Rates (rows/s) are better if they are higher, times and memory if lower.",
    "The machine:",
]


@dataclass(frozen=True)
class Row:
    """A figure of skfm, compared with another figure of the same run.

    Attributes
    ----------
    name, value, unit : str, float, str
        The measurement.
    beside : str
        Name of the library, setting or target that the figure is compared with.
    reference : float or None
        The figure that it is compared with. None if the library is not installed.
    target : float or None
        The ratio to reach, or not to exceed if ``low`` is True.
    """

    name: str
    value: float
    unit: str
    beside: str
    reference: float | None
    target: float | None = None
    low: bool = False

    @property
    def ratio(self) -> float | None:
        return None if self.reference is None else self.value / self.reference

    @property
    def verdict(self) -> str:
        if self.ratio is None:
            return "not installed" if self.beside else ""
        if self.target is None:
            return ""
        met = self.ratio <= self.target if self.low else self.ratio >= self.target
        sign = "≤" if self.low else "≥"
        return f"{sign} {self.target:g}: {'met' if met else 'not met'}"

    def cells(self) -> list[str]:
        other = (
            "" if self.reference is None else f"{_short(self.reference)} {self.unit}"
        )
        ratio = "" if self.ratio is None else f"{self.ratio:.2f}"
        value = f"{_short(self.value)} {self.unit}"
        return [self.name, value, self.beside, other, ratio, self.verdict]

    def __str__(self) -> str:
        return " | ".join(self.cells())


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


#: Heading of the part of the page that is written by hand, and kept.
NOTES = "## By turns on a busy machine"


def write(path: Path, machine: list[str], tables: Tables) -> None:
    """Write a page in Markdown, and keep the notes at the end of an earlier one."""
    earlier = path.read_text(encoding="utf-8") if path.exists() else ""
    _, heading, notes = earlier.partition(NOTES)
    lines = [*INTRODUCTION, "", *(f"- {line}" for line in machine), ""]
    for title, rows in tables.items():
        lines += [f"## {title}", ""]
        lines.append("| measurement | skfm | compared with | | ratio | target |")
        lines.append("|---|---:|---|---:|---:|---|")
        lines += ["| " + " | ".join(row.cells()) + " |" for row in rows]
        lines.append("")
    path.write_text("\n".join([*lines, heading + notes]), encoding="utf-8")


def draw(path: Path, tables: Tables) -> None:
    """Draw rates as multiples of their references, on a logarithmic axis."""
    import matplotlib.pyplot as plt

    rows = [
        row
        for table in tables.values()
        for row in table
        if row.unit == "rows/s" and row.ratio is not None and row.beside != "target"
    ][::-1]
    figure, axes = plt.subplots(figsize=(9, 0.42 * len(rows) + 1.4), layout="tight")
    ratios = [row.ratio or 0.0 for row in rows]
    bars = axes.barh(range(len(rows)), [r - 1 for r in ratios], left=1, color="#0072B2")
    axes.bar_label(bars, [f"{r:.2f}x" for r in ratios], padding=4)
    axes.set_yticks(range(len(rows)), [f"{row.name}\nvs {row.beside}" for row in rows])
    axes.tick_params(axis="y", labelsize=8)
    axes.axvline(1, color="black", linewidth=1)
    axes.set_xscale("log")
    axes.set_xlim(min(0.4, *ratios) / 1.3, max(ratios) * 2)
    axes.set_xlabel("rate divided by the rate of the reference (1 = equal)")
    axes.set_title("Training rates of skfm, one run on two CPU threads")
    axes.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=120)
