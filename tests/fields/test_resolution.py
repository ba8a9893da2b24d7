"""Fields given by the user, or resolved from X; their names."""

import numpy as np
import pandas as pd
import pytest
from field_cases import csr
from scipy.sparse import csr_array

from skfm.fields import (
    FieldInferenceError,
    resolve_fields,
)
from skfm.fields.layout import unique_names


class TestResolveFields:
    X = csr([[0, 2, 5], [1, 3, 5]], 6)

    @pytest.mark.parametrize(
        ("given", "fields", "names"),
        [
            ([2, 3, 1], [0, 0, 1, 1, 1, 2], ["field0", "field1", "field2"]),
            ((6,), [0] * 6, ["field0"]),
            (np.array([2, 4], dtype=np.uint8), [0, 0, 1, 1, 1, 1], None),
            (pd.Series([3, 3]), [0, 0, 0, 1, 1, 1], None),
            (range(6), range(6), list("012345")),
            ([7, 7, 3, 3, 7, -1], [0, 0, 1, 1, 0, 2], ["7", "3", "-1"]),
            (list("bbaacb"), [0, 0, 1, 1, 2, 0], ["b", "a", "c"]),
            (pd.Index(list("bbaacb")), [0, 0, 1, 1, 2, 0], ["b", "a", "c"]),
            (pd.Categorical(list("bbaacb")), [0, 0, 1, 1, 2, 0], ["b", "a", "c"]),
            (np.array([2, 4], dtype=object), [0, 0, 1, 1, 1, 1], None),
            ([2**60, 2**60 + 1, 0, 0, 0, 0], [0, 1, 2, 2, 2, 2], None),
            ("auto", [0, 0, 1, 1, 1, 2], ["field0", "field1", "field2"]),
        ],
    )
    def test_meaning(self, given, fields, names):
        resolved, resolved_names = resolve_fields(given, self.X)
        assert resolved.dtype == np.int32
        np.testing.assert_array_equal(resolved, fields)
        assert len(resolved_names) == resolved.max() + 1
        assert names is None or resolved_names == names

    def test_one_column_has_one_reading(self):
        fields, _ = resolve_fields([1], csr([[0]], 1))
        np.testing.assert_array_equal(fields, [0])

    @pytest.mark.parametrize(
        ("given", "match"),
        [
            ([2, 3], "cover 5 columns, but X has 6"),
            ([4, 4], "cover 8 columns, but X has 6"),
            ([2**62, 2**62, 2**62, 2**62, 6], "cover 184467"),
            ([2, 0, 4], r"at least 1; fields\[1\] is 0"),
            ([8, -2], r"at least 1; fields\[1\] is -2"),
            (["a", "b"], "2 labels, but X has 6 columns"),
            ([1] * 6, r"ambiguous.*range\(6\).*fields=\[6\]"),
            ([1.5, 4.5], "integers.*1.5"),
            ([2.0, 4.0], "integers"),
            ([True] * 6, "integers.*True"),
            ([[2, 4]], r"shape \(1, 2\)"),
            ([[2], [4, 1]], "nested"),
            (6, r"shape \(\)"),
            ([], "integers"),
            ("all", "'all'"),
            (None, "None"),
            ({2: 4}, "{2: 4}"),
            (["a", 1, "b", 2, "c", None], "None|'a'"),
            (np.array(["a", 1, "b", 2, "c", 3], dtype=object), "'a', 1, 'b'"),
        ],
    )
    def test_bad_fields(self, given, match):
        with pytest.raises(ValueError, match=match) as info:
            resolve_fields(given, self.X)
        assert "fields" in str(info.value)

    def test_wrong_number_of_names(self):
        with pytest.raises(ValueError, match="2 names for 6 columns"):
            resolve_fields("auto", self.X, names=["a", "b"])

    def test_auto_dense(self):
        X = csr([[0, 1], [1]], 256)
        fields, names = resolve_fields("auto", X, is_dense=True)
        np.testing.assert_array_equal(fields, np.arange(256))
        assert names[:2] == ["x0", "x1"]
        _, names = resolve_fields(
            "auto", X, is_dense=True, names=[f"c{j}" for j in range(256)]
        )
        assert names[255] == "c255"
        fields, _ = resolve_fields("auto", csr([[0], [1]], 257), is_dense=True)
        assert fields.max() == 0

    @pytest.mark.parametrize("scale", [lambda X: X, lambda X: (X - X.mean(0)) / 0.3])
    def test_dummies_of_a_dense_array(self, scale):
        rng = np.random.default_rng(0)
        codes = rng.integers([0, 3], [3, 6], size=(60, 2))
        dummies = np.zeros((60, 6))
        np.put_along_axis(dummies, codes, 1, axis=1)
        flags = rng.integers(2, size=(60, 2))  # both in some rows
        X = np.column_stack([rng.normal(size=60), dummies, flags, rng.normal(size=60)])
        X[:, 1:9] = scale(X[:, 1:9])
        names = ["n", "a_1", "a_2", "a_3", "b_p", "b_q", "b_r", "f", "g", "m"]
        found = resolve_fields("auto", csr_array(X), names=names, is_dense=True)
        np.testing.assert_array_equal(found[0], [0, 1, 1, 1, 2, 2, 2, 3, 4, 5])
        assert found[1] == ["n", "a", "b", "f", "g", "m"]

    @pytest.mark.parametrize("n_features", [64, 65])
    def test_auto_falls_back_to_columns_only_when_few(self, n_features):
        X = csr([[0, 1], [1, 2]], n_features)
        if n_features == 64:
            fields, names = resolve_fields("auto", X)
            np.testing.assert_array_equal(fields, np.arange(64))
            assert names[63] == "x63"
        else:
            with pytest.raises(FieldInferenceError, match="fields="):
                resolve_fields("auto", X)

    @pytest.mark.parametrize(
        ("names", "expected"),
        [
            (["os_a", "os_b", "to_x", "to_y", "to_z", "age_in_years"], None),
            (
                ["os_name_a", "os_name_b", "a", "b", "c", "d"],
                ["os_name", "field1", "d"],
            ),
            (["a_1", "a_2", "a_3", "a_4", "b_9", "a"], ["a", "a_2", "a_3"]),
            (["c__p", "c__q", "d_1_1", "d_12_1", "z", "e"], ["c", "d", "e"]),
        ],
    )
    def test_block_names(self, names, expected):
        _, found = resolve_fields("auto", self.X, names=names)
        assert found == (expected or ["os", "to", "age_in_years"])

    def test_repeated_names_are_numbered(self):
        assert unique_names(["a", "a", "a_2", 1, "1", "a"]) == [
            "a",
            "a_3",
            "a_2",
            "1",
            "1_2",
            "a_4",
        ]
