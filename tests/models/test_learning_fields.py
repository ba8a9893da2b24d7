"""Models that need fields learn their functions; options have their effect."""

import copy
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
from common_cases import one_hot
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.metrics import log_loss, r2_score

import skfm
from skfm.data.csr import canonical_csr
from skfm.data.rows import Rows

FAMILIES = ["FFM", "FwFM", "FNN", "PNN", "WideDeep", "DeepCrossing"]
DEEP = ["FNN", "PNN", "WideDeep", "DeepCrossing"]
every_family = pytest.mark.parametrize("family", FAMILIES)


def make(family, task="Classifier", **parameters):
    one = {"random_state": 0, "n_members": 1}
    return getattr(skfm, family + task)(**one | parameters)


@pytest.fixture(scope="module")
def parity():
    X, cells = one_hot(400, (2, 2, 2))
    return X, cells.sum(axis=1) % 2


@every_family
def test_xor(family):
    X, cells = one_hot(200, (2, 2))
    y = cells.sum(axis=1) % 2
    assert make(family).fit(X, y).score(X, y) == 1


@every_family
def test_three_classes(family):
    """The class is the sum of two digits modulo three: pairs alone tell it."""
    X, cells = one_hot(450, (3, 3), seed=4)
    y = np.array(["zero", "one", "two"])[cells.sum(axis=1) % 3]
    model = make(family, network_learning_rate=0.01).fit(X, y)
    assert list(model.classes_) == ["one", "two", "zero"]
    assert model.score(X, y) == 1


@every_family
def test_several_outputs(family):
    """Different pairs, on scales far apart; the middle one is linear."""
    X, cells = one_hot(400, (2, 2, 2), seed=5)
    a, b, c = 2 * cells.T - 1
    Y = np.column_stack([a * b, 100 + 20 * c, 1e-3 * b * c])
    model = make(family, "Regressor", network_learning_rate=0.01, max_iter=150)
    scores = r2_score(Y, model.fit(X, Y).predict(X), multioutput="raw_values")
    assert np.all(scores > 0.9), scores


@pytest.mark.parametrize("family", DEEP)
def test_parity_of_three_categories(family, parity):
    X, y = parity
    model = make(family, n_factors=8, network_learning_rate=0.01)
    assert model.fit(X, y).score(X, y) == 1


@pytest.mark.parametrize("family", ["FFM", "FwFM"])
def test_pairs_cannot_learn_parity_of_three_categories(family, parity):
    X, y = parity
    model = make(family, alpha_factors=0.0).fit(X, y)
    assert log_loss(y, model.predict_proba(X)) > 0.6


class TestFieldPairs:
    """A pair of fields whose weights no product of single vectors gives."""

    @pytest.fixture(scope="class")
    @classmethod
    def planted(cls):
        """Field 0 meets 1 and 2 in ways that have nothing in common."""
        X, cells = one_hot(3000, (6, 6, 6), seed=3)
        tables = np.random.default_rng(4).normal(size=(2, 6, 2, 6))
        first, second = (a.reshape(6, 2, 6)[:, 0] for a in tables)
        y = first[cells[:, 0], cells[:, 1]] + second[cells[:, 0], cells[:, 2]]
        return X, y

    def score(self, family, planted, k):
        X, y = planted
        model = make(family, "Regressor", n_factors=k, alpha_factors=0)
        model.set_params(alpha_linear=0, learning_rate=0.2, max_iter=60)
        model.fit(X[:2000], y[:2000])
        return r2_score(y[2000:], model.predict(X[2000:]))

    def test_ffm_needs_fewer_factors_than_fm(self, planted):
        ffm, fm = (self.score(family, planted, 4) for family in ("FFM", "FM"))
        assert ffm > 0.9
        assert 1 - ffm < 0.5 * (1 - fm)

    def test_fwfm_finds_the_pair_that_counts(self):
        X, cells = one_hot(1500, (4, 4, 4, 4), seed=3)
        y = (cells[:, 1] % 2 == cells[:, 3] % 2).astype(int)
        model = make("FwFM", network_learning_rate=0.03, max_iter=60).fit(X, y)
        weights = np.abs(model.network_.arrays()["pairs.weight"][:, 0])
        first, second = np.triu_indices(4, 1)
        planted = (first == 1) & (second == 3)
        assert weights[planted] > 2 * weights[~planted].max()


def test_pairs_inside_a_field_are_learned():
    """Two of six tags, of one field; their pair alone tells the class."""
    rng = np.random.default_rng(0)
    X = np.zeros((300, 7))
    chosen = np.array([rng.choice(6, 2, replace=False) for _ in X])
    np.put_along_axis(X, chosen, 1, axis=1)
    X[:, 6] = 1
    y = (chosen % 2).sum(axis=1) % 2
    fields = [6, 1]
    with_pairs, without = (
        make("FFM", fields=fields, intra_field_pairs=inside).fit(X, y).score(X, y)
        for inside in (True, False)
    )
    assert with_pairs == 1
    assert without < 0.8


def test_normalize_reads_rows_of_unit_length():
    """Rows are those of the columns in their units."""
    X, cells = one_hot(150, (3, 4))
    X = X * np.random.default_rng(0).uniform(1, 5, size=(150, 1))
    y = cells.sum(axis=1) % 2
    model = make("FFM", normalize=True, batch_size=40).fit(X, y)
    rows = X.toarray() / model.column_scales_
    rows /= np.sqrt(np.square(rows).sum(axis=1))[:, None]
    plain = copy.deepcopy(model.network_)
    plain.normalize = False
    batch = Rows(canonical_csr(rows), "float64").span(0, 150)
    expected = plain.score(batch).numpy()[:, 0]
    assert_allclose(model.decision_function(X), expected, rtol=1e-9)


