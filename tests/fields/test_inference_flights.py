"""Fields inferred from what encoders make of real flights: exact or refused."""

import numpy as np
import pytest
from field_cases import exact_or_refused
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn.compose import make_column_transformer
from sklearn.preprocessing import (
    KBinsDiscretizer,
    MaxAbsScaler,
    OneHotEncoder,
    StandardScaler,
)
from table_cases import real_flights

from skfm import FieldEncoder
from skfm.fields import fields_from, infer_fields

CATEGORIES = ["carrier", "tailnum", "flight", "origin", "dest"]
NUMBERS = ["hour", "distance"]


@pytest.fixture(scope="module")
def flights():
    return real_flights(6_000)[0]


@st.composite
def one_hot_encoders(draw):
    drop = draw(st.sampled_from([None, "first", "if_binary", "most frequent"]))
    options = {
        "drop": drop,
        "min_frequency": draw(st.sampled_from([None, 2, 30, 0.01])),
        "max_categories": draw(st.sampled_from([None, 4, 60])),
        "sparse_output": draw(st.booleans()),
        "handle_unknown": draw(
            st.sampled_from(["ignore", "infrequent_if_exist", "warn"])
        ),
    }
    if drop == "most frequent":
        # Such a category must not be an infrequent one, which it is not.
        options |= {"min_frequency": None, "max_categories": None}
    return options


def one_hot(options, table):
    if options["drop"] == "most frequent":
        options = options | {"drop": table.mode().iloc[0].to_list()}
    return OneHotEncoder(**options)


number_encoders = st.sampled_from(
    [
        StandardScaler(),
        MaxAbsScaler(),
        "passthrough",
        "drop",
        *(
            KBinsDiscretizer(5, encode=encode, strategy="uniform")
            for encode in ("onehot", "onehot-dense", "ordinal")
        ),
    ]
)


def canonical(X):
    X = sparse.csr_array(X)
    X.sum_duplicates()
    X.eliminate_zeros()
    return X


@pytest.mark.filterwarnings("ignore:Found unknown categories:UserWarning")
@settings(max_examples=50, deadline=None)
@given(
    options=one_hot_encoders(),
    numbers=number_encoders,
    columns=st.lists(st.sampled_from(CATEGORIES), min_size=1, max_size=5, unique=True),
    seed=st.integers(0, 2**32 - 1),
)
def test_scikit_learns_encoders(flights, options, numbers, columns, seed):
    rng = np.random.default_rng(seed)
    train, test = (
        flights.sample(n, random_state=rng.integers(99)) for n in (1500, 400)
    )
    encoder = one_hot(options, train[columns])
    # ColumnTransformer does not stack a block of no columns on a sparse one.
    assume(len(encoder.fit(train[columns]).get_feature_names_out()))
    transformer = make_column_transformer((encoder, columns), (numbers, NUMBERS))
    transformer.fit(train)
    truth, _ = fields_from(transformer)
    for table in (train, test):
        X = canonical(transformer.transform(table))
        if np.diff(X.indptr).max() == len(np.unique(truth[X.indices])):
            exact_or_refused(X, truth)


def test_plain_one_hot_output_is_never_refused(flights):
    for n_columns in range(1, 6):
        encoder = OneHotEncoder().fit(flights[CATEGORIES[:n_columns]])
        X = canonical(encoder.transform(flights[CATEGORIES[:n_columns]]))
        assert_array_equal(infer_fields(X), fields_from(encoder)[0])


@settings(max_examples=30, deadline=None)
@given(
    options=st.fixed_dictionaries(
        {
            "categorical_features": st.sampled_from(["from_dtype", "all"]),
            "min_frequency": st.sampled_from([None, 2, 30, 0.01]),
            "max_categories": st.sampled_from([None, 4, 60]),
            "n_buckets": st.sampled_from([None, 50, {"tailnum": 7}]),
            "numeric": st.sampled_from(["scale", "quantile", "passthrough"]),
        }
    ),
    seed=st.integers(0, 99),
)
def test_field_encoder_is_never_refused(flights, options, seed):
    train, test = (flights.sample(n, random_state=seed) for n in (1500, 400))
    encoder = FieldEncoder(**options).fit(train)
    for table in (
        train,
        test.mask(np.random.default_rng(seed).random(test.shape) < 0.1),
    ):
        X = canonical(encoder.transform(table))
        assert exact_or_refused(X, encoder.fields_)
