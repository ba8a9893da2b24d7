"""Explanations, attention, strengths and embeddings of fitted models."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from common_cases import ARCHITECTURES
from estimator_cases import CELLS, SIZES, X, fitted, make, scores, target
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

import skfm
from skfm.datasets import make_interactions
from skfm.inspection import (
    attention_weights,
    embeddings,
    explain,
    interaction_strength,
    most_similar,
)
from skfm.nn.pairwise import PairwiseNetwork

PAIRWISE = [
    cls
    for cls in ARCHITECTURES
    if issubclass(make(cls)._network_class, PairwiseNetwork)
]
DEEP = [cls for cls in ARCHITECTURES if cls not in PAIRWISE]
#: Fewer entries than fields in some rows, values other than one.
UNEVEN = sp.csr_array(X[:30].toarray() * np.linspace(0, 2, X.shape[1]))


def sums(terms, n_rows):
    """Sum of each row's contributions, a column for each of several outputs."""
    if "output" not in terms:
        return terms.groupby("row")["contribution"].sum().reindex(range(n_rows))
    wide = terms.groupby(["row", "output"])["contribution"].sum().unstack()
    return wide.reindex(range(n_rows))


def several_outputs(cls):
    if "Classifier" in cls.__name__:
        return np.array(["p", "q", "r"])[CELLS[:, 0] % 3]
    return np.column_stack([CELLS[:, 0], 10 - CELLS[:, 1]])


def planted(n_samples=2000, seed=0):
    return make_interactions(
        n_samples,
        n_fields=6,
        n_categories=5,
        kind="field_pair",
        n_groups=1,
        zipf=0.5,
        return_truth=True,
        random_state=seed,
    )


# Explanations.


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


@pytest.mark.parametrize("multi", [False, True])
@pytest.mark.parametrize("cls", DEEP)
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
def test_a_row_s_explanation_is_its_own(cls):
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
    pipe = make_pipeline(OneHotEncoder(), skfm.FMClassifier(max_iter=2))
    search = GridSearchCV(pipe, {"fmclassifier__n_factors": [2]}, cv=2).fit(df, y)
    terms = explain(search, df[:1])
    assert terms["first"].tolist() == ["", "a_x", "b_p", "a_x"]
    assert terms["second"].tolist()[-1] == "b_p"
    assert terms["contribution"].sum() == pytest.approx(
        search.decision_function(df[:1])[0]
    )


def test_what_is_not_explained():
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


# Attention.


def test_attention_of_an_afm_is_the_softmax_of_its_pairs():
    model = fitted(skfm.AFMClassifier, dtype="float64", max_iter=20)
    weights = attention_weights(model, UNEVEN)
    layer = model.network_.attention
    hidden, bias, h = (
        tensor.detach().numpy()
        for tensor in (layer.hidden.weight, layer.hidden.bias, layer.projection)
    )
    dense, names = UNEVEN.toarray(), model.column_names_
    for row in range(30):
        own = weights[weights["row"] == row]
        columns = np.flatnonzero(dense[row])
        pairs = list(zip(*np.triu_indices(len(columns), 1), strict=True))
        vectors = model.factors_[columns] * dense[row, columns][:, None]
        logits = [
            h @ np.maximum(hidden @ (vectors[i] * vectors[j]) + bias, 0)
            for i, j in pairs
        ]
        expected = np.exp(logits) / np.exp(logits).sum()
        assert own["first"].tolist() == [names[columns[i]] for i, _ in pairs]
        assert own["second"].tolist() == [names[columns[j]] for _, j in pairs]
        assert_allclose(own["weight"], expected, rtol=1e-9)


def test_attention_sums_to_one_and_puts_the_planted_pair_first():
    X, y, truth = planted()
    model = skfm.AFMClassifier(random_state=0, max_iter=15).fit(X, y)
    weights = attention_weights(model, X, by="field")
    assert_allclose(weights.groupby("row")["weight"].sum(), 1, rtol=1e-6)
    top = weights.groupby(["first", "second"])["weight"].mean().idxmax()
    assert {int(name.removeprefix("field")) for name in top} == set(truth.groups[0])


