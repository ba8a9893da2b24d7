"""Dummies of one variable, which are one field."""

import numpy as np
import pandas as pd
import pytest
from encoder_cases import equal
from estimator_cases import make, scores
from numpy.testing import assert_array_equal
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

import skfm
from skfm import DeepFMClassifier, FieldEncoder, FMClassifier


class TestDummies:
    CELLS = pd.Series(["a", "b_c", "b_d", None, "a"] * 20)

    def test_dummies_are_the_categories_of_a_field(self):
        dummies = pd.get_dummies(self.CELLS, prefix="home_type")
        df = dummies.assign(other=[True, False] * 50)
        encoder = FieldEncoder().fit(df)
        assert encoder.field_names_.tolist() == ["home_type", "other"]
        assert encoder.fields_.tolist() == [0, 0, 0, 1]
        assert equal(encoder.transform(df), skfm.FieldEncoder().fit_transform(df))
        assert_array_equal(encoder.transform(df).toarray(), df.to_numpy(float))

    def test_as_one_hot_encoder_makes_them(self):
        """A frame of one-hot columns gives the model of the sparse matrix."""
        rng = np.random.default_rng(0)
        df = pd.DataFrame({name: rng.choice(list("xyz"), 200) for name in "ab"})
        y = (df["a"] == "x") ^ (df["b"] == "y")
        dense = OneHotEncoder(sparse_output=False).set_output(transform="pandas")
        of_frame = make_pipeline(dense, make(DeepFMClassifier)).fit(df, y)
        of_matrix = make_pipeline(OneHotEncoder(), make(DeepFMClassifier)).fit(df, y)
        assert of_frame[-1].field_names_ == ["a", "b"]
        assert_array_equal(of_frame[-1].fields_, of_matrix[-1].fields_)
        assert_array_equal(scores(of_frame, df), scores(of_matrix, df))

    def test_a_hundred_dummies(self):
        rng = np.random.default_rng(0)
        who = rng.integers(0, 100, 3000)
        y = rng.normal(size=100)[who] > 0
        dummies = pd.get_dummies(pd.Series(who), prefix="who")
        model = make(FMClassifier, max_iter=20).fit(dummies, y)
        assert model.column_names_.tolist() == dummies.columns.tolist()
        assert model.field_names_ == ["who"]
        assert model.score(dummies, y) > 0.95

    @pytest.mark.parametrize(
        ("table", "fields"),
        [
            ({"is_a": [1, 0, 1], "is_b": [1, 0, 0]}, [0, 1]),
            ({"left": [1, 0, 1], "right": [0, 1, 0]}, [0, 1]),
            ({"c_a": [1, 0, 0], "n": [5.0, 6.0, 7.0], "c_b": [0, 1, 0]}, None),
            ({"c_a": [1, 0, 0], "c_b": [0, 1, 0], "d_a": [1, 1, 0]}, [0, 0, 1]),
            (
                {
                    **{"h_t_a": [1, 0, 0], "h_t_b": [0, 1, 0]},
                    **{"h_r_a": [0, 0, 1], "h_r_b": [1, 1, 0]},
                },
                [0, 0, 1, 1],
            ),
        ],
        ids=["overlap", "no prefix", "apart", "beside a flag", "longer prefixes"],
    )
    def test_what_are_dummies(self, table, fields):
        encoder = FieldEncoder().fit(pd.DataFrame(table))
        if fields is None:
            assert {"c_a", "c_b"} <= set(encoder.field_names_)
        else:
            assert encoder.fields_.tolist() == fields

    def test_later_rows_part_what_was_joined(self):
        first = pd.DataFrame({"c_a": [True, False], "c_b": [False, True]})
        encoder = FieldEncoder().partial_fit(first)
        assert encoder.fields_.tolist() == [0, 0]
        encoder.partial_fit(pd.DataFrame({"c_a": [True], "c_b": [True]}))
        assert encoder.fields_.tolist() == [0, 1]
        encoder.partial_fit(first)
        assert encoder.fields_.tolist() == [0, 1]
