"""The default parameters of an architecture beside random settings of its own.

    python benchmarks/defaults_search.py --models DeepFM NFM AFM --sets "Adult-*"

measures the defaults and 20 random settings on each set, as `defaults.py` does and with
its options, adds them to defaults_search.jsonl, and prints the loss of the defaults
relative to the best setting. The best is found by the loss on the test rows: a search
that sees only the training rows finds a worse one.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from defaults import make, options, parse_model, run
from defaults_report import as_markdown, read

RESULTS = Path(__file__).with_name("defaults_search.jsonl")
Draw = Callable[[np.random.Generator], Any]


def between(low: float, high: float) -> Draw:
    """Return a function that draws evenly on a logarithmic scale, two digits long."""

    def draw(generator: np.random.Generator) -> float:
        value = np.exp(generator.uniform(np.log(low), np.log(high)))
        return float(f"{value:.2g}")

    return draw


def one_of(*values: Any) -> Draw:
    """Return a function that draws one of the values."""
    return lambda generator: values[generator.integers(len(values))]


#: Parameters to draw, if the architecture has them. Others keep their defaults.
RANGES: dict[str, Draw] = {
    "n_factors": one_of(4, 8, 16, 32, 64),
    "learning_rate": between(0.01, 0.3),
    "alpha_factors": between(1e-4, 0.1),
    "alpha_linear": between(1e-5, 0.01),
    "alpha": between(1e-6, 0.01),
    "network_learning_rate": between(3e-4, 0.01),
    "hidden_layer_sizes": one_of((64,), (128, 64), (256, 128), (256, 128, 64)),
    "dropout": one_of(0.0, 0.1, 0.2, 0.4),
    "interaction_dropout": one_of(0.0, 0.1, 0.2, 0.4),
    "attention_size": one_of(8, 16, 32),
}


def settings(model: str, n_settings: int) -> list[str]:
    """Draw settings of a model, each as `defaults.py` reads it: NAME(name=value, ...).

    They do not depend on the set or its seed.
    """
    generator = np.random.default_rng(0)
    there = make(model, False, 0).get_params()
    drawn = []
    for _ in range(n_settings):
        values = {name: draw(generator) for name, draw in RANGES.items()}
        words = [f"{name}={values[name]!r}" for name in RANGES if name in there]
        drawn.append(f"{model}({', '.join(words)})")
    return drawn


def beside_the_best(frame: pd.DataFrame) -> pd.DataFrame:
    """Compare the defaults of each model on each set with the best of its settings.

    Means over the seeds that all settings have been measured with.
    """
    frame = frame.assign(name=[parse_model(model)[0] for model in frame["model"]])
    rows = []
    for (name, one), part in frame.groupby(["name", "set"]):
        table = part.pivot(index="seed", columns="model", values="loss")
        mean = table.dropna().mean()
        others = mean.drop(name, errors="ignore").dropna()
        if name not in mean or others.empty:
            continue
        rows.append(
            {
                "model": name,
                "set": one,
                "defaults": mean[name],
                "best": others.min(),
                "ratio": mean[name] / others.min(),
                "better": f"{(others < mean[name]).sum()} of {len(others)}",
                "setting": others.idxmin(),
            }
        )
    return pd.DataFrame(rows)


def main() -> None:
    parser = options(__doc__)
    parser.set_defaults(results=RESULTS, models=["DeepFM", "NFM", "AFM"], seeds=[0])
    parser.add_argument("--settings", type=int, default=20, metavar="N")
    asked = parser.parse_args()
    names = asked.models
    asked.models = [
        word for name in names for word in [name, *settings(name, asked.settings)]
    ]
    run(asked)
    table = beside_the_best(read(asked.results))
    if len(table):
        shown = table.set_index("model").map(
            lambda value: f"{value:.4f}" if isinstance(value, float) else value
        )
        print(as_markdown(shown))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
