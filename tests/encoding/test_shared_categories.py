"""Columns that share their categories: one vocabulary, one field, added entries."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import skl2onnx  # noqa: F401  (the extra that exports need)
from common_cases import ESTIMATORS
from estimator_cases import make, scores
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import is_classifier
from stream_cases import write

import skfm
from skfm import (
    FieldEncoder,
    FMClassifier,
    FMRanker,
    FMRegressor,
    WideDeepClassifier,
)
from skfm.data.sampled import Halves
from skfm.encoding.state import codec_of
from skfm.inspection import explain, interaction_strength
from skfm.persistence import FileFormatError
from skfm.recommendation import recommend

SHARED = {"shared_categories": [["clicked", "shown"]]}
N = 120


def clicks(n=N, seed=0, missing=0.1):
    """A table whose clicked and shown items are of one catalogue."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "clicked": rng.choice(list("abcd"), n).astype(object),
            "hour": rng.choice([6.0, 12.0, 18.0], n),
            "shown": rng.choice(list("bcdef"), n).astype(object),
        }
    )
    for name in ("clicked", "shown"):
        frame.loc[rng.random(n) < missing, name] = None
    return frame


def answer(frame, cls=FMClassifier):
    same = (frame["clicked"] == frame["shown"]).to_numpy()
    return same if is_classifier(cls()) else np.where(same, 3.0, -1.0)


def joined(frame):
    """The same cells in one column of lists, where a missing one is a category."""
    cells = frame[["clicked", "shown"]].fillna("<none>").to_numpy().tolist()
    return pd.DataFrame({"both": cells, "hour": frame["hour"]})


def test_entries_are_those_of_one_column_of_lists():
    frame = clicks()
    own = FieldEncoder(**SHARED).fit(frame)
    lists = FieldEncoder(multi_valued=["both"]).fit(joined(frame))
    names, others = own.get_feature_names_out(), lists.get_feature_names_out()
    renamed = {
        "clicked+shown_<missing>": "both_<none>",
        "clicked+shown_<unknown>": "both_<unknown>",
    }
    places = [
        list(others).index(renamed.get(n, n.replace("clicked+shown", "both")))
        for n in names
    ]
    new = clicks(40, seed=1).replace({"shown": {"f": "new"}})
    for table in (frame, new):
        X, expected = own.transform(table), lists.transform(joined(table))
        assert_array_equal(X.toarray(), expected[:, places].toarray())
        assert X.has_sorted_indices
    assert own.transform(frame).max() == 2


def test_what_is_fitted_tells_of_one_field():
    encoder = FieldEncoder(numeric="passthrough", **SHARED).fit(clicks())
    assert_array_equal(encoder.field_names_, ["clicked+shown", "hour"])
    assert_array_equal(encoder.fields_, [0] * 8 + [1] * 2)
    assert_array_equal(encoder.columns_, [0] * 8 + [1] * 2)
    first, none, second = encoder.categories_
    assert list(first) == list(second) == list("abcdef")
    assert none is None
    rows = pd.DataFrame({"clicked": ["a", "b"], "hour": 6.0, "shown": ["c", None]})
    table = encoder.inverse_transform(encoder.transform(rows))
    assert [[*cell] for cell in table[:, 0]] == [["a", "c"], ["b"]]
    assert [[*cell] for cell in table[:, 2]] == [["a", "c"], ["b"]]


def test_occurrences_in_both_columns_count():
    frame = pd.DataFrame({"a": list("xxyz"), "b": list("yzzw")})
    groups = {"shared_categories": [["a", "b"]]}
    encoder = FieldEncoder(min_frequency=2, **groups).fit(frame)
    assert list(encoder.categories_[1]) == ["x", "y", "z"]
    assert list(encoder.infrequent_categories_[0]) == ["w"]
    encoder = FieldEncoder(max_categories=2, **groups).fit(frame)
    assert list(encoder.categories_[0]) == ["z"]
    with pytest.raises(ValueError, match="has 4 categories, more than"):
        FieldEncoder(max_categories=3, on_excess="raise", **groups).fit(frame)


