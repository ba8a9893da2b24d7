"""FieldEncoder: what is refused, and how it is called."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from skfm import load, save
from skfm.encoding import FieldEncoder

FIT = pd.DataFrame({"c": ["a", "b"], "n": [1.0, 2.0], "i": [1, 2]})


@pytest.mark.parametrize(
    ("new", "error", "message"),
    [
        (FIT[["c", "n"]], ValueError, "yet now missing:\n- i"),
        (FIT[["n", "c", "i"]], ValueError, "must be in the same order"),
        (FIT.assign(n=["1", "x"]), ValueError, "'n' is numeric but holds '1' in row 0"),
        (FIT.assign(n=[1.0, np.inf]), ValueError, "'n' holds inf in row 1"),
        (FIT.assign(c=[7, 8]), ValueError, "'c' held strings.*numbers now, as .*7"),
        (FIT.assign(c=[True, None]), ValueError, "'c' held strings.*booleans now"),
        (FIT.assign(i=["a", "b"]), ValueError, "'i' held numbers.*strings now"),
        (
            FIT.assign(c=["a", [1]]),
            TypeError,
            r"'c' holds \[1\] in row 1.*multi_valued",
        ),
        (
            FIT.assign(c=pd.Series(["a", 5], dtype=object)),
            TypeError,
            "'c' mixes str, as 'a' in row 0, and int, as 5 in row 1",
        ),
        (FIT[:0], ValueError, r"0 sample\(s\)"),
    ],
)
def test_errors_of_transform(new, error, message):
    encoder = FieldEncoder(categorical_features=["c", "i"]).fit(FIT)
    with pytest.raises(error, match=message):
        encoder.transform(new)


@pytest.mark.parametrize(
    ("options", "df", "error", "message"),
    [
        ({"delimiter": "", "multi_valued": ["c"]}, FIT, ValueError, "'c' is empty"),
        ({"delimiter": {"c": "|"}}, FIT, ValueError, "'c', which is not multi-valued"),
        ({"n_buckets": {"n": 5}}, FIT, ValueError, "'n', which is not categorical"),
        ({"n_buckets": {"c": 0}}, FIT, ValueError, "n_buckets of column 'c'"),
        ({"n_buckets": {"zz": 5}}, FIT, ValueError, "n_buckets names column 'zz'"),
        ({"numeric": {"n": "log"}}, FIT, ValueError, "numeric of column 'n'"),
        ({"min_frequency": 1.5}, FIT, ValueError, "min_frequency=1.5"),
        ({"categorical_features": ["q"]}, FIT, ValueError, "names column 'q'"),
        ({"categorical_features": [3]}, FIT, ValueError, "names column 3"),
        ({"categorical_features": [True]}, FIT, ValueError, "boolean mask"),
        ({"categorical_features": None}, FIT, ValueError, "'c' is numeric but holds"),
        ({"multi_valued": ["c"]}, FIT, ValueError, "'c' is multi.*'a' in row 0.*delim"),
        ({"multi_valued": ["n"]}, FIT, ValueError, "'n' is multi.*1.0 in row 0"),
        (
            {"multi_valued": ["n"], "delimiter": "|"},
            FIT,
            ValueError,
            "'n' has delimiter='|' but holds numbers",
        ),
        (
            {"multi_valued": ["t"]},
            pd.DataFrame({"t": [["a"], ["b", ["c"]]]}),
            TypeError,
            r"'t' holds \['c'\] in row 1",
        ),
        (
            {"n_buckets": 4, "categorical_features": "all"},
            pd.DataFrame({"t": [pd.Interval(1, 2), pd.Interval(3, 4)]}, dtype=object),
            ValueError,
            "'t' holds values of type Interval.*no stable hash",
        ),
        (
            {"dates": None},
            pd.DataFrame({"d": pd.to_datetime(["2024-01-01"])}),
            ValueError,
            "'d' holds dates.*categorical_features",
        ),
        (
            {"categorical_features": "all"},
            pd.DataFrame({"i": pd.Series([2**70, 1], dtype=object)}),
            ValueError,
            "'i'.*no exact common",
        ),
        ({}, pd.DataFrame({"x": [1e200, -1e200]}), ValueError, "'x' are too large"),
        ({}, pd.DataFrame(index=[0, 1]), ValueError, r"0 feature\(s\)"),
        ({}, sp.csr_matrix([[1.0]]), TypeError, "[Ss]parse"),
    ],
)
def test_errors_of_fit(options, df, error, message):
    with pytest.raises(error, match=message):
        FieldEncoder(**options).fit(df)


@pytest.mark.parametrize("method", ["fit", "fit_transform", "partial_fit"])
@pytest.mark.parametrize(
    "refused",
    [
        pd.DataFrame({"other": ["a", 1], "n": [1.0, 2.0]}),
        FIT.assign(n=[1.0, np.inf]),
        FIT.assign(c=["a", [1]]),
        FIT[:0],
    ],
    ids=["other columns", "inf", "list", "no rows"],
)
def test_a_refused_fit_leaves_the_encoder_as_it_was(method, refused, tmp_path):
    encoder = FieldEncoder().fit(FIT)
    before, expected = dict(vars(encoder)), encoder.transform(FIT)
    with pytest.raises((ValueError, TypeError)):
        getattr(encoder, method)(refused)
    assert list(vars(encoder)) == list(before)
    assert all(vars(encoder)[name] is before[name] for name in before)
    save(encoder, tmp_path / "encoder.skfm")
    found = load(tmp_path / "encoder.skfm").transform(FIT)
    assert (found != expected).nnz == 0


def test_a_refused_first_fit_leaves_nothing():
    encoder = FieldEncoder()
    with pytest.raises(ValueError, match="inf"):
        encoder.fit(FIT.assign(n=np.inf))
    assert not [name for name in vars(encoder) if name.endswith("_")]
