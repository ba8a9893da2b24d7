"""Cells of weighted values, and cells that hold a vector of numbers."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from encoder_cases import equal
from estimator_cases import make, scores
from numpy.testing import assert_allclose, assert_array_equal

import skfm
from skfm import DeepFMClassifier, FieldEncoder, FMClassifier
from skfm.inspection import explain

WEIGHTS = [{"a": 0.7, "b": 0.1}, {}, None, {"b": -2.0}, {"c": 3, "a": 0.0}]
PAIRS = [None if cell is None else list(cell.items()) for cell in WEIGHTS]
FLOATS = [cell and [(item, float(w)) for item, w in cell] for cell in PAIRS]


def objects(cells):
    return pd.DataFrame({"t": pd.Series(cells, dtype=object)})


class TestWeights:
    @pytest.mark.parametrize("cells", [WEIGHTS, FLOATS], ids=["dicts", "pairs"])
    def test_the_value_of_an_item_is_its_weight(self, cells):
        encoder = FieldEncoder(multi_valued=["t"]).fit(objects(cells))
        names = ["t_a", "t_b", "t_c", "t_<unknown>", "t_<missing>"]
        assert encoder.get_feature_names_out().tolist() == names
        assert encoder.transform(objects(cells)).toarray().tolist() == [
            [0.7, 0.1, 0, 0, 0],
            [0, 0, 0, 0, 1],
            [0, 0, 0, 0, 1],
            [0, -2, 0, 0, 0],
            [0, 0, 3, 0, 0],
        ]

    def test_means_and_repeated_items(self):
        cells = [[("a", 1.0), ("b", 2.0), ("a", 0.5)], [("z", 4.0)]]
        encoder = FieldEncoder(multi_valued=["t"], pooling="mean").fit(objects(cells))
        found = encoder.transform(objects([*cells, [("new", 3.0)]])).toarray()
        third = 1 / 3
        assert_allclose(found[0, :3], [1.5 * third, 2 * third, 0])
        assert_array_equal(found[1:, 2:4], [[4, 0], [0, 3]])

    def test_pairs_that_are_no_weights_are_values(self):
        encoder = FieldEncoder(multi_valued=["t"]).fit(objects([[("a", 1), ("b", 2)]]))
        assert encoder.categories_[0].tolist() == [("a", 1), ("b", 2)]

    @pytest.mark.parametrize(
        ("cells", "message"),
        [
            ([{"a": 1.0}, {"b": np.nan}], "'t' has the weight nan in row 1"),
            ([{"a": "much"}], "'t' has the weight 'much' in row 0"),
            ([{"a": True}], "'t' has the weight True in row 0"),
            ([{"a": 1.0}, ["b"]], r"'t' holds dicts .* such as \['b'\]"),
            ([[("a", 1.0)], ["b"]], "'t' holds pairs .* beside other"),
        ],
    )
    def test_what_is_refused(self, cells, message):
        with pytest.raises(ValueError, match=message):
            FieldEncoder(multi_valued=["t"]).fit(objects(cells))

    @pytest.mark.parametrize("cls", [FMClassifier, DeepFMClassifier])
    def test_estimators_files_and_predictors(self, cls, tmp_path):
        table = objects(WEIGHTS * 20).assign(n=np.arange(100.0))
        y = np.arange(100) % 5 == 0
        model = make(cls).fit(table, y)
        encoder = FieldEncoder(multi_valued=["t"]).fit(table)
        encoded = model._codec.matrix(
            model._codec.encode([table[name] for name in table]), np.float64
        )
        assert_array_equal(encoded.toarray(), encoder.transform(table).toarray())
        expected = scores(model, table)
        skfm.save(model, tmp_path / "model.skfm")
        loaded = skfm.load(tmp_path / "model.skfm")
        found = loaded.compile_predictor().decision_function(table.to_dict("records"))
        assert_allclose(found, expected, atol=1e-6)


VECTORS = np.random.default_rng(0).normal(3, 2, (120, 5))
VECTORS[0] = np.arange(5)


def integers_where_whole(rows):
    """Lists as JSON has them: ``[0, 0.5]``."""
    return [[int(x) if x == int(x) else x for x in row] for row in rows]


class TestVectors:
    @pytest.mark.parametrize(
        "convert",
        [
            lambda v: objects(v.tolist()),
            lambda v: objects(list(v)),
            lambda v: objects(integers_where_whole(v.tolist())),
            lambda v: pl.DataFrame({"t": v.tolist()}),
            lambda v: pl.DataFrame({"t": v.tolist()}).cast({"t": pl.Array(float, 5)}),
        ],
        ids=["lists", "arrays", "JSON, with integers", "polars lists", "polars arrays"],
    )
    def test_a_column_for_each_coordinate(self, convert):
        table = convert(VECTORS)
        encoder = FieldEncoder().fit(table)
        names = [*(f"t_{k}" for k in range(5)), "t_<missing>"]
        assert encoder.get_feature_names_out().tolist() == names
        assert encoder.fields_.tolist() == [0] * 6
        expected = (VECTORS - VECTORS.mean(axis=0)) / VECTORS.std(axis=0)
        found = encoder.transform(table).toarray()
        assert_allclose(found[:, :5], expected, atol=1e-12)
        assert not found[:, 5].any()
        inverted = encoder.inverse_transform(encoder.transform(table))[:, 0]
        assert_allclose(np.stack(inverted), VECTORS)

    def test_missing_vectors(self):
        cells = [*VECTORS.tolist(), None]
        encoder = FieldEncoder().fit(objects(cells))
        assert encoder.transform(objects(cells)).toarray()[-1].tolist() == [0] * 5 + [1]
        nothing = encoder.transform(objects([None, None]))
        assert nothing.indices.tolist() == [5, 5]
        assert encoder.inverse_transform(nothing)[:, 0].tolist() == [None, None]

    def test_blocks_of_rows_are_as_all_rows(self):
        whole, stream = FieldEncoder().fit(objects(VECTORS.tolist())), FieldEncoder()
        for start in range(0, 120, 40):
            stream.partial_fit(objects(VECTORS[start : start + 40].tolist()))
        table = objects(VECTORS.tolist())
        found, expected = stream.transform(table), whole.transform(table)
        assert_allclose(found.toarray(), expected.toarray(), atol=1e-12)

    @pytest.mark.parametrize(
        ("cell", "message"),
        [
            ([1.0, 2.0], "row 2 has 2 numbers, where others have 5"),
            ([1.0, 2.0, np.nan, 4.0, 5.0], "row 2 has a number that is not finite"),
            ([1.0, 2.0, "x", 4.0, 5.0], "row 2 has 'x'"),
            (7.0, "row 2 has 7.0, not a list"),
        ],
    )
    def test_what_is_refused(self, cell, message):
        cells = VECTORS.tolist()
        encoder = FieldEncoder().fit(objects(cells))
        for call in (FieldEncoder().fit, encoder.transform):
            with pytest.raises(ValueError, match=f"'t' .*{message}"):
                call(objects([*cells[:2], cell]))

    def test_floats_are_values_where_they_are_named(self):
        cells = [[0.5, 4.0], [4.0]]
        encoder = FieldEncoder(multi_valued=["t"]).fit(objects(cells))
        assert encoder.categories_[0].tolist() == [0.5, 4.0]

    @pytest.mark.parametrize("cells", [[[1, 2], [3]], [[1], [2.0, 3.0]], [[True], [1]]])
    def test_integers_are_categories(self, cells):
        assert FieldEncoder().fit(objects(cells)).categories_[0] is not None

    def test_a_model_learns_from_vectors(self, tmp_path):
        table = objects(VECTORS.tolist())
        y = VECTORS[:, 0] > VECTORS[:, 1]
        model = make(FMClassifier, max_iter=60).fit(table, y)
        assert model.score(table, y) > 0.95
        assert model.field_names_ == ["t"]
        terms = explain(model, table[:3])
        assert set(terms["first"]) == {"", "t"}
        total = terms.groupby("row")["contribution"].sum()
        assert_allclose(total, scores(model, table[:3]), atol=1e-4)
        skfm.save(model, tmp_path / "model.skfm")
        loaded = skfm.load(tmp_path / "model.skfm")
        found = loaded.compile_predictor().decision_function(table.to_dict("records"))
        assert_allclose(found, scores(model, table), atol=1e-5)
        same = FieldEncoder().fit_transform(table)
        assert equal(same, FieldEncoder().fit(table).transform(table))