@pytest.mark.parametrize(
    "params", [{}, {"min_frequency": 3}, {"n_buckets": 4}, {"max_categories": 3}]
)
def test_blocks_of_rows_teach_what_all_rows_do(params, tmp_path):
    frame = clicks(missing=0.3)
    params = {**params, **SHARED, "numeric": "scale"}
    whole, pieces = FieldEncoder(**params).fit(frame), FieldEncoder(**params)
    for start in range(0, N, 20):
        pieces.partial_fit(frame[start : start + 20])
    X = whole.transform(frame)
    assert_array_equal(pieces.get_feature_names_out(), whole.get_feature_names_out())
    assert_allclose(pieces.transform(frame).toarray(), X.toarray())
    skfm.save(whole, tmp_path / "encoder.skfm")
    loaded = skfm.load(tmp_path / "encoder.skfm")
    assert_array_equal(loaded.transform(frame).toarray(), X.toarray())
    assert_array_equal(loaded.columns_, whole.columns_)


def test_ids_lists_and_strings_can_be_shared():
    ids = pd.DataFrame({"a": [3, 1, 2], "b": [1.0, np.nan, 7.0]})
    encoder = FieldEncoder(shared_categories=[[0, 1]]).fit(ids)
    assert list(encoder.categories_[0]) == [1, 2, 3, 7]
    lists = pd.DataFrame({"item": list("abc"), "seen": ["b|c", "a|a", None]})
    encoder = FieldEncoder(
        multi_valued=["seen"],
        delimiter={"seen": "|"},
        shared_categories=[("item", "seen")],
    )
    expected = [[1, 1, 1, 0, 0], [2, 1, 0, 0, 0], [0, 0, 1, 0, 1]]
    assert_array_equal(encoder.fit_transform(lists).toarray(), expected)


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (["clicked", "shown"], "'clicked', which is not a list of columns"),
        ([["clicked"]], "Name two or more columns"),
        ([["clicked", "x"]], "names column 'x', but X has the columns"),
        ([["clicked", "clicked"]], "names column 'clicked' twice"),
        ([["clicked", "shown"], ["shown", "hour"]], "names column 'shown' twice"),
        ([["clicked", "price"]], "'price', whose numbers are not integers"),
        ([["clicked", "hour"]], "holds strings and the second numbers"),
    ],
)
def test_groups_that_cannot_be_are_refused(groups, message):
    frame = clicks().assign(price=np.linspace(0, 1, N))
    encoder = FieldEncoder(shared_categories=groups)
    with pytest.raises(ValueError, match=message):
        encoder.fit(frame)
    assert not hasattr(encoder, "fields_")
    with pytest.raises(ValueError, match=message):
        FMClassifier(shared_categories=groups).fit(frame, answer(frame))


def test_options_that_contradict_the_group_are_refused():
    frame = clicks()
    with pytest.raises(ValueError, match="n_buckets is 4 for the first and None"):
        FieldEncoder(n_buckets={"clicked": 4}, **SHARED).fit(frame)
    with pytest.raises(ValueError, match="but fields= puts them into two"):
        FMClassifier(fields=["a", "b", "c"], **SHARED).fit(frame, answer(frame))
    with pytest.raises(ValueError, match="needs a table that is encoded"):
        FMClassifier(shared_categories=[[0, 1]]).fit(np.eye(4), [0, 1, 0, 1])
    model = make(FMClassifier, fields=["who", "when", "who"], **SHARED)
    assert model.fit(frame, answer(frame)).field_names_ == ["who", "when"]


@pytest.mark.parametrize("cls", ESTIMATORS, ids=lambda cls: cls.__name__)
def test_a_model_is_that_of_a_column_of_lists(cls):
    frame = clicks(missing=0)
    y = answer(frame, cls)
    model = make(cls, **SHARED).fit(frame, y)
    expected = scores(make(cls).fit(joined(frame), y), joined(frame))
    assert_allclose(scores(model, frame), expected, atol=1e-9)
    rows = [{"clicked": "a", "shown": "a"}, {"clicked": "b", "hour": 6.0}]
    predictor, table = model.compile_predictor(), pd.DataFrame(rows)[list(frame)]
    expected = model.predict(table)
    assert_array_equal(predictor.predict(rows), expected)
    assert_array_equal([predictor.predict(row)[0] for row in rows], expected)


