"""Encoded numbers in fits, predictions and explanations."""

import numpy as np
import pandas as pd
import pytest
from encoder_cases import equal
from estimator_cases import make, scores
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.pipeline import make_pipeline

import skfm
from skfm import DeepFMClassifier, FieldEncoder, FMClassifier
from skfm.inspection import explain, interaction_strength


def mixed(n=400):
    rng = np.random.default_rng(0)
    df = pd.DataFrame(
        {
            "price": rng.lognormal(size=n).round(3),
            "user": rng.integers(0, n // 4, n),
            "age": rng.integers(17, 80, n),
            "sale": rng.random(n) < 0.3,
            "city": rng.choice(["x", "y", "z"], n),
        }
    )
    df.loc[::9, "price"] = np.nan
    df = pd.concat([df, pd.get_dummies(df.pop("city"), prefix="city")], axis=1)
    return df, (df["age"] > 40).to_numpy() ^ df["sale"].to_numpy()


class TestAroundTheModel:
    @pytest.mark.parametrize("name", ["FM", "DeepFM", "FFM", "AFM", "AutoInt"])
    def test_one_term_for_each_column(self, name):
        df, y = mixed()
        model = make(getattr(skfm, f"{name}Classifier"), max_iter=2).fit(df, y)
        terms = explain(model, df[:20], max_pairs=None)
        total = terms.groupby("row")["contribution"].sum()
        assert_allclose(total, scores(model, df[:20]), atol=1e-4)
        entries = terms[terms["kind"].isin(["linear", "embedding"])]
        assert not entries.duplicated(["row", "kind", "first"]).any()
        assert set(entries["first"]) <= set(df.columns)
        pairs = terms[terms["kind"] == "pair"]
        assert not (pairs["first"] == pairs["second"]).any()
        assert not pairs.duplicated(["row", "first", "second"]).any()

    def test_the_encoder_of_a_pipeline_tells_the_columns(self):
        df, y = mixed()
        encoder = FieldEncoder()
        model = make(FMClassifier, max_iter=2)
        steps = make_pipeline(encoder, model).fit(df, y)
        table = make(FMClassifier, max_iter=2, crosses=None).fit(df, y)
        found, expected = explain(steps, df[:9]), explain(table, df[:9])
        # Pairs are sorted by their contributions, which may be close.
        names = ["row", "kind", "first", "second"]
        found, expected = (
            table[names].fillna("").sort_values(names).to_numpy()
            for table in (found, expected)
        )
        assert_array_equal(found, expected)
        assert_array_equal(
            interaction_strength(steps, df).index,
            interaction_strength(table, df).index,
        )

    def test_explain_keeps_the_largest_pairs(self):
        df, y = mixed()
        model = make(FMClassifier, max_iter=5).fit(df, y)
        every = explain(model, df[:5], max_pairs=None)
        some = explain(model, df[:5], max_pairs=2)
        for row in range(5):
            pairs = every[(every["row"] == row) & (every["kind"] == "pair")]
            kept = some[(some["row"] == row) & (some["kind"] == "pair")]
            assert_allclose(kept["contribution"], pairs["contribution"][:2])
            others = some[(some["row"] == row) & (some["kind"] == "other pairs")]
            rest = pairs["contribution"][2:].sum()
            assert_allclose(others["contribution"], rest, atol=1e-6)

    @pytest.mark.parametrize("by", ["field", "feature"])
    def test_strength_of_columns(self, by):
        df, y = mixed()
        model = make(FMClassifier, max_iter=30).fit(df, y)
        cities = ["city"] if by == "field" else ["city_x", "city_y", "city_z"]
        names = ["price", "user", "age", "sale", *cities]
        of_rows = interaction_strength(model, df, by=by)
        assert of_rows.columns.tolist() == of_rows.index.tolist() == names
        terms = explain(model, df, max_pairs=None)
        pair = terms[(terms["first"] == "age") & (terms["second"] == "sale")]
        summed = pair.set_index("row")["contribution"].reindex(range(400)).fillna(0)
        assert of_rows.loc["age", "sale"] == pytest.approx(summed.var(ddof=0), rel=1e-3)
        of_fit = interaction_strength(model, by=by)
        assert of_fit.columns.tolist() == names
        assert_allclose(of_fit, of_fit.T)
        assert of_fit.loc["age", "sale"] == of_fit.drop(index="sale")["sale"].max()

    def test_fields_of_the_users_take_whole_columns(self):
        df, y = mixed()
        model = make(DeepFMClassifier, fields=["a", "b", "a", "b", *"ccc"]).fit(df, y)
        assert model.field_names_ == ["a", "b", "c"]
        columns = FieldEncoder().fit(df).columns_
        assert_array_equal(model.fields_, np.array([0, 1, 0, 1, 2, 2, 2])[columns])

    @pytest.mark.parametrize("cls", [FMClassifier, DeepFMClassifier])
    def test_files_and_the_predictor_agree(self, cls, tmp_path):
        df, y = mixed()
        model = make(cls, max_iter=2).fit(df, y)
        expected = scores(model, df)
        skfm.save(model, tmp_path / "model.skfm")
        loaded = skfm.load(tmp_path / "model.skfm")
        assert_array_equal(scores(loaded, df), expected)
        rows = df.astype(object).where(df.notna(), None).to_dict("records")
        rows += [{"price": 2.5}, {"user": 10**6, "age": 17.5}, {"sale": True}, {}]
        table = pd.DataFrame(rows, columns=df.columns)
        for served in (model, loaded):
            predictor = served.compile_predictor()
            found = predictor.decision_function(rows)
            assert_allclose(found[: len(df)], expected, atol=1e-6)
            assert_allclose(found, predictor.decision_function(table), atol=1e-6)
        encoder = FieldEncoder().fit(df)
        skfm.save(encoder, tmp_path / "encoder.skfm")
        again = skfm.load(tmp_path / "encoder.skfm")
        assert equal(again.transform(df), encoder.transform(df))
        assert_array_equal(again.columns_, encoder.columns_)
        assert_array_equal(again.fields_, encoder.fields_)
