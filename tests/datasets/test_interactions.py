"""Generated data with planted interactions."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import LinearRegression, LogisticRegression

from skfm.datasets import make_interactions
from skfm.fields import resolve_fields

KINDS = ["fm", "field_pair", "three_way"]


class TestMakeInteractions:
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("n_classes", [2, 3])
    def test_scores_are_those_of_the_planted_equation(self, kind, n_classes):
        X, _, truth = make_interactions(
            40,
            n_fields=4,
            n_categories=[2, 3, 4, 5],
            kind=kind,
            n_classes=n_classes,
            return_truth=True,
            random_state=0,
        )
        n_outputs = 1 if n_classes == 2 else n_classes
        expected = np.zeros((40, n_outputs))
        for row in range(40):
            columns = np.flatnonzero(X[row].toarray()[0])
            for c in range(n_outputs):
                expected[row, c] += truth.linear[columns, c].sum()
                for number, group in enumerate(truth.groups):
                    V = truth.factors[0 if kind == "fm" else number]
                    expected[row, c] += np.prod(V[columns[group], c], axis=0).sum()
        scores = truth.decision_function(X)
        assert_allclose(scores.reshape(40, -1), expected, rtol=1e-10, atol=1e-12)

    @pytest.mark.parametrize("kind", KINDS)
    def test_scale_of_the_parts(self, kind):
        for scales in ((2.0, 0.0), (0.0, 3.0)):
            X, _, truth = make_interactions(
                20_000,
                n_fields=5,
                kind=kind,
                linear_scale=scales[0],
                interaction_scale=scales[1],
                return_truth=True,
                random_state=3,
            )
            scores = truth.decision_function(X)
            assert scores.std() == pytest.approx(sum(scales), rel=0.1)
            assert scores.mean() == pytest.approx(0, abs=0.15)

    @pytest.mark.parametrize("kind", KINDS)
    def test_interactions_are_pure(self, kind):
        """No linear model explains an interaction, not even in expectation."""
        options = {"linear_scale": 0, "noise": 0, "task": "regression", "kind": kind}
        X, y = make_interactions(
            20_000, n_fields=3, n_categories=4, random_state=5, **options
        )
        assert LinearRegression().fit(X, y).score(X, y) < 0.01

    def test_three_way_is_not_in_pairs(self):
        X, y = make_interactions(
            20_000,
            n_fields=3,
            n_categories=3,
            kind="three_way",
            linear_scale=0,
            noise=0,
            task="regression",
            random_state=6,
        )
        codes = X.indices.reshape(-1, 3) % 3
        pairs = [codes[:, a] * 3 + codes[:, b] for a, b in ((0, 1), (0, 2), (1, 2))]
        one_hot = np.hstack([np.eye(9)[pair] for pair in pairs])
        assert LinearRegression().fit(one_hot, y).score(one_hot, y) < 0.01

    def test_frequencies_follow_zipf(self):
        X, _, truth = make_interactions(
            50_000,
            n_fields=2,
            n_categories=6,
            zipf=1.5,
            return_truth=True,
            random_state=0,
        )
        weights = [c**-1.5 for c in range(1, 7)]
        expected = np.tile(np.array(weights) / sum(weights), 2)
        assert_allclose(truth.probabilities, expected, rtol=1e-12)
        found = np.bincount(X.indices, minlength=12) / 50_000
        # Five standard deviations of a proportion.
        assert_allclose(found, expected, atol=5 * np.sqrt(0.25 / 50_000))

    def test_layout(self):
        X, y, truth = make_interactions(
            300, n_fields=6, return_truth=True, random_state=0, dtype=np.float32
        )
        assert X.dtype == np.float32
        assert X.indices.dtype == np.int32
        assert set(X.data) == {1.0}
        assert set(y) == {0, 1}
        assert X.has_canonical_format
        fields, _ = resolve_fields("auto", X)
        used = np.unique(X.indices)
        assert_array_equal(fields[used], truth.fields[used])

    def test_noise_of_classification_is_logistic(self):
        X, y, truth = make_interactions(
            40_000, noise=2.0, return_truth=True, random_state=1
        )
        scores = truth.decision_function(X)
        model = LogisticRegression(C=np.inf).fit(scores[:, None], y)
        assert model.coef_[0, 0] == pytest.approx(1 / 2.0, rel=0.1)

    def test_without_noise_the_scores_decide(self):
        X, y, truth = make_interactions(
            200, n_classes=4, noise=0, return_truth=True, random_state=1
        )
        assert_array_equal(y, truth.decision_function(X).argmax(axis=1))

    def test_reproducible_without_touching_the_global_stream(self):
        state = np.random.get_state()[1].copy()  # noqa: NPY002
        A, a = make_interactions(50, random_state=7)
        B, b = make_interactions(50, random_state=7)
        C, _ = make_interactions(50, random_state=8)
        assert (A != B).nnz == 0
        assert_array_equal(a, b)
        assert (A != C).nnz > 0
        assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002

    def test_single_category_fields(self):
        X, y = make_interactions(
            20, n_fields=3, n_categories=1, task="regression", noise=0, random_state=0
        )
        assert X.shape == (20, 3)
        assert_array_equal(y, 0)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"kind": "cubic"}, "'kind' parameter"),
            ({"n_fields": 2, "kind": "three_way"}, "needs n_fields >= 3"),
            ({"n_categories": [2, 3]}, "2 elements, but n_fields=10"),
            ({"n_categories": [0] * 10}, "positive integer"),
            ({"noise": -1}, "'noise' parameter"),
        ],
    )
    def test_errors(self, options, message):
        with pytest.raises(ValueError, match=message):
            make_interactions(10, **options)