def test_attention_by_field_adds_up_pairs_of_the_same_fields():
    fields = [0] * 9 + [1] * 3
    model = fitted(skfm.AFMClassifier, fields=fields, dtype="float64")
    weights = attention_weights(model, X[:2], by="field")
    assert len(weights) == 4
    both = attention_weights(model, X[:1])["weight"]
    assert_allclose(weights["weight"][:2], [both[0], both[1:].sum()])


def test_rows_without_a_pair_pay_no_attention():
    model = fitted(skfm.AFMClassifier)
    assert attention_weights(model, sp.csr_array((2, X.shape[1]))).empty


def test_attention_of_an_autoint():
    model = fitted(skfm.AutoIntClassifier, dtype="float64")
    weights = attention_weights(model, X[:5])
    assert len(weights) == 5 * 2 * 2 * 3 * 3
    total = weights.groupby(["row", "layer", "head", "field"])["weight"].sum()
    assert_allclose(total, 1)
    network = model.network_
    slots = torch.from_numpy(model.factors_[X.indices.reshape(-1, 3)[:5]])
    expected = network.attention[0].weights(slots).detach().numpy()
    first = weights.query("layer == 0")["weight"].to_numpy()
    assert_allclose(first, expected.ravel(), rtol=1e-9)


def test_no_attention():
    with pytest.raises(TypeError, match="FMClassifier has no attention"):
        attention_weights(fitted(skfm.FMClassifier), X)


# Strengths.


@pytest.mark.parametrize("cls", PAIRWISE)
def test_strength_is_the_variance_of_the_pair_terms(cls):
    model = fitted(cls, fields=SIZES, dtype="float64")
    pairs = explain(model, X, max_pairs=None).query("kind == 'pair'")
    fields = np.repeat(np.arange(3), SIZES)
    names = list(model.column_names_)
    expected = np.zeros((3, 3))
    of_pair = pairs[["first", "second"]].map(lambda name: fields[names.index(name)])
    for f, g in ((0, 1), (0, 2), (1, 2)):
        own = pairs[(of_pair["first"] == f) & (of_pair["second"] == g)]
        expected[f, g] = expected[g, f] = own["contribution"].var(ddof=0)
    strength = interaction_strength(model, X)
    assert strength.index.tolist() == strength.columns.tolist() == model.field_names_
    assert_allclose(strength, expected, atol=1e-12)


def test_strength_of_several_outputs_is_their_mean():
    y = several_outputs(skfm.FMRegressor)
    model = make(skfm.FMRegressor, dtype="float64").fit(X, y)
    pairs = explain(model, X, max_pairs=None).query("kind == 'pair'")
    field = pairs[["first", "second"]].map(
        lambda name: np.repeat(range(3), SIZES)[int(name[1:])]
    )
    groups = pairs.groupby([field["first"], field["second"], pairs["output"]])
    expected = groups["contribution"].var(ddof=0).groupby(level=[0, 1]).mean()
    strength = interaction_strength(model, X).to_numpy()
    assert_allclose(strength[np.triu_indices(3, 1)], expected)


def test_strength_by_feature():
    model = fitted(skfm.FMClassifier, dtype="float64")
    strength = interaction_strength(model, X, by="feature")
    dense = X.toarray()
    gram = model.factors_ @ model.factors_.T
    for i, j in ((0, 5), (1, 10), (6, 11), (0, 1)):
        term = dense[:, i] * dense[:, j] * gram[i, j]
        assert strength.iloc[i, j] == pytest.approx(term.var(), abs=1e-12)
        assert strength.iloc[j, i] == strength.iloc[i, j]
    some = interaction_strength(model, X, by="feature", features=["x10", "x1"])
    assert_allclose(some, strength.loc[["x10", "x1"], ["x10", "x1"]])


@pytest.mark.parametrize("seed", range(20))
def test_strength_ranks_the_planted_pair_first(seed):
    X, y, truth = planted(1500, seed)
    model = skfm.FMClassifier(random_state=seed, max_iter=15).fit(X, y)
    top = interaction_strength(model, X).stack().idxmax()
    assert {int(name.removeprefix("field")) for name in top} == set(truth.groups[0])


