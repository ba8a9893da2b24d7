"""
Inspect the attention of an AFM
===============================

An attentional factorization machine (AFM) assigns a weight to each pair of entries of a
row. The weights of a row show which pairs its prediction is based on. This example fits
an AFM to a table of categories, averages the attention over the held-out rows, and
explains a single prediction.
"""

# %%
# Load the data and fit the model
# -------------------------------
# The Adult data (UCI Machine Learning Repository, Becker and Kohavi 1996, CC BY 4.0)
# are used to predict who earns more than 50,000 dollars.

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split

import skfm
from skfm.inspection import attention_weights
from skfm.plotting import AttentionDisplay, ContributionDisplay, FieldInteractionDisplay

# Notebooks and the gallery have no __file__; they run in the script's folder.
HERE = Path(globals().get("__file__", "script")).parent
ADULT = HERE / "data" / "adult.csv.gz"
OUTPUT = HERE / "output"
BINS = {"age": 8, "educational-num": 6, "hours-per-week": 6}


def load_adult():
    """Return the table without its sampling weights, with numbers as categories."""
    table = pd.read_csv(ADULT, na_values="?")
    y = table.pop("income") == ">50K"
    table = table.drop(columns=["fnlwgt", "education"])
    for name, n_bins in BINS.items():
        table[name] = pd.qcut(table[name], n_bins, duplicates="drop").astype("str")
    for name in ("capital-gain", "capital-loss"):
        table[name] = np.where(table[name] > 0, "some", "none")
    return table, y.to_numpy()


df, y = load_adult()
df_train, df_test, y_train, y_test = train_test_split(
    df, y, test_size=0.25, random_state=0, stratify=y
)
model = skfm.AFMClassifier(
    network_learning_rate=0.05, n_iter_no_change=10, random_state=0
).fit(df_train, y_train)
scores = model.decision_function(df_test)
print(f"{len(df):,} rows; ROC AUC of an AFM on held-out ones: ", end="")
print(f"{roc_auc_score(y_test, scores):.3f}\n")

# %%
# Average the attention over rows
# -------------------------------
# `attention_weights` returns a table with the weight of every pair in every row. Here
# it is averaged over the rows for each pair of fields.

weights = attention_weights(model, df_test, by="field")
assert np.allclose(weights.groupby("row")["weight"].sum(), 1, atol=1e-5)
mean = weights.groupby(["first", "second"], sort=False)["weight"].mean()
mean = mean.sort_values(ascending=False)
even = 1 / len(mean)
print(f"Mean attention (uniform attention would be {even:.3f})")
print(mean.head(6).round(3).to_string(), "\n")

# %%
# Explain one prediction
# ----------------------
# We choose the held-out row with the least uniform attention and draw its attention
# weights beside the terms of its score. An attention weight says how strongly a pair
# is weighted, not what it contributes: a pair with much attention may raise the score
# a little, or lower it.

entropy = (
    weights["weight"].mul(-np.log(weights["weight"])).groupby(weights["row"]).sum()
)
person = df_test.iloc[[int(entropy.idxmin())]]
print(person.T.to_string(header=False), "\n")

fig, (left, right) = plt.subplots(1, 2, figsize=(16, 5.5), layout="constrained")
AttentionDisplay.from_estimator(
    model, person, max_pairs=12, name="Where the model looks", ax=left
)
ContributionDisplay.from_estimator(
    model, person, max_terms=10, name="Terms of the score (log odds)", ax=right
)
OUTPUT.mkdir(exist_ok=True)
fig.savefig(OUTPUT / "attention_row.png", dpi=110)
display = FieldInteractionDisplay.from_estimator(
    model, df_test, name="What pairs of columns add to the log odds"
)
display.figure_.savefig(OUTPUT / "attention_fields.png", dpi=110)

# %%
# The result in a sentence:

first, second = mean.index[0]
own = attention_weights(model, person).nlargest(1, "weight").iloc[0]
print(
    f"Over all held-out rows the AFM looks most at {first} × {second} "
    f"({mean.iloc[0] / even:.1f} times an even share), and in this row at "
    f"{own['first']} × {own['second']} ({own['weight']:.0%} of its attention)."
)
print(f"Pictures: {OUTPUT / 'attention_row.png'}")
print(f"          {OUTPUT / 'attention_fields.png'}")
