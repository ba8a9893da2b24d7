"""Several networks that hold out other rows each, and are one model."""

import pickle

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from common_cases import ESTIMATORS
from estimator_cases import (
    CELLS,
    LABELS,
    Recorder,
    X,
    make,
    partial_fit,
    raise_after,
    scores,
    target,
)
from file_cases import parts_of, sign
from numpy.testing import assert_allclose, assert_array_equal
from saving_cases import assert_same
from sklearn.metrics import log_loss

import skfm
from skfm.data.rows import Rows
from skfm.estimators import defaults, guard, holding_out
from skfm.exceptions import IgnoredParameterWarning
from skfm.inspection import attention_weights, explain, interaction_strength
from skfm.persistence import FileFormatError

N = 3
OPTIONS = {"early_stopping": True, "n_members": N, "learning_rate": 0.5}
KINDS = [*ESTIMATORS, skfm.FFMClassifier, skfm.FNNRegressor]


def fitted(cls, y=None, **options):
    return make(cls, **OPTIONS | options).fit(X, target(cls) if y is None else y)


def batch():
    return Rows(X, "float64").span(0, X.shape[0])


def apart(model):
    return [model.network_.member(number) for number in range(N)]


@pytest.mark.parametrize("cls", KINDS)
def test_scores_are_means_of_the_members(cls):
    model = fitted(cls)
    assert model.n_members_ == N == len(model.members_)
    found = np.array([network.score(batch()).numpy() for network in apart(model)])
    assert all(found.std(axis=0) > 0)
    factor, shift = model._output_scale()
    expected = (found.mean(axis=0) * factor + shift)[:, 0]
    assert_allclose(scores(model), expected, rtol=1e-12, atol=1e-12)
    assert_array_equal(model.compile_predictor()._raw_scores(X), model._raw_scores(X))


@pytest.mark.parametrize("y", [LABELS, CELLS[:, 2]])
def test_weights_of_a_factorization_machine(y):
    """The inner products of the factors, weighted by the output, are the members'."""
    model = fitted(skfm.FMClassifier, y)
    members = apart(model)
    linear = [network.linear_weights.numpy() for network in members]
    assert_allclose(np.atleast_2d(model.coef_), np.mean(linear, axis=0).T)
    assert_allclose(model.intercept_, np.mean([m.bias.tolist() for m in members], 0))
    expected = 0
    for network in members:
        factors, heads = network.factors.numpy(), network.head.weights().detach()
        each = (factors[0] * factors[5]) @ heads.numpy()
        expected = expected + each / N
    weights = model.network_.pair_weights(0, 5).detach().numpy()
    assert model.factors_.shape == (X.shape[1], N * 4)
    assert_allclose((model.factors_[0] * model.factors_[5]) @ weights, expected)


@pytest.mark.parametrize("cls", [skfm.FMClassifier, skfm.DeepFMRegressor])
def test_any_number_of_threads_gives_the_same_bits(cls):
    one, several = (fitted(cls, n_jobs=n, max_iter=8) for n in (1, 4))
    assert_array_equal(scores(one), scores(several))
    assert one.members_ == several.members_


def held_out_rows(cls, **options):
    """The numbers of the rows that each member is judged on."""
    seen = {}

    def scoring(model, rows, y):
        seen[tuple(rows[:, -1].tolist())] = len(y)
        return 0.0

    numbered = np.column_stack([CELLS + 1.0, np.arange(len(CELLS))])
    make(cls, **OPTIONS | {"scoring": scoring} | options).fit(numbered, target(cls))
    return list(seen)


@pytest.mark.parametrize("fraction", [0.1, 0.25])
def test_members_hold_out_other_rows(fraction):
    rows = held_out_rows(skfm.NFMClassifier, validation_fraction=fraction, n_jobs=1)
    assert len(rows) == N
    assert {len(own) for own in rows} == {int(fraction * len(LABELS))}
    assert len(set().union(*rows)) == N * int(fraction * len(LABELS))