def test_one_embedding_has_what_either_column_teaches():
    """An item that was only ever clicked is not unknown where it is shown."""
    frame = clicks(missing=0)
    y = np.where(frame["clicked"] == "a", 3.0, -1.0)
    model = make(FMRegressor, max_iter=20, **SHARED).fit(frame, y)
    shown = pd.DataFrame({"clicked": ["c", "c"], "hour": 6.0, "shown": ["a", "new"]})
    of_a, of_new = model.predict(shown)
    assert of_a > of_new + 1


@pytest.mark.parametrize("solver", ["bayes", "sgd"])
def test_fitted_models_in_every_form(solver, tmp_path):
    frame = clicks()
    model = FMRegressor(solver=solver, max_iter=2, n_factors=4, **SHARED)
    model.set_params(random_state=0, crosses=None, n_chains=1)
    model.fit(frame, answer(frame, FMRegressor))
    expected = model.predict(frame)
    skfm.save(model, tmp_path / "model.skfm")
    loaded = skfm.load(tmp_path / "model.skfm")
    assert_array_equal(loaded.predict(frame), expected)
    terms = explain(model, frame[:5])
    assert_allclose(
        terms.groupby("row").contribution.sum(),
        expected[:5],
        atol=1e-6,
    )
    assert not (set(terms["first"]) & {"clicked", "shown"})
    assert_array_equal(interaction_strength(model).index, ["clicked+shown", "hour"])
    total = interaction_strength(model, kind="total")
    assert_array_equal(total.index, ["clicked", "hour", "shown"])
    assert len(model.feature_importances_) == 3