def test_a_table_that_cannot_fit_is_refused(monkeypatch):
    X, cells = one_hot(50, (4, 4))
    monkeypatch.setattr("skfm.runtime.memory._SMALL", 0)
    monkeypatch.setattr("skfm.runtime.memory.available_memory", lambda: 500)
    with pytest.raises(MemoryError, match=r"8 columns x 17 .*lower n_factors"):
        make("FFM").fit(X, cells[:, 0] > 1)


class TestWideDeepColumns:
    @pytest.fixture(scope="class")
    @classmethod
    def crossed(cls):
        """Two single fields and their cross, as a DataFrame, and what it tells."""
        _, cells = one_hot(200, (3, 3), seed=6)
        frame = pd.DataFrame(cells, columns=["a", "b"])
        frame["ab"] = frame["a"] * 3 + frame["b"]
        X = pd.get_dummies(frame, columns=["a", "b", "ab"], dtype=float)
        return X, (cells.sum(axis=1) % 2), frame

    options: ClassVar = {
        "fields": [3, 3, 9],
        "max_iter": 5,
        "batch_size": 50,
        "n_factors": 3,
    }

    @pytest.mark.parametrize("optimizer", ["adagrad", "adam", "sgd"])
    def test_weights_are_kept_for_the_chosen_columns_only(self, crossed, optimizer):
        X, y, _ = crossed
        model = make("WideDeep", optimizer=optimizer, **self.options)
        model.set_params(wide_columns=np.arange(6, 15), deep_columns=np.arange(6))
        model.fit(X, y)
        assert_array_equal(model.coef_ != 0, np.arange(15) >= 6)
        assert_array_equal(model.factors_.any(axis=1), np.arange(15) < 6)
        again = model.set_params(warm_start=True).fit(X, y)
        assert_array_equal(again.coef_ != 0, np.arange(15) >= 6)

    @pytest.mark.parametrize("form", ["mask", "indices", "names"])
    def test_columns_by_mask_index_or_name(self, crossed, form):
        X, y, _ = crossed
        wide = np.arange(15) >= 6
        chosen = {
            "mask": (wide, ~wide),
            "indices": (list(range(6, 15)), [0, 1, 2, 3, 4, 5]),
            "names": (list(X.columns[6:]), list(X.columns[:6])),
        }[form]
        model = make("WideDeep", **self.options)
        model.set_params(wide_columns=chosen[0], deep_columns=chosen[1]).fit(X, y)
        assert_array_equal(model.coef_ != 0, wide)
        assert_array_equal(model.factors_.any(axis=1), ~wide)

    def test_a_column_of_a_table_stands_for_its_categories(self, crossed):
        _, y, frame = crossed
        model = make("WideDeep", max_iter=5, categorical_features="all")
        model.set_params(wide_columns=["ab"], deep_columns=["a", "b"])
        model.fit(frame, y)
        assert not model.coef_[model.fields_ < 2].any()
        assert model.coef_[model.fields_ == 2].any()
        assert not model.factors_[model.fields_ == 2].any()
        assert model.factors_[model.fields_ < 2].any()

    def test_a_cross_in_the_wide_part_beats_a_linear_model(self, crossed):
        X, y, _ = crossed
        model = make("WideDeep", fields=[3, 3, 9], deep_columns=range(6))
        model.set_params(hidden_layer_sizes=(), max_iter=60)
        assert model.fit(X, y).score(X, y) == 1
        # A sum of two functions gets at most eight of the nine cells right.
        assert model.set_params(wide_columns=range(6)).fit(X, y).score(X, y) < 0.95

    @pytest.mark.parametrize(
        ("chosen", "message"),
        [
            (["nowhere"], "names column 'nowhere', but X has the columns"),
            ([15], "deep_columns names column 15, but X has 15 columns"),
            ([True, False], r"one element per column of X, but has shape \(2,\)"),
            ([0.5], "names column 0.5"),
            ([], "selects no column"),
        ],
    )
    def test_missing_columns_are_refused(self, crossed, chosen, message):
        X, y, _ = crossed
        model = make("WideDeep", deep_columns=chosen, **self.options)
        with pytest.raises(ValueError, match=message):
            model.fit(X, y)

    def test_names_for_an_array_without_names(self, crossed):
        X, y, _ = crossed
        model = make("WideDeep", wide_columns=["a_0"], **self.options)
        with pytest.raises(ValueError, match="X has no column names"):
            model.fit(X.to_numpy(), y)


@pytest.mark.parametrize(
    ("product", "task"),
    [("inner", "Classifier"), ("outer", "Regressor"), ("both", "Classifier")],
)
def test_products(product, task):
    X, cells = one_hot(200, (2, 3), seed=7)
    y = (cells[:, 0] == cells[:, 1]).astype(int)
    model = make("PNN", task, product=product, max_iter=150)
    assert model.fit(X, y).score(X, y) > 0.95


@pytest.mark.parametrize("family", ["PNN", "DeepCrossing", "FNN"])
def test_models_without_linear_part_have_no_coef(family):
    X, cells = one_hot(60, (2, 3))
    model = make(family, max_iter=2).fit(X, cells[:, 0])
    assert not hasattr(model, "coef_")
    assert model.factors_.shape == (5, 16)
    assert np.isfinite(model.intercept_)


@every_family
def test_every_array_moves(family, click_data):
    X, y = click_data

    def arrays(**parameters):
        model = make(family, **parameters)
        return model.fit(X, y).network_.arrays()

    start = arrays(max_iter=1, learning_rate=1e-9, network_learning_rate=1e-9)
    end = arrays(max_iter=3)
    assert end.keys() == start.keys()
    for name in end:
        assert np.abs(end[name] - start[name]).max() > 1e-4, name
