"""Prepare a table with skrub, and keep its fields."""

import numpy as np
import pandas as pd
from sklearn.pipeline import make_pipeline
from skrub import Cleaner, tabular_pipeline

import skfm

rng = np.random.default_rng(0)
table = pd.DataFrame(
    {
        "carrier": rng.choice(["AA", "DL", "UA"], 500),
        "plane": [f"N{number}" for number in rng.integers(60, size=500)],
        "hour": rng.integers(24, size=500),
        "day": pd.date_range("2013-01-01", periods=500).astype(str),
    }
)
late = (table["hour"] > 12) ^ (table["carrier"] == "AA")
model = skfm.DeepFMClassifier(random_state=0)

# Cleaner parses numbers and dates, and leaves the encoding to skfm.
cleaned = make_pipeline(Cleaner(), model).fit(table, late)
print(cleaned[-1].field_names_)

# Whatever skrub's encoders make of a column is a field of that column's name.
steps = dict(tabular_pipeline(model).steps).values()
encoded = skfm.make_field_pipeline(*steps).fit(table, late)
print(encoded[-1].field_names_)