def test_rows_are_held_out_again_once_most_were():
    taken = np.arange(10) < 7
    rows, share = holding_out.left_over(taken, 0.1)
    assert_array_equal(rows, [7, 8, 9])
    assert share == pytest.approx(1 / 3)
    taken[7:9] = True
    assert holding_out.left_over(taken, 0.1)[1] == 0.1
    assert not taken.any()


@pytest.mark.parametrize("by_query", [True, False])
def test_members_of_rankers_hold_out_other_queries(by_query):
    query, relevance = np.arange(60) // 6, np.arange(60) % 3
    taken, held = np.zeros(60, np.bool_), []
    for seed in range(4):
        rows = holding_out.hold_out_ranked(
            0.2,
            np.random.default_rng(seed),
            query=query,
            relevance=relevance,
            taken=taken,
            by_query=by_query,
        )
        taken[rows] = True
        held += np.unique(query[rows]).tolist() if by_query else [rows.tolist()]
    if by_query:
        assert len(set(held)) == len(held) == 8
        return
    assert len({tuple(rows) for rows in held}) == 4


def test_members_of_rankers_of_few_queries():
    options = {**OPTIONS, "n_members": 5, "hold_out": "queries"}
    model = make(skfm.FMRanker, **options)
    assert model.fit(X, LABELS, qid=np.arange(len(LABELS)) // 40).n_members_ == 5


def test_rankers():
    model = make(skfm.FMRanker, **OPTIONS, hold_out="queries")
    model.fit(X, LABELS, qid=np.arange(len(LABELS)) // 6)
    found = [network.score(batch()).numpy()[:, 0] for network in apart(model)]
    assert_allclose(model.predict(X), np.mean(found, axis=0))


def test_number_by_default():
    """One member more or less at a time, whatever the number of rows."""
    sizes = np.unique(np.geomspace(1, 10**6, 400).astype(int))
    found = [defaults.n_members(n) for n in sizes]
    assert np.abs(np.diff(found)).max() == 1
    assert (max(found), found[0], found[-1]) == (4, 1, 1)
    assert {4} == {n for n, rows in zip(found, sizes, strict=True) if 1000 < rows < 2e4}
    model = make(skfm.NFMClassifier, early_stopping=True, n_members="auto")
    twice = sp.vstack([X, X], format="csr"), np.tile(LABELS, 2)
    assert model.fit(*twice).n_members_ == defaults.n_members(2 * len(LABELS)) == 2


@pytest.mark.parametrize("given", [{}, {"X_val": X[:9], "y_val": LABELS[:9]}])
def test_one_member_where_no_rows_are_held_out(given):
    options = {"early_stopping": bool(given), "n_members": "auto"}
    assert make(skfm.NFMClassifier, **options).fit(X, LABELS, **given).n_members_ == 1
    several = make(skfm.NFMClassifier, **options | {"n_members": 2})
    several.fit(X, LABELS, **given)
    one, other = several.network_.members
    assert (one.bias != other.bias).all()


@pytest.mark.parametrize("cls", [skfm.FMClassifier, skfm.DeepFMRegressor])
def test_files_and_pickles(cls, tmp_path):
    model = fitted(cls, warm_start=True)
    skfm.save(model, tmp_path / "model.skfm")
    for mode in (None, "r"):
        loaded = skfm.load(tmp_path / "model.skfm", mmap_mode=mode)
        assert_same(vars(model), vars(loaded))
        assert_array_equal(scores(model), scores(loaded))
        for one, other in zip(apart(model), apart(loaded), strict=True):
            assert_array_equal(one.factors, other.factors)
    assert_array_equal(scores(pickle.loads(pickle.dumps(model))), scores(model))


@pytest.mark.parametrize("n_members", [1, 2, 4, 10**9, 0, -1, "3", True])
def test_files_with_another_number_of_members(n_members, tmp_path):
    path = tmp_path / "model.skfm"
    skfm.save(fitted(skfm.DeepFMClassifier), path)
    document, arrays = parts_of(path)
    network = document["estimator"]["estimator"]["network"]
    shape = dict(network["config"]["dict"])["shape"]
    shape["record"][1]["n_members"] = n_members
    sign(path, document, arrays)
    with pytest.raises(FileFormatError):
        skfm.load(path)


@pytest.mark.parametrize("part", ["members_", "_optimizers"])
@pytest.mark.parametrize("value", [[], [{}, {}, {}], None])
def test_files_with_other_records_of_members(part, value, tmp_path):
    path = tmp_path / "model.skfm"
    skfm.save(fitted(skfm.NFMClassifier, warm_start=True), path)
    document, arrays = parts_of(path)
    document["estimator"]["estimator"]["fitted"][part] = value
    sign(path, document, arrays)
    if part == "_optimizers" and value == []:
        skfm.load(path)  # nothing to go on from
        return
    with pytest.raises(FileFormatError):
        skfm.load(path)


def test_a_warm_start_goes_on_with_all_members():
    model = fitted(skfm.NFMClassifier, warm_start=True, max_iter=2)
    before = [dict(member) for member in model.members_]
    model.set_params(max_iter=3).fit(X, LABELS)
    assert model.n_iter_ == 5
    for earlier, later in zip(before, model.members_, strict=True):
        assert later["loss_curve"][:2] == earlier["loss_curve"]
        assert 3 <= len(later["loss_curve"]) <= 5
        assert 2 < later["best_iter"] <= len(later["loss_curve"])
    with pytest.raises(ValueError, match="n_members changed"):
        model.set_params(n_members=2).fit(X, LABELS)
    said = scores(model)
    model.set_params(n_members="auto").partial_fit(X, LABELS)
    assert model.n_members_ == N
    assert np.any(scores(model) != said)


def test_partial_fit_trains_as_many_as_are_asked_for():
    assert partial_fit(make(skfm.NFMClassifier, n_members=2)).n_members_ == 2
    assert partial_fit(make(skfm.NFMClassifier, n_members="auto")).n_members_ == 1


@pytest.mark.parametrize("n_members", [1, 2, 4])
def test_init_from_members(n_members):
    given = fitted(skfm.FMClassifier)
    model = make(
        skfm.NFMClassifier,
        init_from=given,
        freeze=True,
        max_iter=1,
        n_members=n_members,
    ).fit(X, LABELS)
    for number, network in enumerate(model.network_.members):
        expected = given.network_.member(number % N).factors
        assert_array_equal(network.factors, expected)


@pytest.mark.parametrize("cls", [skfm.FMClassifier, skfm.AFMClassifier])
def test_terms_of_pairs(cls):
    model = fitted(cls)
    terms = explain(model, X[:9])
    sums = terms.groupby("row")["contribution"].sum()
    assert_allclose(sums, scores(model, X[:9]), rtol=1e-6)
    assert set(terms.kind) == {"bias", "linear", "pair"}
    over_rows = interaction_strength(model, X).to_numpy()
    assert over_rows.shape == (3, 3)
    assert over_rows.sum() > 0


def test_terms_of_other_models():
    model = fitted(skfm.DeepFMClassifier)
    sums = explain(model, X[:9]).groupby("row")["contribution"].sum()
    assert_allclose(sums, scores(model, X[:9]), rtol=1e-6)


@pytest.mark.parametrize("cls", [skfm.FMClassifier, skfm.FFMClassifier])
def test_strength_and_importance_of_independent_fields(cls):
    """As of one machine that has all factors, and of rows with all combinations."""
    model = fitted(cls, fields=(4, 5, 3))
    strength = interaction_strength(model).to_numpy()
    pairs = []
    for number in range(N):
        twin = fitted(cls, fields=(4, 5, 3))
        twin.network_ = model.network_.member(number)
        pairs.append(np.sqrt(interaction_strength(twin).to_numpy()))
    assert np.all(np.sqrt(strength) <= np.mean(pairs, axis=0) + 1e-9)
    assert model.feature_importances_.sum() == pytest.approx(1)


@pytest.mark.parametrize("cls", [skfm.AFMClassifier, skfm.AutoIntClassifier])
def test_attention_is_the_mean_of_the_members(cls):
    model = fitted(cls, fields=(4, 5, 3))
    found = attention_weights(model, X[:9]).weight.to_numpy()
    each = []
    for network in apart(model):
        model.network_ = network
        each.append(attention_weights(model, X[:9]).weight.to_numpy())
    assert_allclose(found, np.mean(each, axis=0))


def test_a_callback_sees_the_mean_model():
    seen = Recorder()
    model = make(skfm.DeepFMClassifier, **OPTIONS).set_callbacks(seen).fit(X, LABELS)
    epochs = [e for e, (task, _) in zip(seen.estimators, seen.ended, strict=True)]
    assert epochs[0].n_members_ == N
    assert len(epochs[0].members_[0]["loss_curve"]) == 1
    assert len(model.loss_curve_) == model.n_iter_ == 3


@pytest.mark.parametrize("cls", [skfm.FMClassifier, skfm.DeepFMRegressor])
def test_an_interrupted_fit_is_resumed(cls, tmp_path):
    options = {"max_iter": 12, "n_iter_no_change": 1}
    whole = fitted(cls, **options)
    cut = make(cls, **OPTIONS | options, checkpoint=tmp_path)
    for epoch in (2, 2):
        cut.set_callbacks(Recorder(raise_after(epoch)))
        with pytest.raises(KeyboardInterrupt):
            cut.fit(X, target(cls))
        assert cut.n_members_ == N
    seen = Recorder()
    cut.set_callbacks(seen).fit(X, target(cls))
    assert_array_equal(scores(cut), scores(whole))
    assert cut.members_ == whole.members_
    # One stopped before another.
    assert len({len(member["loss_curve"]) for member in whole.members_}) > 1
    assert list(tmp_path.iterdir()) == []


def test_curves_are_means_over_the_members():
    model = fitted(skfm.NFMRegressor, max_iter=30, n_iter_no_change=2)
    for name in ("loss_curve", "validation_scores"):
        curves = [
            member[name]
            + [member[name][member["best_iter"] - 1]]
            * (model.n_iter_ - len(member[name]))
            for member in model.members_
        ]
        assert_allclose(getattr(model, f"{name}_"), np.mean(curves, axis=0))
    assert model.best_iter_ == max(member["best_iter"] for member in model.members_)


def test_several_members_are_trained_by_gradients():
    options = {"max_iter": 3, "random_state": 0}
    model = skfm.FMClassifier(n_members=2, **options).fit(X, LABELS)
    assert (model.solver_, model.n_members_) == ("sgd", 2)
    sampled = skfm.FMClassifier(solver="bayes", n_members=2, **options)
    with pytest.warns(IgnoredParameterWarning, match="n_members"):
        sampled.fit(X, LABELS)
    assert sampled.n_members_ == 1


def test_one_member_of_a_dataset(tmp_path):
    datasets = pytest.importorskip("pyarrow.dataset")
    table = pytest.importorskip("pyarrow").table({"a": ["x", "y"] * 60, "y": LABELS})
    datasets.write_dataset(table, tmp_path, format="parquet")
    rows = datasets.dataset(tmp_path, format="parquet")
    options = {"max_iter": 1, "crosses": None}
    with pytest.raises(ValueError, match=r"dataset.*n_members=2"):
        skfm.NFMClassifier(n_members=2, **options).fit(rows, "y")
    assert skfm.NFMClassifier(**options).fit(rows, "y").n_members_ == 1


def test_the_guard_scores_a_member_on_rows_that_it_has_not_learnt_from(monkeypatch):
    """All members together know the rows of each, here by heart."""
    rng = np.random.default_rng(0)
    X, y = rng.integers(40, size=(600, 3)), rng.integers(2, size=600)
    table = pd.DataFrame(X, columns=list("abc")).astype(str)
    found = []
    judge = guard._compare
    monkeypatch.setattr(
        guard, "_compare", lambda *of: found.append(judge(*of)) or found[-1]
    )
    options = {"n_members": 4, "early_stopping": True, "max_iter": 20}
    model = skfm.FMClassifier(solver="sgd", crosses=None, random_state=0, **options)
    model.fit(table, y)
    (compared,) = found
    held_out = [-max(member["validation_scores"]) for member in model.members_]
    assert compared.model == pytest.approx(held_out[0], rel=1e-4)
    together = log_loss(y, model.predict_proba(table))
    assert together < 0.9 * compared.model
