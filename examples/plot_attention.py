"""
Inspect the attention of an AFM
===============================

An attentional factorization machine (AFM) assigns a weight to each pair of entries of a
row. The weights of a row show which pairs its prediction is based on. This example fits
an AFM to data in which three of four columns act together, averages the attention over
the held-out rows, and explains a single prediction.
"""

# %%
# Make the data and fit the model
# -------------------------------
# Each column has an effect of its own. Beside it, "b", "c" and "d" act together: the
# effect of each two of them depends on the third one.

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
OUTPUT = Path(globals().get("__file__", "script")).parent / "output"

X, y, truth = skfm.datasets.make_interactions(
    8000,
    n_fields=4,
    n_categories=4,
    kind="three_way",
    n_groups=1,
    random_state=0,
    return_truth=True,
)
levels = X.indices.reshape(-1, 4) % 4
df = pd.DataFrame(levels, columns=list("abcd")).astype("str")
df_train, df_test, y_train, y_test, _, rows_test = train_test_split(
    df, y, X, test_size=0.25, random_state=0
)
model = skfm.AFMClassifier(n_members=1, crosses=None, random_state=0)
model.fit(df_train, y_train)
for name, scores in (
    ("an AFM", model.decision_function(df_test)),
    ("the best possible", truth.decision_function(rows_test)),
):
    print(f"ROC AUC of {name} on held-out rows: {roc_auc_score(y_test, scores):.3f}")

# %%
# Average the attention over rows
# -------------------------------
# `attention_weights` returns a table with the weight of every pair in every row. Here
# it is averaged over the rows for each pair of fields. The pairs of "b", "c" and "d"
# have most of it.

weights = attention_weights(model, df_test, by="field")
assert np.allclose(weights.groupby("row")["weight"].sum(), 1, atol=1e-5)
mean = weights.groupby(["first", "second"], sort=False)["weight"].mean()
mean = mean.sort_values(ascending=False)
even = 1 / len(mean)
print(f"\nMean attention (uniform attention would be {even:.3f})")
print(mean.head(6).round(3).to_string(), "\n")

# %%
# Explain one prediction
# ----------------------
# The attention weights of the first held-out row are drawn beside the terms of its
# score. An attention weight says how strongly a pair is weighted, not what it
# contributes: a pair with much attention may raise the score a little, or lower it.

row = df_test[:1]
print(row.T.to_string(header=False), "\n")

fig, (left, right) = plt.subplots(1, 2, figsize=(16, 5.5), layout="constrained")
AttentionDisplay.from_estimator(
    model, row, max_pairs=12, name="Where the model looks", ax=left
)
ContributionDisplay.from_estimator(
    model, row, max_terms=10, name="Terms of the score (log odds)", ax=right
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
own = attention_weights(model, row).nlargest(1, "weight").iloc[0]
print(
    f"Over all held-out rows the AFM looks most at {first} × {second} "
    f"({mean.iloc[0] / even:.1f} times an even share), and in this row at "
    f"{own['first']} × {own['second']} ({own['weight']:.0%} of its attention)."
)
print(f"Pictures: {OUTPUT / 'attention_row.png'}")
print(f"          {OUTPUT / 'attention_fields.png'}")