def training_rows(kind):
    """Rows of three independent fields, by all combinations of their values."""
    first = np.array([[1, 0, 0], [0, 1, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]])
    second = np.array([[1.0, 0], [0, 1], [0, 1]])
    third = np.array([[0, 0], [0, 1], [1, 0], [0, 1]])
    if "several" in kind:  # each of the two in two thirds of the rows
        third = np.array(np.meshgrid([0, 1, 1], [0, 1, 1])).reshape(2, -1).T
    if "values" in kind:
        first, second = first * [2.0, -1, 0.5], second * [[1.5], [1], [-2]]
        third = third * [0.5, 3]
    cells = np.indices((len(first), len(second), len(third))).reshape(3, -1)
    return np.hstack([first[cells[0]], second[cells[1]], third[cells[2]]]), (3, 2, 2)


@pytest.mark.parametrize("by", ["field", "feature"])
@pytest.mark.parametrize("multi", [False, True])
@pytest.mark.parametrize("kind", ["ones", "values", "several", "several values"])
@pytest.mark.parametrize(
    ("cls", "options"),
    [
        (skfm.FMClassifier, {}),
        (skfm.FMRegressor, {}),
        (skfm.FwFMClassifier, {}),
        (skfm.FFMRegressor, {}),
        (skfm.FFMClassifier, {"intra_field_pairs": True}),
    ],
)
def test_strength_of_independent_fields_needs_no_rows(cls, options, kind, multi, by):
    """All combinations of independent fields: their variance, counted over the rows."""
    dense, sizes = training_rows(kind)
    y = np.arange(len(dense)) % (3 if multi else 2)
    if multi and "Regressor" in cls.__name__:
        y = np.column_stack([y, y**2])
    options = {"fields": sizes, "dtype": "float64", "init_scale": 1.0} | options
    model = make(cls, **options).fit(sp.csr_array(dense), y)
    expected = interaction_strength(model, dense, by=by)
    assert (expected.to_numpy() > 0).sum() > 3
    pd.testing.assert_frame_equal(interaction_strength(model, by=by), expected)


def test_strength_of_a_model_without_fields_is_by_feature():
    dense = np.indices((2, 2, 2, 3)).reshape(4, -1).T * [1, 2, -1, 0.5]
    model = make(skfm.FMRegressor, dtype="float64", init_scale=1.0)
    model.fit(sp.csr_array(dense), dense[:, 0])
    assert model.fields_ is None
    expected = interaction_strength(model, dense, by="feature")
    pd.testing.assert_frame_equal(interaction_strength(model), expected)
    some = interaction_strength(model, by="feature", features=["x3", "x1"])
    assert_allclose(some, expected.loc[["x3", "x1"], ["x3", "x1"]])


def test_strength_of_an_afm_is_of_drawn_rows():
    # A column of two values differs from the normal distribution that stands for it.
    for kind, rtol in (("several", 0.15), ("values", 0.6)):
        dense, sizes = training_rows(kind)
        model = make(skfm.AFMRegressor, fields=sizes, dtype="float64", init_scale=1.0)
        model.fit(sp.csr_array(dense), dense[:, 0])
        strength = interaction_strength(model)
        assert_allclose(strength, interaction_strength(model, dense), rtol=rtol)
        pd.testing.assert_frame_equal(strength, interaction_strength(model))


def test_strength_leaves_out_rows_of_no_weight():
    dense, sizes = training_rows("ones")
    weight = np.r_[np.ones(len(dense)), np.zeros(20)]
    more = np.vstack([dense, np.ones((20, 7))])
    model = make(skfm.FMClassifier, fields=sizes, dtype="float64", batch_size=1000)
    model.fit(more, np.arange(len(more)) % 2, weight)
    expected = interaction_strength(model, dense)
    assert_allclose(interaction_strength(model), expected, atol=1e-15)


def test_strength_without_chunks(monkeypatch):
    model = fitted(skfm.FFMClassifier, intra_field_pairs=True)
    expected = interaction_strength(model)
    monkeypatch.setattr("skfm.inspection.independence._NUMBERS_PER_READ", 40)
    assert_allclose(interaction_strength(model), expected, rtol=1e-9)


