"""Fields inferred from what scikit-learn's encoders make of tables."""

import numpy as np
import pytest
from field_cases import (
    REMEDIES,
    exact_or_refused,
    random_frame,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction import FeatureHasher
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import (
    KBinsDiscretizer,
    MaxAbsScaler,
    MultiLabelBinarizer,
    OneHotEncoder,
    StandardScaler,
)

from skfm.fields import (
    FieldInferenceError,
    fields_from,
    infer_fields,
    resolve_fields,
)

SEEDS = st.integers(0, 2**32 - 1)


ENCODERS = {
    "ignore": OneHotEncoder(handle_unknown="ignore"),
    "min_frequency": OneHotEncoder(
        handle_unknown="infrequent_if_exist", min_frequency=4
    ),
    "max_categories": OneHotEncoder(handle_unknown="ignore", max_categories=4),
}


def table_encoder(encoder, scaler, order):
    parts = [
        ("cat", encoder, ["city", "tail", "some"]),
        ("num", scaler, ["zeros", "dense"]),
        ("bin", KBinsDiscretizer(3, strategy="uniform"), ["dense"]),
    ]
    return ColumnTransformer([parts[i] for i in order], sparse_threshold=1.0)


class TestInferFieldsFromEncoders:
    @settings(max_examples=40, deadline=None)
    @given(
        SEEDS,
        st.sampled_from(sorted(ENCODERS)),
        st.sampled_from([MaxAbsScaler(), StandardScaler(), "passthrough"]),
        st.permutations(range(3)),
    )
    def test_exact_or_refused(self, seed, encoder, scaler, order):
        rng = np.random.default_rng(seed)
        train = random_frame(rng, int(rng.integers(20, 200)))
        transformer = table_encoder(ENCODERS[encoder], scaler, order).fit(train)
        truth, _ = fields_from(transformer)
        tests = [train, random_frame(rng, 50, n_extra_levels=3)]
        for X in map(transformer.transform, tests):
            X = sparse.csr_array(X)
            X.sum_duplicates()
            X.eliminate_zeros()
            occupied = np.unique(truth[X.indices])
            if np.diff(X.indptr).max() == len(occupied):
                exact_or_refused(X, truth)

    def test_plain_one_hot_is_always_exact(self):
        frame = random_frame(np.random.default_rng(0), 300)[["city", "tail", "some"]]
        encoder = OneHotEncoder().fit(frame)
        X = encoder.transform(frame)
        fields, names = resolve_fields("auto", X, names=encoder.get_feature_names_out())
        np.testing.assert_array_equal(fields, fields_from(encoder)[0])
        assert names == ["city", "tail", "some"]

    @pytest.mark.parametrize("seed", range(20))
    @pytest.mark.parametrize("drop", ["first", "if_binary"])
    def test_dropped_categories(self, seed, drop):
        rng = np.random.default_rng(seed)
        sizes = rng.integers(2, 7, rng.integers(2, 7))
        table = (rng.random((400, len(sizes))) ** 1.5 * sizes).astype(int)
        encoder = OneHotEncoder(drop=drop).fit(table)
        exact_or_refused(encoder.transform(table), fields_from(encoder)[0])

    @pytest.mark.parametrize("seed", range(5))
    def test_multi_hot_hashing_and_text_are_refused(self, seed):
        rng = np.random.default_rng(seed)
        users = OneHotEncoder().fit_transform(rng.integers(0, 9, (300, 1)))
        bags = [
            [f"w{w}" for w in rng.choice(12, rng.integers(0, 5), replace=False)]
            for _ in range(300)
        ]
        multi_hot = MultiLabelBinarizer(sparse_output=True).fit_transform(bags)
        hashed = FeatureHasher(64, input_type="string").transform(bags)
        text = TfidfVectorizer().fit_transform([" ".join(bag) for bag in bags])
        for X in (
            sparse.hstack([users, multi_hot], format="csr"),
            sparse.hstack([multi_hot, users], format="csr"),
            hashed,
            text,
        ):
            X.sum_duplicates()
            with pytest.raises(FieldInferenceError) as info:
                infer_fields(X)
            assert all(remedy in str(info.value) for remedy in REMEDIES)
