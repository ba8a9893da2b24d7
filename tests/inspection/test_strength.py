"""Strengths of the interactions of fitted models."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from estimator_cases import SIZES, X, fitted, make
from inspection_cases import PAIRWISE, planted, several_outputs
from numpy.testing import assert_allclose

import skfm
from skfm.inspection import (
    explain,
    interaction_strength,
)

#: Some models here are hardly trained, or have weights that were set by hand.
pytestmark = pytest.mark.filterwarnings(
    "ignore::skfm.exceptions.WorseThanConstantWarning"
)


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


def joint_effects(n_rows=2000):
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "kind": rng.choice(list("abcd"), n_rows),
            "wave": rng.uniform(-3, 3, n_rows),
            "flag": rng.random(n_rows) < 0.5,
            "noise": rng.normal(size=n_rows),
        }
    )
    of_kind = table["kind"] == "a"
    return table, of_kind * np.sin(2 * table["wave"]) + 2.0 * of_kind * table["flag"]


@pytest.mark.parametrize("cls", [skfm.DeepFMRegressor, skfm.FMRegressor])
def test_total_interactions_are_those_that_were_planted(cls):
    table, y = joint_effects()
    strength = interaction_strength(cls(random_state=0).fit(table, y), kind="total")
    expected = np.zeros((4, 4))
    # Var(a) Var(sin) and 4 Var(a) Var(flag): the planted products, centred.
    expected[0, 1] = expected[1, 0] = 3 / 16 * np.var(np.sin(2 * table["wave"]))
    expected[0, 2] = expected[2, 0] = 4 * 3 / 16 / 4
    assert strength.index.tolist() == list(table)
    assert_allclose(strength, expected, atol=0.02)


def test_total_interactions_of_a_matrix_are_between_fields():
    model = fitted(skfm.NFMClassifier, fields=SIZES)
    strength = interaction_strength(model)
    assert strength.index.tolist() == model.field_names_
    assert_allclose(strength, strength.T)
    assert not np.diagonal(strength).any()


def test_total_interactions_of_too_many_pairs_are_refused():
    model = skfm.NFMRegressor(fields=np.arange(64), max_iter=1, early_stopping=False)
    model.fit(np.eye(64), np.arange(64.0))
    with pytest.raises(
        ValueError, match="at most 2000 pairs, but 64 variables have 2016"
    ):
        interaction_strength(model)


def test_models_without_pair_terms_are_refused():
    with pytest.raises(TypeError, match="weights of this FMClassifier alone"):
        interaction_strength(fitted(skfm.FMClassifier), kind="weights")
    with pytest.raises(ValueError, match="without X"):
        interaction_strength(fitted(skfm.FwFMClassifier), X, kind="weights")
    with pytest.raises(TypeError, match="has no pair terms"):
        interaction_strength(fitted(skfm.DCNClassifier), kind="variance")
    with pytest.raises(ValueError, match="pass fields= to the estimator"):
        interaction_strength(fitted(skfm.AFMClassifier))
    with pytest.raises(ValueError, match=r"kind='total'.* without X"):
        interaction_strength(fitted(skfm.NFMClassifier), X)
    with pytest.raises(TypeError, match='cross="matrix"'):
        interaction_strength(fitted(skfm.DCNClassifier, cross="vector"), kind="weights")
    with pytest.raises(ValueError, match="needs kind="):
        interaction_strength(fitted(skfm.FwFMClassifier), by="feature", kind="weights")
    model = fitted(skfm.FMClassifier)
    with pytest.raises(ValueError, match="features has 'nope'"):
        interaction_strength(model, X, by="feature", features=["nope"])