@pytest.mark.parametrize("seed", range(20))
def test_strength_ranks_the_planted_pair_first_without_rows(seed):
    X, y, truth = planted(1500, seed)
    model = skfm.FMClassifier(random_state=seed, max_iter=15, fields=[5] * 6)
    top = interaction_strength(model.fit(X, y)).stack().idxmax()
    assert {int(name.removeprefix("field")) for name in top} == set(truth.groups[0])


def test_strength_by_the_weights_of_fwfm():
    model = fitted(skfm.FwFMClassifier, fields=[4, 5, 3])
    strength = interaction_strength(model, kind="weights")
    weights = model.network_.pairs.weight.detach().numpy()[:, 0]
    assert_allclose(strength.to_numpy()[np.triu_indices(3, 1)], np.abs(weights))


@pytest.mark.parametrize("low_rank", [None, 3])
def test_strength_by_the_weights_of_dcn(low_rank):
    model = fitted(skfm.DCNClassifier, low_rank=low_rank)
    layer = model.network_.cross.layers[0]
    matrix = layer.outer.weight.detach().numpy()
    if low_rank is not None:
        matrix = matrix @ layer.inner.weight.detach().numpy()
    strength = interaction_strength(model)
    for f in range(3):
        for g in range(3):
            block = matrix[4 * f : 4 * f + 4, 4 * g : 4 * g + 4]
            assert strength.iloc[f, g] == pytest.approx(np.linalg.norm(block))


def test_what_has_no_strength():
    with pytest.raises(TypeError, match="weights of this FMClassifier alone"):
        interaction_strength(fitted(skfm.FMClassifier), kind="weights")
    with pytest.raises(ValueError, match="takes no X"):
        interaction_strength(fitted(skfm.FwFMClassifier), X, kind="weights")
    with pytest.raises(TypeError, match="no sum over pairs"):
        interaction_strength(fitted(skfm.DCNClassifier), kind="variance")
    with pytest.raises(ValueError, match="pass fields= to the estimator"):
        interaction_strength(fitted(skfm.AFMClassifier))
    with pytest.raises(TypeError, match="no sum over pairs"):
        interaction_strength(fitted(skfm.NFMClassifier), X)
    with pytest.raises(TypeError, match='cross="matrix"'):
        interaction_strength(fitted(skfm.DCNClassifier, cross="vector"))
    with pytest.raises(ValueError, match="needs variances"):
        interaction_strength(fitted(skfm.FwFMClassifier), by="feature", kind="weights")
    model = fitted(skfm.FMClassifier)
    with pytest.raises(ValueError, match="features has 'nope'"):
        interaction_strength(model, X, by="feature", features=["nope"])


# Embeddings.

TABLE = pd.DataFrame({"a": list("pqrs") * 30, "b": list("xyz") * 40})
OUTCOME = (TABLE["a"].isin(["p", "q"]) == (TABLE["b"] == "x")).to_numpy()


def test_embeddings_of_a_table():
    model = skfm.FMClassifier(n_factors=3, random_state=0).fit(TABLE, OUTCOME)
    vectors = embeddings(model, "a")
    assert vectors.index.tolist() == list("pqrs")
    assert vectors.index.name == "a"
    assert_allclose(vectors, model.factors_[:4])
    pd.testing.assert_frame_equal(embeddings(model, 0), vectors)


def test_embeddings_of_an_encoder_s_fields():
    model = make_pipeline(OneHotEncoder(), skfm.FMClassifier(random_state=0))
    vectors = embeddings(model.fit(TABLE, OUTCOME), "b")
    assert vectors.index.tolist() == list("xyz")


def test_embeddings_of_ffm_are_one_for_each_field():
    model = skfm.FFMClassifier(n_factors=3, random_state=0).fit(TABLE, OUTCOME)
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
        (2, "p", "field 2 is not in"),
        ("a", "t", "no category 't' with a vector; it has p, q, r, s"),
        ("a", "<unknown>", "no category"),
    ],
)
def test_what_is_not_similar(field, category, message):
    model = skfm.FMClassifier(max_iter=2, random_state=0).fit(TABLE, OUTCOME)
    with pytest.raises(ValueError, match=message):
        most_similar(model, field, category)


def test_models_without_fields_say_so():
    with pytest.raises(ValueError, match="pass fields= to the estimator"):
        embeddings(fitted(skfm.FMClassifier), 0)
