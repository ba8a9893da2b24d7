"""Invented flights: tables with categories, numbers and missing cells."""

import numpy as np
import pandas as pd
from estimator_cases import make
from sklearn.base import is_classifier


def flights(n=300, seed=0, n_planes=40):
    """Flights, with 10 % of the cells missing but in the columns of integers."""
    rng = np.random.default_rng(seed)
    carrier = rng.choice(["AA", "DL", "UA"], n)
    plane = rng.integers(n_planes, size=n)
    df = pd.DataFrame(
        {
            "carrier": pd.Categorical(carrier),
            "tailnum": [f"N{number}" for number in plane],
            "night": pd.array(rng.random(n) < 0.3, dtype="boolean"),
            "distance": rng.gamma(3, 300, n),
            "hour": rng.integers(5, 24, n),
        }
    )
    y = (df["hour"] > 12).to_numpy() ^ (carrier == "AA")
    where = rng.random((n, 4)) < 0.1
    for j, name in enumerate(df.columns[:4]):
        df.loc[where[:, j], name] = None
    return df, y


DF, Y = flights()
NEW = flights(seed=1, n_planes=60)[0]


def answer(cls, y=Y):
    return y if is_classifier(cls()) else np.where(y, 3.0, -1.0)


def fit(cls, df=DF, y=Y, **parameters):
    cheap = {"max_iter": 2, "batch_size": 100}
    return make(cls, **cheap | parameters).fit(df, answer(cls, y))
