"""Embeddings of fitted models, and their neighbours."""

import numpy as np
import pandas as pd
import pytest
from estimator_cases import fitted
from numpy.testing import assert_allclose
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

import skfm
from skfm.inspection import (
    embeddings,
    most_similar,
)

TABLE = pd.DataFrame({"a": list("pqrs") * 30, "b": list("xyz") * 40})
OUTCOME = (TABLE["a"].isin(["p", "q"]) == (TABLE["b"] == "x")).to_numpy()


def test_embeddings_of_a_table():
    model = skfm.FMClassifier(n_factors=3, random_state=0).fit(TABLE, OUTCOME)
    vectors = embeddings(model, "a")
    assert vectors.index.tolist() == list("pqrs")
    assert vectors.index.name == "a"
    assert_allclose(vectors, model.factors_[:4])
    pd.testing.assert_frame_equal(embeddings(model, 0), vectors)


def test_embeddings_of_the_fields_of_an_encoder():
    model = make_pipeline(OneHotEncoder(), skfm.FMClassifier(random_state=0))
    vectors = embeddings(model.fit(TABLE, OUTCOME), "b")
    assert vectors.index.tolist() == list("xyz")


def test_embeddings_of_ffm_are_one_for_each_field():
    model = skfm.FFMClassifier(n_factors=3, crosses=None, random_state=0).fit(
        TABLE, OUTCOME
    )
    vectors = embeddings(model, "a")
    assert vectors.shape == (4, 6)
    assert_allclose(vectors["b"], model.factors_[:4, 1])


def test_most_similar():
    model = skfm.FMClassifier(n_factors=3, random_state=0).fit(TABLE, OUTCOME)
    similar = most_similar(model, "a", "p")
    assert similar.index[0] == "q"
    assert len(similar) == 3
    p, q = model.factors_[:2]
    expected = p @ q / np.linalg.norm(p) / np.linalg.norm(q)
    assert similar["q"] == pytest.approx(expected)
    assert len(most_similar(model, "a", "p", n=1)) == 1


@pytest.mark.parametrize(
    ("field", "category", "message"),
    [
        ("c", "p", "no field 'c'; the fields are a, b"),
        (2, "p", "field=2 is not in"),
        ("a", "t", "no category 't' .*; its categories are p, q, r, s"),
        ("a", "<unknown>", "no category"),
    ],
)
def test_unknown_fields_and_categories_are_refused(field, category, message):
    model = skfm.FMClassifier(max_iter=2, crosses=None, random_state=0).fit(
        TABLE, OUTCOME
    )
    with pytest.raises(ValueError, match=message):
        most_similar(model, field, category)


def test_models_without_fields_say_so():
    with pytest.raises(ValueError, match="pass fields= to the estimator"):
        embeddings(fitted(skfm.FMClassifier), 0)
