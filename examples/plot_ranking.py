"""
Fit and tune a ranker
=====================

A ranker learns to order the rows of a query. Here a query is a user, and the rows are
films. This example compares `FMRanker` and `FMRegressor` by NDCG@10 on the last ten
films of every user. It then tunes a ranker with `GridSearchCV` and `GroupKFold`, where
metadata routing passes one array to the split, the fit and the score.
"""

# %%
# Load the ratings
# ----------------
# If the environment variable ``MOVIELENS_100K`` gives the path of the ratings of
# MovieLens-100k (Harper and Konstan 2015; ``u.data``: user, item, rating, time,
# separated by tabs), they are used. Otherwise the script generates users and items with
# random embeddings, and users rate the items that they like best, with noise.

import os

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import sklearn
from sklearn.metrics import ndcg_score
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

import skfm

RATINGS = os.environ.get("MOVIELENS_100K")


def read_ratings(path):
    table = pd.read_csv(path, sep="\t", header=None, dtype=str)
    table = table[table[0].str.isdecimal()].astype(int)  # some copies have a header
    table.columns = ["user", "item", "rating", "time"]
    return table.sort_values(["user", "time"], kind="stable")[["user", "item"]]


def draw_ratings(n_users=200, n_items=120, n_rated=30):
    rng = np.random.default_rng(0)
    tastes, items = rng.normal(size=(n_users, 4)), rng.normal(size=(n_items, 4))
    liking = tastes @ items.T + 1.5 * rng.normal(size=n_items)
    noise = rng.gumbel(size=liking.shape)
    rated = np.argsort(-(liking + noise), axis=1)[:, :n_rated]
    rated = rng.permuted(rated, axis=1)
    users = np.repeat(np.arange(n_users), n_rated)
    return pd.DataFrame({"user": users, "item": rated.ravel()})


ratings = read_ratings(RATINGS) if RATINGS else draw_ratings()
print(f"{len(ratings):,} ratings of {ratings.user.nunique():,} users")

# %%
# The ratings of each user are divided into visits of ten films. To learn a ranking, a
# model needs films that were not chosen as well. We therefore add films to each visit
# that the user never rated, with relevance 0; rated films have relevance 1. The last
# visit of each user is the test set. The visit before it is used for early stopping and
# to choose the strength of the penalty.

VISIT, N_OTHERS, N_VAL_OTHERS, N_TEST_OTHERS = 10, 20, 50, 100

position = ratings.groupby("user").cumcount(ascending=False)
ratings = ratings.assign(back=position // VISIT, relevance=1)


def with_others(visits, n_others, seed):
    """Return the rows of the visits, with ``n_others`` unrated films for each."""
    rng = np.random.default_rng(seed)
    seen = set(zip(ratings.user, ratings.item, strict=True))
    keys = visits[["user", "back"]].drop_duplicates()
    others = keys.loc[keys.index.repeat(n_others)]
    others = others.assign(item=rng.choice(ratings.item.unique(), len(others)))
    pairs = zip(others.user, others.item, strict=True)
    unseen = [pair not in seen for pair in pairs]
    rows = pd.concat([visits, others[unseen].assign(relevance=0)])
    return rows.drop_duplicates(["user", "back", "item"]).sample(frac=1, random_state=0)


train = with_others(ratings[ratings.back >= 2], N_OTHERS, seed=0)
val = with_others(ratings[ratings.back == 1], N_VAL_OTHERS, seed=1)
test = with_others(ratings[ratings.back == 0], N_TEST_OTHERS, seed=2)

encoder = OneHotEncoder(handle_unknown="ignore").fit(train[["user", "item"]])
X, X_val, X_test = (encoder.transform(t[["user", "item"]]) for t in (train, val, test))
print(f"{X.shape[0]:,} rows to learn from")

# %%
# Compare rankers with a regressor
# --------------------------------
# All models are fitted on the same rows and stop early on the same films. For each
# model, the strength of the penalty is chosen by NDCG on those films. `FMRanker.score`
# computes the NDCG of a ranker; for the regressor, it is computed here.
#
# :ref:`sphx_glr_auto_examples_plot_recommend.py` draws the films that were not rated in
# the training step instead, and ranks all films.

STRENGTHS = (0.006, 0.01, 0.03, 0.05) if RATINGS else (0.003, 0.03)


def ndcg(model, X, rows):
    """Compute the mean NDCG@10 of the users."""
    scored = pd.DataFrame({"y": rows.relevance.to_numpy(), "s": model.predict(X)})
    users = scored.groupby(rows.user.to_numpy())
    return np.mean([ndcg_score([u.y], [u.s], k=10) for _, u in users])


def fit_best(model, **queries):
    """Fit a model with each strength; return the best on the validation films."""
    fitted = []
    for strength in STRENGTHS:
        candidate = sklearn.clone(model).set_params(alpha_factors=strength)
        candidate.fit(X, train.relevance, X_val=X_val, y_val=val.relevance, **queries)
        fitted.append((ndcg(candidate, X_val, val), strength, candidate))
    return max(fitted)[1:]


# The regressor has the learning rate of the rankers, so that only the loss differs.
models = {
    "regressor": skfm.FMRegressor(learning_rate=0.1, random_state=0),
    "pairwise": skfm.FMRanker(loss="pairwise", random_state=0),
    "listwise": skfm.FMRanker(loss="listwise", random_state=0),
    "lambda": skfm.FMRanker(loss="lambda", random_state=0),
}
queries = {"qid": train.user, "qid_val": val.user}
results = {}
for name, model in models.items():
    strength, model = fit_best(model, **({} if name == "regressor" else queries))
    results[name] = ndcg(model, X_test, test)
    print(f"{name:10} NDCG@10 {results[name]:.4f}  alpha_factors={strength}")

fig, ax = plt.subplots(layout="constrained")
ax.barh(list(results), list(results.values()))
ax.set(xlabel="NDCG@10 on the last ten films of each user", xlim=(0, None))
ax.invert_yaxis()

# %%
# Tune a ranker with whole queries
# --------------------------------
# In the grid search, a query is a visit, so that all users occur in the training rows
# of every fold. `GroupKFold` uses ``groups`` to keep visits whole. Metadata routing
# passes the same array through the pipeline to the ranker, as the ``qid`` of `fit` and
# `score`. The groups may have any labels, in any order.

visit = train.user.astype(str) + "/" + train.back.astype(str)

sklearn.set_config(enable_metadata_routing=True)
ranker = skfm.FMRanker(max_iter=5, random_state=0)
ranker.set_fit_request(qid="groups").set_score_request(qid="groups")
search = GridSearchCV(
    make_pipeline(OneHotEncoder(handle_unknown="ignore"), ranker),
    {"fmranker__loss": ["pairwise", "listwise"]},
    cv=GroupKFold(3),
)
search.fit(train[["user", "item"]], train.relevance, groups=visit)
sklearn.set_config(enable_metadata_routing=False)

table = pd.DataFrame(search.cv_results_).set_index("param_fmranker__loss")
print(table[["mean_test_score", "std_test_score"]].round(4))
