"""
Fit a raw table
===============

Every estimator accepts a table of strings and numbers with missing cells, without a
one-hot encoder, a list of fields, or imputation. Missing cells and categories that were
not seen in training are encoded in columns of their own. This example fits a DeepFM to
such a table, compares it with other models, and draws the weights of the categories of
a column.
"""

# %%
# Load the data
# -------------
# The Adult data (UCI Machine Learning Repository, Becker and Kohavi 1996, CC BY 4.0)
# are used to predict who earns more than 50,000 dollars.

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
ADULT = HERE / "data" / "adult.csv.gz"
OUTPUT = HERE / "output"


df = pd.read_csv(ADULT, na_values="?").drop(columns="fnlwgt")
y = (df.pop("income") == ">50K").to_numpy()
shown = "occupation"
df_train, df_test, y_train, y_test = train_test_split(
    df, y, test_size=0.25, random_state=0, stratify=y
)
print(df.head(3).T.to_string(header=False))
missing = df.isna().any(axis=1).mean()
print(f"{len(df):,} rows, {missing:.1%} of them with a missing cell\n")

# %%
# Fit the table
# -------------

model = skfm.DeepFMClassifier(random_state=0).fit(df_train, y_train)
print("fields:", ", ".join(model.field_names_))
print(f"{model.n_features_in_} columns of the table, {len(model.coef_)} of the model")

# %%
# A category that was not seen in training adds nothing to the score. A missing cell is
# different: it has a column of its own, whose weights are trained.

person = df_test[:1]
for value in (person[shown].iloc[0], "Astronaut", None):
    probability = model.predict_proba(person.assign(**{shown: value}))[0, 1]
    print(f"{shown} = {value!s:20} P(y = 1) = {probability:.3f}")

# %%
# Compare with other models
# -------------------------
# Gradient-boosted trees accept the table as well, once strings are converted to
# categories. On the Adult data numbers have step-like effects (most capital gains are
# zero), so that the bins that numbers are encoded by matter. `FieldEncoder` can leave
# them out in a step before the model. `make_field_pipeline` passes its fields on.

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
scaled = skfm.make_field_pipeline(
    skfm.FieldEncoder(numeric="scale"),
    skfm.DeepFMClassifier(random_state=0),
)
judge("DeepFM, without bins", scaled.fit(df_train, y_train), df_test)

# %%
# Draw the weights of the categories
# ----------------------------------
# ``column_names_`` has the names of the columns, in the order of ``coef_``. Compare
# linear weights only within a field. The embeddings add terms that depend on the other
# columns.

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
left.set_title("Models of skfm are fitted on the raw table", loc="left")
left.legend(loc="lower right")
right.barh(
    weights.index, weights, color=np.where(weights.index == "<missing>", MISSING, OURS)
)
right.get_yticklabels()[weights.index.get_loc("<missing>")].set_color(MISSING)
right.axvline(0, color="black", lw=0.8)
right.set(xlabel=f"FM's linear weight of a category of {shown!r} (log odds)")
right.set_title("A missing cell has a weight of its own", loc="left")
for axes in (left, right):
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
OUTPUT.mkdir(exist_ok=True)
fig.savefig(OUTPUT / "raw_dataframe.png", dpi=150)

# %%
# The result in a sentence:

rank = int((weights > weights["<missing>"]).sum()) + 1
print(
    f"\nOn the raw table, DeepFM has a ROC AUC of {auc['DeepFM']:.3f}, and without "
    f"bins {auc['DeepFM, without bins']:.3f}. Logistic regression has "
    f"{auc['LogisticRegression']:.3f} and trees {auc['HistGradientBoosting']:.3f}. A "
    f"missing {shown} has a weight of its own, number {rank} of {len(weights)} in "
    "descending order."
)
print(f"Picture: {OUTPUT / 'raw_dataframe.png'}")