def test_a_graph_adds_equal_entries(tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    frame = clicks()
    model = make(FMClassifier, dtype="float32", **SHARED)
    model.fit(frame, answer(frame))
    skfm.to_onnx(model, tmp_path / "model.onnx", X=frame[:1])
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    cells = {
        name: frame[[name]].fillna("").to_numpy(object) for name in ("clicked", "shown")
    }
    _, proba = session.run(None, {**cells, "hour": frame[["hour"]].to_numpy()})
    assert_allclose(proba, model.predict_proba(frame), atol=1e-5)


def test_crosses_are_of_each_column():
    frame = clicks(400, missing=0)
    model = make(FMClassifier, crosses=[("clicked", "shown")], **SHARED)
    model.fit(frame, answer(frame))
    assert [cross.name for cross in model.crosses_] == ["clicked x shown"]
    assert model.score(frame, answer(frame)) == 1
    predictor = model.compile_predictor()
    for row in frame[:5].to_dict("records"):
        assert predictor.predict(row) == [row["clicked"] == row["shown"]]


def test_vectors_and_columns_are_given_by_either_name():
    frame = clicks()
    y = answer(frame)
    vector = np.arange(4.0)
    model = make(FMClassifier, freeze=True, **SHARED)
    for name in ("clicked", "shown"):
        model.set_params(init_from={name: {"f": vector}}).fit(frame, y)
        place = list(model.column_names_).index("clicked+shown_f")
        assert_allclose(model.factors_[place], vector)
    model.set_params(init_from={name: {"f": vector} for name in ("clicked", "shown")})
    with pytest.raises(ValueError, match=r"several vectors of 'clicked\+shown_f'"):
        model.fit(frame, y)
    wide = make(WideDeepClassifier, wide_columns=["shown"], **SHARED).fit(frame, y)
    assert np.any(wide.coef_[wide.fields_ == 0] != 0)


def test_streams_learn_and_encode_as_tables_do(tmp_path):
    frame = clicks(600, missing=0.2).assign(click=lambda f: answer(f).astype(int))
    data = write(frame, tmp_path / "clicks", cuts=(150, 400))
    streamed = FMClassifier(max_iter=1, random_state=0, **SHARED).fit(data, "click")
    table = frame.drop(columns="click")
    encoder = FieldEncoder(**SHARED).fit(table)
    own, expected = codec_of(streamed), codec_of(encoder)
    assert_array_equal(own.column_names(), expected.column_names())
    assert_array_equal(
        own.matrix(own.encode([table[n] for n in table]), float).toarray(),
        encoder.transform(table).toarray(),
    )
    assert_allclose(streamed.predict_proba(data), streamed.predict_proba(table))
    mixed = frame.assign(shown=np.arange(600) % 3)
    with pytest.raises(ValueError, match="holds strings and the second numbers"):
        FMClassifier(**SHARED).fit(write(mixed, tmp_path / "mixed"), "click")


def test_recommendations_of_items_that_users_share():
    """The last item of a user and the item to score are of one catalogue."""
    rng = np.random.default_rng(0)
    seen = pd.DataFrame(
        {"last": rng.choice(list("abc"), 90), "item": rng.choice(list("abc"), 90)}
    )
    chosen = (seen["last"] == seen["item"]).to_numpy()
    groups = {"shared_categories": [["last", "item"]]}
    model = make(FMClassifier, **groups).fit(seen, chosen)
    users = pd.DataFrame({"user": ["u", "v"], "last": ["a", "b"]})
    items = pd.DataFrame({"item": list("abc")})
    top = recommend(model, users, items, n=3)
    pairs = users.merge(top, on="user")
    expected = model.decision_function(pairs[["last", "item"]])
    assert_allclose(top["score"], expected, atol=1e-6)


def test_negatives_of_items_that_users_share():
    """The last item of a user is of the catalogue that negatives are drawn from."""
    rng = np.random.default_rng(0)
    last = rng.integers(0, 4, 240)
    seen = pd.DataFrame(
        {
            "user": np.arange(240) % 80,
            "last": np.array(list("abcd"))[last],
            "item": np.array(list("abcd"))[(last + 1) % 4],
        }
    )
    groups = {"shared_categories": [["last", "item"]], "user": "user"}
    model = FMRanker(negatives=2, max_iter=5, n_factors=4, random_state=0, **groups)
    model.fit(seen)
    assert model.fields_.max() == 1
    assert model.loss_curve_[-1] < model.loss_curve_[0]
    users = pd.DataFrame({"user": [-1, -2], "last": ["a", "c"]})
    pairs = users.merge(pd.DataFrame({"item": list("abcd")}), how="cross")
    top = recommend(model, users, pairs[["item"]].drop_duplicates(), n=4)
    found = top.merge(pairs, on=["user", "item"])
    assert_allclose(found["score"], model.predict(found[["user", "last", "item"]]))


def test_overlapping_halves_are_added():
    rng = np.random.default_rng(0)
    halves = [sp.csr_array(rng.poisson(0.4, (6, 5)).astype(float)) for _ in range(2)]
    rows, items = rng.integers(6, size=(2, 20))
    batch = Halves(*halves, overlapping=True).join(rows, items, np.float64)
    found = sp.csr_array((batch.values, batch.columns, batch.indptr), shape=(20, 5))
    assert found.has_canonical_format
    expected = halves[0][rows] + halves[1][items]
    assert_array_equal(found.toarray(), expected.toarray())


def test_files_with_impossible_groups_are_refused(tmp_path):
    encoder = FieldEncoder(**SHARED).fit(clicks())
    groups = codec_of(encoder).shared.groups
    for bad in ([0, 1], [0], [0, 9], [2, 0], [0, 0], [-1, 2]):
        groups[:] = [bad]
        skfm.save(encoder, tmp_path / "bad.skfm")
        with pytest.raises(FileFormatError):
            skfm.load(tmp_path / "bad.skfm")
    groups[:] = [[0, 2], [2, 0]]
    skfm.save(encoder, tmp_path / "bad.skfm")
    with pytest.raises(FileFormatError):
        skfm.load(tmp_path / "bad.skfm")
