"""Explanations of the scores of fitted models."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from common_cases import ARCHITECTURES
from estimator_cases import CELLS, X, fitted, make, scores, target
from inspection_cases import DEEP, PAIRWISE, UNEVEN, planted, several_outputs, sums
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

import skfm
from skfm.inspection import (
    explain,
)


@pytest.mark.parametrize("multi", [False, True])
@pytest.mark.parametrize("cls", PAIRWISE)
def test_terms_add_up_exactly(cls, multi):
    y = several_outputs(cls) if multi else target(cls)
    model = make(cls, dtype="float64").fit(X, y)
    terms = explain(model, UNEVEN)
    assert_allclose(sums(terms, 30), scores(model, UNEVEN), rtol=0, atol=1e-9)
    assert set(terms["kind"]) <= {"bias", "linear", "pair"}


@pytest.mark.parametrize("cls", PAIRWISE)
def test_terms_add_up_in_float32(cls):
    model = fitted(cls, dtype="float32")
    assert_allclose(sums(explain(model, X), 120), scores(model), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("cls", "multi"),
    [(cls, False) for cls in DEEP] + [(cls, True) for cls in DEEP[:2]],
)
def test_terms_of_deep_models_add_up(cls, multi):
    y = several_outputs(cls) if multi else target(cls)
    model = make(cls, dtype="float64", max_iter=5).fit(X, y)
    terms = explain(model, UNEVEN, n_points=300)
    assert_allclose(sums(terms, 30), scores(model, UNEVEN), rtol=0, atol=1e-9)
    largest = terms[terms["kind"] == "residual"]["contribution"].abs().max()
    unit = np.max(getattr(model, "y_scale_", 1))
    assert largest <= 0.01 * max(unit, np.abs(scores(model, UNEVEN)).max())


@pytest.mark.parametrize("cls", ARCHITECTURES)
def test_linear_terms_are_those_of_coef(cls):
    model = fitted(cls)
    linear = explain(model, UNEVEN).query("kind == 'linear'")
    if not hasattr(model, "coef_"):
        assert linear.empty
        return
    rows, columns = np.nonzero(UNEVEN.toarray())
    assert_array_equal(linear["row"], rows)
    assert_array_equal(linear["first"], model.column_names_[columns])
    expected = UNEVEN.toarray()[rows, columns] * model.coef_[columns]
    assert_allclose(linear["contribution"], expected, rtol=1e-12)


def test_pairs_of_an_fm_are_inner_products():
    model = fitted(skfm.FMRegressor)
    pairs = explain(model, UNEVEN).query("kind == 'pair'")
    dense = UNEVEN.toarray()
    names = list(model.column_names_)
    for row, first, second, found in zip(
        pairs["row"],
        pairs["first"],
        pairs["second"],
        pairs["contribution"],
        strict=True,
    ):
        i, j = names.index(first), names.index(second)
        inner = model.factors_[i] @ model.factors_[j] * dense[row, i] * dense[row, j]
        assert found == pytest.approx(inner * model.y_scale_[0], abs=1e-12)


def test_integrated_gradients_share_a_pair_in_halves():
    """Without its MLP a DeepFM is quadratic: entry i gets half of its pairs."""
    model = fitted(skfm.DeepFMClassifier, dtype="float64")
    with torch.no_grad():
        model.network_.mlp.output.weight.zero_()
    shares = explain(model, X).query("kind == 'embedding'")["contribution"]
    vectors = model.factors_[X.indices.reshape(-1, 3)]
    gram = np.einsum("rik,rjk->rij", vectors, vectors)
    halves = (gram.sum(axis=2) - np.einsum("rii->ri", gram)) / 2
    assert_allclose(shares, halves.ravel(), atol=1e-12)


def test_the_largest_pairs_are_kept_and_the_others_summed():
    model = fitted(skfm.FMClassifier)
    everything = explain(model, X, max_pairs=None)
    some = explain(model, X, max_pairs=1)
    assert_allclose(sums(some, 120), sums(everything, 120), atol=1e-12)
    size = everything.query("kind == 'pair'").set_index("row")["contribution"].abs()
    kept = some.query("kind == 'pair'").set_index("row")["contribution"].abs()
    assert_allclose(kept, size.groupby("row").max())
    assert (some["kind"] == "other pairs").sum() == 120
    none = explain(model, X, max_pairs=0)
    assert set(none["kind"]) == {"bias", "linear", "other pairs"}


def test_pairs_come_by_size():
    pairs = explain(fitted(skfm.FFMClassifier), X).query("kind == 'pair'")
    size = pairs["contribution"].abs().to_numpy().reshape(120, 3)
    assert np.all(np.diff(size, axis=1) <= 0)


def test_empty_rows_have_their_bias_only():
    model = fitted(skfm.FMClassifier)
    terms = explain(model, sp.csr_array((2, X.shape[1])))
    assert terms["kind"].tolist() == ["bias", "bias"]
    assert_allclose(terms["contribution"], model.intercept_)


def test_explain_does_not_depend_on_the_chunks(monkeypatch):
    model = fitted(skfm.FFMClassifier)
    expected = explain(model, X)
    monkeypatch.setattr("skfm.inspection.reading._NUMBERS_PER_CHUNK", 100)
    pd.testing.assert_frame_equal(explain(model, X), expected)


@pytest.mark.parametrize("cls", [skfm.FMClassifier, skfm.DeepFMClassifier])
def test_an_explanation_depends_on_its_row_alone(cls):
    model = fitted(cls, dtype="float64")
    alone = explain(model, X[[7]])
    beside = explain(model, X).query("row == 7")
    assert_array_equal(alone["first"], beside["first"])
    assert_allclose(alone["contribution"], beside["contribution"], atol=1e-12)


def test_outputs_go_by_their_classes():
    model = make(skfm.FMClassifier).fit(X, several_outputs(skfm.FMClassifier))
    assert list(dict.fromkeys(explain(model, X[:1])["output"])) == ["p", "q", "r"]


def test_names_of_a_table():
    df = pd.DataFrame({"plane": ["N1", "N2"] * 20, "hour": [1.0, 2, 3, 5] * 10})
    model = skfm.FMClassifier(max_iter=2, random_state=0).fit(df, [0, 1] * 20)
    pair = explain(model, df[:1]).query("kind == 'pair'").iloc[0]
    assert (pair["first"], pair["second"]) == ("plane_N1", "hour")


def test_names_of_an_encoder_in_a_pipeline_and_a_search():
    df = pd.DataFrame({"a": list("xyzx") * 10, "b": list("ppqq") * 10})
    y = [0, 1, 1, 0] * 10
    fm = skfm.FMClassifier(max_iter=2, solver="sgd")
    pipe = make_pipeline(OneHotEncoder(), fm)
    search = GridSearchCV(pipe, {"fmclassifier__n_factors": [2]}, cv=2).fit(df, y)
    terms = explain(search, df[:1])
    assert terms["first"].tolist() == ["", "a_x", "b_p", "a_x"]
    assert terms["second"].tolist()[-1] == "b_p"
    assert terms["contribution"].sum() == pytest.approx(
        search.decision_function(df[:1])[0]
    )


def test_models_that_cannot_be_explained_are_refused():
    with pytest.raises(TypeError, match="estimator of skfm"):
        explain(LogisticRegression().fit(X, CELLS[:, 0] > 1), X)
    with pytest.raises(NotFittedError):
        explain(skfm.FMClassifier(), X)
    with pytest.raises(ValueError, match="max_pairs"):
        explain(fitted(skfm.FMClassifier), X, max_pairs=-1)


@pytest.mark.parametrize("loss", ["poisson", "gamma", "quantile"])
def test_terms_add_up_for_any_loss(loss):
    model = make(skfm.FMRegressor, loss=loss).fit(X, CELLS[:, 0] + 1.0)
    predicted = model.predict(X)
    expected = predicted if loss == "quantile" else np.log(predicted)
    assert_allclose(sums(explain(model, X), 120), expected, atol=1e-9)


def test_terms_add_up_for_rankers_and_labels():
    queries = np.repeat(np.arange(12), 10)
    ranker = make(skfm.FMRanker).fit(X, CELLS[:, 0], qid=queries)
    assert_allclose(sums(explain(ranker, X), 120), ranker.predict(X), atol=1e-9)
    labels = np.column_stack([CELLS[:, 0] > 1, CELLS[:, 1] > 2]).astype(int)
    model = make(skfm.FMClassifier).fit(X, labels)
    terms = explain(model, X)
    assert_allclose(sums(terms, 120), model.decision_function(X), atol=1e-9)


def test_an_incomplete_explanation_warns():
    model = fitted(skfm.DCNClassifier, max_iter=60)
    with pytest.warns(ConvergenceWarning, match=r"raise n_points \(=1\)") as warned:
        terms = explain(model, X, n_points=1)
    assert warned[0].filename == __file__
    assert_allclose(sums(terms, 120), scores(model), atol=1e-9)


@pytest.mark.parametrize("cls", [c for c in PAIRWISE if "Classifier" in c.__name__])
def test_the_planted_pair_is_the_top_pair(cls):
    X, y, truth = planted()
    model = cls(random_state=0, max_iter=8).fit(X, y)
    pairs = explain(model, X[:500], max_pairs=None).query("kind == 'pair'")
    fields = pairs[["first", "second"]].map(lambda name: int(name[1:]) // 5)
    size = pairs["contribution"].abs().groupby([fields["first"], fields["second"]])
    assert set(size.mean().idxmax()) == set(truth.groups[0])
