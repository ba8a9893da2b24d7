"""Fields read off fitted transformers."""

import numpy as np
import pandas as pd
import pytest
from field_cases import REMEDIES, random_frame
from scipy import sparse
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction import FeatureHasher
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.feature_selection import VarianceThreshold
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    RobustScaler,
    StandardScaler,
)

from skfm.fields import (
    FieldInferenceError,
    fields_from,
)


def fields_by_sensitivity(transformer, table):
    """The input columns each output column depends on, found by changing them."""
    before = np.asarray(_dense(transformer.transform(table)))
    depends = np.zeros((table.shape[1], before.shape[1]), dtype=bool)
    for j in range(table.shape[1]):
        for shift in range(1, 8):
            changed = table.copy()
            if isinstance(table, pd.DataFrame):
                changed[table.columns[j]] = np.roll(table.iloc[:, j], shift)
            else:
                changed[:, j] = np.roll(table[:, j], shift)
            after = np.asarray(_dense(transformer.transform(changed)))
            depends[j] |= (before != after).any(axis=0)
    assert (depends.sum(axis=0) == 1).all()
    return depends.argmax(axis=0)


def _dense(X):
    return X.toarray() if sparse.issparse(X) else X


def _table(n_rows=120):
    frame = random_frame(np.random.default_rng(7), n_rows)
    codes = frame["city"].astype(int).to_numpy()
    return frame.assign(code=codes, binary=codes % 2, some=frame["some"].fillna("?"))


CATEGORIES = ["city", "tail", "some"]
NUMBERS = ["zeros", "dense", "code", "binary"]

ONE_FIELD_PER_INPUT = {
    "onehot": (OneHotEncoder(), CATEGORIES),
    "onehot array": (OneHotEncoder(sparse_output=False), None),
    "onehot drop first": (OneHotEncoder(drop="first"), [*CATEGORIES, "binary"]),
    "onehot drop if_binary": (OneHotEncoder(drop="if_binary"), [*CATEGORIES, "binary"]),
    "onehot drop list": (OneHotEncoder(drop=["1", "p"]), ["city", "some"]),
    "onehot min_frequency": (OneHotEncoder(min_frequency=5), CATEGORIES),
    "onehot max_categories": (OneHotEncoder(max_categories=3), CATEGORIES),
    "onehot infrequent and drop": (
        OneHotEncoder(min_frequency=5, drop="first"), CATEGORIES
    ),
    "ordinal": (OrdinalEncoder(), CATEGORIES),
    "bins": (KBinsDiscretizer(4, strategy="uniform"), ["dense", "code"]),
    "bins dense": (KBinsDiscretizer(3, encode="onehot-dense"), ["dense", "code"]),
    "bins ordinal": (KBinsDiscretizer(4, encode="ordinal"), ["dense", "code"]),
    "standard": (StandardScaler(), NUMBERS),
    "minmax": (MinMaxScaler(), NUMBERS),
    "maxabs": (MaxAbsScaler(), NUMBERS),
    "robust": (RobustScaler(), NUMBERS),
    "imputer": (SimpleImputer(), NUMBERS),
    "imputer with indicators": (
        SimpleImputer(missing_values=0.0, add_indicator=True), ["zeros", "code"]),
    "selector": (VarianceThreshold(), NUMBERS),
    "function": (FunctionTransformer(np.sqrt, feature_names_out="one-to-one"),
                 ["zeros", "code"]),
    "identity": (FunctionTransformer(), ["zeros", "dense"]),
    "linear polynomial": (PolynomialFeatures(1, include_bias=False), NUMBERS),
    "pipeline": (
        make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(),
                      MaxAbsScaler(), "passthrough"), CATEGORIES),
    "pipeline codes": (
        make_pipeline(OrdinalEncoder(), OneHotEncoder(), VarianceThreshold(0.05)),
        CATEGORIES),
    "pipeline over unreadable": (
        make_pipeline(FunctionTransformer(np.abs), KBinsDiscretizer(3)), ["code"]),
    "columns": (
        ColumnTransformer([
            ("num", StandardScaler(), ["dense"]),
            ("cat", OneHotEncoder(), ["some", "city"]),
            ("no", "drop", ["zeros"]),
            ("nothing", MaxAbsScaler(), []),
        ], remainder="passthrough"), ["city", "zeros", "some", "dense", "code"]),
    "columns selected": (
        ColumnTransformer([
            ("cat", OneHotEncoder(), make_column_selector(dtype_exclude="number")),
            ("mask", MaxAbsScaler(), [False, True, False, False, False]),
            ("slice", "passthrough", slice("dense", "code")),
        ], remainder="drop"), ["city", "zeros", "some", "dense", "code"]),
    "columns by position": (
        ColumnTransformer([
            ("last", OneHotEncoder(), [-1, 0]), ("two", "passthrough", slice(1, 3)),
        ], sparse_threshold=1.0), None),
    "columns after codes": (
        make_pipeline(OrdinalEncoder(), ColumnTransformer([
            ("one", OneHotEncoder(), [2, 0]), ("two", MinMaxScaler(), [1])])),
        CATEGORIES),
    "union": (
        FeatureUnion([("a", OneHotEncoder()), ("no", "drop")]), CATEGORIES),
}  # fmt: skip


