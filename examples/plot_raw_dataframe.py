"""
From a raw table to a model
===========================

Who earns more than 50,000 dollars? The Adult data (UCI Machine Learning Repository,
Becker and Kohavi 1996, CC BY 4.0) are a table of strings and numbers with missing
cells. Such a table goes straight into every estimator: no one-hot encoder, no list of
fields, no imputation. A category never seen in training, or a missing one, is no error.
"""

# %%
# The data
# --------
# A copy of the Adult data beside the repository is read where there is one. Otherwise
# a table of the same make is drawn, with planted interactions of its columns.

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import skfm

# Notebooks and the gallery have no __file__; they run in the script's folder.
HERE = Path(globals().get("__file__", "script")).parent
ADULT = HERE.resolve().parents[1] / "shared" / "data" / "adult.csv.gz"
OUTPUT = HERE / "output"


def load_adult():
    table = pd.read_csv(ADULT, na_values="?")
    y = table.pop("income") == ">50K"
    return table.drop(columns="fnlwgt"), y.to_numpy(), "occupation"


def draw_table(n_rows=20_000):
    """A table of ten columns, a number among them, with 5 % of the cells missing."""
    X, y = skfm.datasets.make_interactions(
        n_rows, n_fields=9, n_categories=12, random_state=0
    )
    rng = np.random.default_rng(0)
    cells = X.indices.reshape(n_rows, 9) % 12
    table = pd.DataFrame({f"column{j}": cells[:, j] for j in range(9)}).astype("str")
    table = table.mask(rng.random(table.shape) < 0.05)
    return table.assign(number=rng.normal(40, 12, n_rows)), y == 1, "column0"


df, y, shown = load_adult() if ADULT.exists() else draw_table()
df_train, df_test, y_train, y_test = train_test_split(
    df, y, test_size=0.25, random_state=0, stratify=y
)
print(df.head(3).T.to_string(header=False))
missing = df.isna().any(axis=1).mean()
print(f"{len(df):,} rows, {missing:.1%} of them with a missing cell\n")

# %%
# One line
# --------

model = skfm.DeepFMClassifier(random_state=0).fit(df_train, y_train)
print("fields:", ", ".join(model.field_names_))
print(f"{model.n_features_in_} columns of the table, {len(model.coef_)} of the model")

# %%
# A category that nobody has seen says nothing, which is not the same as a missing one.

person = df_test[:1]
for value in (person[shown].iloc[0], "Astronaut", None):
    probability = model.predict_proba(person.assign(**{shown: value}))[0, 1]
    print(f"{shown} = {value!s:20} P(y = 1) = {probability:.3f}")

# %%
# Beside other models
# -------------------
# Gradient-boosted trees take the table too, once strings are categories. On Adult they
# are the ones to beat: no column has many categories, and numbers act in steps (most
# capital gains are zero). `FieldEncoder` as a step of its own can bin the numbers, and
# `make_field_pipeline` hands its fields to the model.

categories = df.select_dtypes(exclude="number").columns
as_categories = df.astype(dict.fromkeys(categories, "category"))
one_hot = make_column_transformer(
    (
        make_pipeline(SimpleImputer(), StandardScaler()),
        make_column_selector(dtype_include="number"),
    ),
    remainder=OneHotEncoder(handle_unknown="ignore"),
)
linear = make_pipeline(one_hot, LogisticRegression(max_iter=1000))
trees = HistGradientBoostingClassifier(categorical_features="from_dtype")
auc = {}


def judge(name, fitted, table):
    auc[name] = roc_auc_score(y_test, fitted.predict_proba(table)[:, 1])
    print(f"{name:22} ROC AUC {auc[name]:.4f}")


judge("LogisticRegression", linear.fit(df_train, y_train), df_test)
trees.set_params(random_state=0).fit(as_categories.loc[df_train.index], y_train)
judge("HistGradientBoosting", trees, as_categories.loc[df_test.index])
fm = skfm.FMClassifier(random_state=0).fit(df_train, y_train)
judge("FM", fm, df_test)
nfm = skfm.NFMClassifier(random_state=0).fit(df_train, y_train)
judge("NFM", nfm, df_test)
judge("DeepFM", model, df_test)
binned = skfm.make_field_pipeline(
    skfm.FieldEncoder(numeric="quantile", n_bins=30, min_frequency=5),
    skfm.DeepFMClassifier(random_state=0),
)
judge("DeepFM, binned", binned.fit(df_train, y_train), df_test)

# %%
# What the model made of the categories
# -------------------------------------
# ``column_names_`` names the columns that ``coef_`` counts. Linear weights are compared
# within their field; the embeddings add what depends on the other columns.

field = fm.field_names_.index(shown)
own = fm.fields_ == field
names = [name.removeprefix(f"{shown}_") for name in fm.column_names_[own]]
weights = pd.Series(fm.coef_[own], index=names).drop("<unknown>").sort_values()

OURS, THEIRS, MISSING = "#0072B2", "#999999", "#D55E00"
fig, (left, right) = plt.subplots(
    1, 2, figsize=(11, 5), layout="constrained", width_ratios=[1, 1.15]
)
ranked = pd.Series(auc).sort_values()
ours = ranked.index.str.contains("FM")
for own_model, colour, label in [(True, OURS, "skfm"), (False, THEIRS, "scikit-learn")]:
    some = ranked[ours == own_model]
    left.scatter(some, ranked.index.get_indexer(some.index), 90, colour, label=label)
for place, value in enumerate(ranked):
    left.annotate(
        f"{value:.3f}", (value, place), (0, 9), textcoords="offset points", ha="center"
    )
left.set_yticks(range(len(ranked)), ranked.index)
left.margins(0.15)
left.locator_params(axis="x", nbins=5)
left.set(xlabel="ROC AUC on held-out rows (right is better)")
left.set_title("The raw table goes into every model of skfm", loc="left")
left.legend(loc="lower right")
right.barh(
    weights.index, weights, color=np.where(weights.index == "<missing>", MISSING, OURS)
)
right.get_yticklabels()[weights.index.get_loc("<missing>")].set_color(MISSING)
right.axvline(0, color="black", lw=0.8)
right.set(xlabel=f"FM's linear weight of a category of {shown!r} (log odds)")
right.set_title("A missing cell is a category like any other", loc="left")
for axes in (left, right):
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
OUTPUT.mkdir(exist_ok=True)
fig.savefig(OUTPUT / "raw_dataframe.png", dpi=150)

# %%
# The answer in a sentence.

rank = int((weights > weights["<missing>"]).sum()) + 1
print(
    f"\nFed with nothing but the raw table, DeepFM reaches a ROC AUC of "
    f"{auc['DeepFM']:.3f}, and {auc['DeepFM, binned']:.3f} with binned numbers; "
    f"logistic regression {auc['LogisticRegression']:.3f}, trees "
    f"{auc['HistGradientBoosting']:.3f}. A missing {shown} is a category like any "
    f"other, number {rank} of {len(weights)} by its weight."
)
print(f"Picture: {OUTPUT / 'raw_dataframe.png'}")