class TestFieldsFrom:
    @pytest.mark.parametrize("case", ONE_FIELD_PER_INPUT)
    def test_is_what_columns_depend_on(self, case):
        transformer, columns = ONE_FIELD_PER_INPUT[case]
        table = _table()[columns or ["city", "code", "zeros", "binary"]]
        table = table if columns else table.to_numpy(dtype=object)
        transformer.fit(table)
        fields, names = fields_from(transformer)
        inputs = fields_by_sensitivity(transformer, table)
        given = table.columns if columns else [f"x{j}" for j in range(table.shape[1])]
        assert fields.dtype == np.int32
        assert [names[f] for f in fields] == [given[j] for j in inputs]
        assert names == list(dict.fromkeys(names[f] for f in fields))

    def test_a_column_used_twice_makes_two_fields(self):
        table = _table()[["dense", "code"]]
        parts = [("num", StandardScaler(), ["dense", "code"]),
                 ("bin", KBinsDiscretizer(2), ["dense"])]  # fmt: skip
        fields, names = fields_from(ColumnTransformer(parts).fit(table))
        np.testing.assert_array_equal(fields, [0, 1, 2, 2])
        assert names == ["num__dense", "code", "bin__dense"]
        union = FeatureUnion([("raw", "passthrough"), ("bin", KBinsDiscretizer(2))])
        fields, names = fields_from(union.fit(table))
        np.testing.assert_array_equal(fields, [0, 1, 2, 2, 3, 3])
        assert names == ["raw__dense", "raw__code", "bin__dense", "bin__code"]

    def test_a_field_without_columns_has_no_number(self):
        table = pd.DataFrame({"a": [1, 1, 1], "b": [1, 2, 3]})
        encoder = OneHotEncoder(drop="first").fit(table)
        fields, names = fields_from(encoder)
        np.testing.assert_array_equal(fields, [0, 0])
        assert names == ["b"]

    def test_a_column_lost_by_the_imputer(self):
        table = pd.DataFrame({"a": [1.0, 2.0], "b": [np.nan, np.nan], "c": [3.0, 4.0]})
        with pytest.warns(UserWarning, match="Skipping features"):
            steps = make_pipeline(SimpleImputer(), KBinsDiscretizer(2)).fit(table)
        fields, names = fields_from(steps)
        np.testing.assert_array_equal(fields, [0, 0, 1, 1])
        assert names == ["a", "c"]

    def test_predictor_at_the_end_is_left_out(self):
        table = _table()[CATEGORIES]
        model = make_pipeline(OneHotEncoder(), LogisticRegression())
        model.fit(table, np.arange(len(table)) % 2)
        fields, names = fields_from(model)
        np.testing.assert_array_equal(fields, fields_from(model[:-1])[0])
        assert names == CATEGORIES

    def test_protocol(self):
        class Fielded:
            def fit(self, X, y=None):
                self.fields_ = np.array([1, 1, 0])
                self.field_names_ = ["tags", "user"]
                return self

            def transform(self, X):
                return X

        fields, names = fields_from(Fielded().fit(None))
        np.testing.assert_array_equal(fields, [0, 0, 1])
        assert names == ["user", "tags"]
        steps = Pipeline([("own", Fielded()), ("scale", MaxAbsScaler())])
        fields, names = fields_from(steps.fit(np.eye(3)))
        np.testing.assert_array_equal(fields, [0, 0, 1])
        with pytest.raises(
            FieldInferenceError, match=r"MaxAbsScaler.*2 columns.*has 3"
        ):
            fields_from(steps.fit(np.eye(2)))

    def test_a_transformer_that_names_its_sources(self):
        class Vectorizer(MaxAbsScaler):
            def fit(self, X, y=None):
                self.output_to_input_ = {"b_1": "b", "b_2": "b", "a": "a"}
                return super().fit(X)

            def get_feature_names_out(self, input_features=None):
                return np.array(["b_1", "b_2", "a", "c"][: self.n_out])

        table = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]})
        vectorizer = Vectorizer().fit(table)
        vectorizer.n_out = 3
        fields, names = fields_from(vectorizer)
        np.testing.assert_array_equal(fields, [0, 0, 1])
        assert names == ["b", "a"]
        vectorizer.n_out = 4
        with pytest.raises(
            FieldInferenceError, match="Vectorizer are unknown: output_to_input_"
        ):
            fields_from(vectorizer)

    @pytest.mark.parametrize(
        ("fields", "match"), [([0, 2], "1 names"), ([0.5], "integers"), (1, "vector")]
    )
    def test_broken_protocol(self, fields, match):
        class Broken(MaxAbsScaler):
            fields_ = fields
            field_names_ = ("a",)

        with pytest.raises(FieldInferenceError, match=match):
            fields_from(Broken().fit(np.eye(2)))

    @pytest.mark.parametrize(
        "transformer",
        [
            PCA(2),
            PolynomialFeatures(2),
            FunctionTransformer(np.abs),
            FeatureHasher(4, input_type="dict"),
            make_pipeline(PCA(2), StandardScaler()),
            make_pipeline(PCA(2), VarianceThreshold()),
            ColumnTransformer([("a", StandardScaler(), [0]), ("b", PCA(1), [1])]),
            FeatureUnion([("a", StandardScaler()), ("b", PCA(1))]),
        ],
        ids=lambda transformer: type(transformer).__name__,
    )
    def test_what_cannot_be_read_is_refused(self, transformer):
        rng = np.random.default_rng(0)
        X = np.column_stack([rng.integers(0, 3, 20), rng.integers(0, 3, 20)])
        if isinstance(transformer, FeatureHasher):
            transformer.fit([{"a": 1}])
        else:
            transformer.fit(X.astype(float))
        with pytest.raises(FieldInferenceError) as info:
            fields_from(transformer)
        message = str(info.value)
        assert any(name in message for name in [type(transformer).__name__, "PCA"])
        assert all(remedy in message for remedy in REMEDIES)

    def test_text_is_refused(self):
        text = TfidfVectorizer().fit(["a cat sat", "a dog ran"])
        with pytest.raises(FieldInferenceError, match="TfidfVectorizer"):
            fields_from(text)

    @pytest.mark.parametrize("transformer", [OneHotEncoder(), ColumnTransformer([])])
    def test_not_fitted(self, transformer):
        with pytest.raises(NotFittedError):
            fields_from(transformer)
