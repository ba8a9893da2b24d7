"""Models learn the functions that they can express, and no others."""

import numpy as np
import pytest
import torch
from common_cases import CLASSIFIERS, ESTIMATORS, REGRESSORS, one_hot
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, mean_squared_error, r2_score

import skfm
from skfm.data.csr import canonical_csr
from skfm.data.rows import Rows

INTERACTION_DROPOUT = {
    E: {"interaction_dropout": 0.2} for E in (skfm.NFMClassifier, skfm.NFMRegressor)
}
every_estimator = pytest.mark.parametrize("E", ESTIMATORS, ids=lambda E: E.__name__)
# Those with a linear part of their own.
every_linear = pytest.mark.parametrize(
    "E",
    [E for E in ESTIMATORS if E._network_class.has_linear],
    ids=lambda E: E.__name__,
)
every_classifier = pytest.mark.parametrize("E", CLASSIFIERS, ids=lambda E: E.__name__)
every_regressor = pytest.mark.parametrize("E", REGRESSORS, ids=lambda E: E.__name__)


@pytest.fixture(scope="module")
def factorized():
    """An FM's scores, without noise: two factors, three fields of 8 categories."""
    X, _ = one_hot(2000, (8, 8, 8), seed=1)
    rng = np.random.default_rng(2)
    V, w = rng.normal(size=(24, 2)), 0.5 * rng.normal(size=24)
    total = X @ V
    y = 3 + X @ w + 0.5 * (total**2 - X.multiply(X) @ V**2).sum(axis=1)
    return X, y


@pytest.fixture(scope="module")
def xor():
    X, cells = one_hot(200, (2, 2))
    return X, cells.sum(axis=1) % 2


@pytest.fixture(scope="module")
def parity():
    X, cells = one_hot(400, (2, 2, 2))
    return X, cells.sum(axis=1) % 2


class TestWhatCanBeExpressed:
    def test_fm_recovers_planted_factors(self, factorized):
        X, y = factorized
        model = skfm.FMRegressor(n_factors=2, alpha_factors=0, random_state=0)
        model.set_params(alpha_linear=0, learning_rate=0.2, max_iter=60)
        model.fit(X[:1500], y[:1500])
        assert r2_score(y[1500:], model.predict(X[1500:])) > 0.95
        linear = skfm.FMRegressor(init_scale=0, random_state=0).fit(X[:1500], y[:1500])
        assert r2_score(y[1500:], linear.predict(X[1500:])) < 0.5

    @every_classifier
    def test_xor_of_two_categories(self, E, xor):
        X, y = xor
        assert LogisticRegression().fit(X, y).score(X, y) < 0.7
        assert E(random_state=0).fit(X, y).score(X, y) == 1

    @pytest.mark.parametrize("E", [skfm.DeepFMClassifier, skfm.NFMClassifier])
    def test_parity_of_three_categories(self, E, parity):
        X, y = parity
        model = E(n_factors=8, network_learning_rate=0.01, random_state=0)
        assert model.fit(X, y).score(X, y) == 1

    def test_fm_cannot_learn_parity_of_three_categories(self, parity):
        """Pairs carry no information on it, so the log loss stays at chance."""
        X, y = parity
        model = skfm.FMClassifier(alpha_factors=0.0, random_state=0).fit(X, y)
        assert log_loss(y, model.predict_proba(X)) > 0.6
        assert model.score(X, y) < 0.7

    def test_afm_attends_to_the_planted_pair(self):
        X, cells = one_hot(1500, (4, 4, 4, 4), seed=3)
        y = (cells[:, 1] % 2 == cells[:, 3] % 2).astype(int)
        model = skfm.AFMClassifier(random_state=0, max_iter=60, n_members=1).fit(X, y)
        batch = Rows(canonical_csr(X), model.network_.shape.dtype).span(0, 1500)
        lookup = model.network_.table.look_up(batch)
        with torch.no_grad():
            _, attention = model.network_.attention(lookup.slots, lookup.lengths)
        first, second = np.triu_indices(4, 1)
        planted = (first == 1) & (second == 3)
        weights = attention.mean(dim=0).numpy()
        assert weights[planted] > 2 * weights[~planted].max()

    @every_classifier
    def test_three_classes(self, E):
        """The class is the sum of two digits modulo three: pairs alone tell it."""
        X, cells = one_hot(450, (3, 3), seed=4)
        y = np.array(["zero", "one", "two"])[cells.sum(axis=1) % 3]
        model = E(random_state=0, network_learning_rate=0.01).fit(X, y)
        assert list(model.classes_) == ["one", "two", "zero"]
        assert model.score(X, y) == 1

    @every_regressor
    def test_several_outputs(self, E):
        """Different pairs, on scales far apart; the middle one is linear."""
        X, cells = one_hot(400, (2, 2, 2), seed=5)
        a, b, c = 2 * cells.T - 1
        Y = np.column_stack([a * b, 100 + 20 * c, 1e-3 * b * c])
        model = E(random_state=0, network_learning_rate=0.01).fit(X, Y)
        scores = r2_score(Y, model.predict(X), multioutput="raw_values")
        assert np.all(scores > 0.9), scores


class TestTraining:
    @pytest.mark.parametrize(
        ("E", "options"),
        [(E, {}) for E in ESTIMATORS]
        # With dropout: without, a norm undoes the shift of the norm before it.
        + [
            (E, {"batch_norm": True, "dropout": 0.2} | INTERACTION_DROPOUT.get(E, {}))
            for E in ESTIMATORS
            if hasattr(E, "batch_norm")
        ],
    )
    def test_every_array_moves(self, E, options, click_data):
        """From the start of a fit to its end, whatever claims to be a parameter."""
        X, y = click_data

        def arrays(**parameters):
            model = E(random_state=0, n_members=1, **parameters, **options)
            return model.fit(X, y).network_.arrays()

        start = arrays(max_iter=1, learning_rate=1e-9, network_learning_rate=1e-9)
        end = arrays(max_iter=3)
        assert end.keys() == start.keys()
        for name in end:
            if name.endswith("num_batches_tracked"):
                # torch counts batches for an averaging that is not used.
                continue
            assert np.abs(end[name] - start[name]).max() > 1e-4, name
        # Every column has entries, so every row of the table moves.
        assert np.abs(end["factors"] - start["factors"]).max(axis=1).min() > 1e-4

    @every_estimator
    def test_loss_falls_on_easy_data(self, E, xor):
        X, y = xor
        model = E(
            random_state=0, max_iter=60, alpha_factors=0, early_stopping=False
        ).fit(X, y)
        curve = model.loss_curve_
        assert len(curve) == 60
        assert curve[-1] < 0.1 * curve[0]
        assert np.mean(curve[:20]) > np.mean(curve[20:40])

    @every_estimator
    def test_more_penalty_shorter_factors(self, E, click_data):
        X, y = click_data
        options = {"random_state": 0, "max_iter": 30, "early_stopping": False}
        sizes = [
            np.linalg.norm(E(alpha_factors=a, **options).fit(X, y).factors_)
            for a in (0, 0.1, 10)
        ]
        assert sizes[0] > 1.1 * sizes[1] > 1.1 * sizes[2]

    @every_linear
    def test_more_penalty_smaller_linear_weights(self, E, factorized):
        X, y = factorized[0][:300], factorized[1][:300] > 3
        sizes = [
            np.linalg.norm(
                E(alpha_linear=a, random_state=0, max_iter=20).fit(X, y).coef_
            )
            for a in (0, 0.5, 10)
        ]
        assert sizes[0] > 1.1 * sizes[1] > 1.1 * sizes[2]

    def test_without_initial_factors_fm_stays_linear(self, xor):
        """V = 0 is a saddle point; near it, leaving takes long."""
        X, y = xor
        at = skfm.FMClassifier(init_scale=0, random_state=0).fit(X, y)
        assert not at.factors_.any()
        assert at.score(X, y) < 0.7
        near, away = (
            skfm.FMClassifier(
                init_scale=scale, optimizer="sgd", max_iter=20, random_state=0
            ).fit(X, y)
            for scale in (1e-6, 0.5)
        )
        assert near.loss_curve_[-1] > 0.68
        assert away.loss_curve_[-1] < near.loss_curve_[-1] - 0.05


class TestEarlyStopping:
    @staticmethod
    def noise(seed):
        X, _ = one_hot(300, (20, 20, 20), seed=seed)
        return X, np.random.default_rng([seed, 1]).integers(2, size=300)

    @staticmethod
    def loss(model, X, y, weight):
        if hasattr(model, "predict_proba"):
            return log_loss(y, model.predict_proba(X), sample_weight=weight)
        error = mean_squared_error(y, model.predict(X), sample_weight=weight)
        return 0.5 * error / model.y_scale_[0] ** 2

    @every_estimator
    def test_keeps_the_best_epoch(self, E):
        """On pure noise more epochs hurt, so the best one is not the last."""
        X, y = self.noise(6)
        X_val, y_val = self.noise(7)
        weight = np.random.default_rng(8).uniform(0.5, 2, size=300)
        model = E(random_state=0, max_iter=40, batch_size=50, n_iter_no_change=5)
        by_field = E._network_class.needs_fields
        fields = {"fields": [20, 20, 20]} if by_field else {}
        model.set_params(**fields).fit(
            X, y, X_val=X_val, y_val=y_val, sample_weight_val=weight
        )
        scores = model.validation_scores_
        assert model.best_iter_ == np.argmax(scores) + 1
        assert model.best_iter_ < model.n_iter_ == len(scores) < 40
        assert model.n_iter_ - model.best_iter_ == 5
        assert np.isclose(-self.loss(model, X_val, y_val, weight), max(scores))

    def test_a_recovery_short_of_the_best_is_not_kept(self):
        """Steps this long make the held-out loss fall and rise again and again."""
        X, cells = one_hot(300, (4, 4, 4), seed=3)
        flip = np.random.default_rng(0).random(300) < 0.25
        y = (cells[:, 0] % 2 == cells[:, 1] % 2) ^ flip
        model = skfm.FMClassifier(optimizer="sgd", learning_rate=1.0, batch_size=5)
        model.set_params(alpha_factors=0.01, n_iter_no_change=8, random_state=0)
        model.fit(X[:150], y[:150], X_val=X[150:], y_val=y[150:])
        scores = model.validation_scores_
        assert np.any(np.diff(scores)[model.best_iter_ :] > 0)
        assert model.best_iter_ == np.argmax(scores) + 1
        loss = log_loss(y[150:], model.predict_proba(X[150:]))
        assert np.isclose(-loss, max(scores))

    @every_linear
    def test_held_out_rows_are_not_learned_from(self, E):
        """The share of the rows left for training shows in the columns learned."""
        X, y = np.eye(300), np.arange(300) % 2
        by_field = E._network_class.needs_fields
        fields = {"fields": [300]} if by_field else {}
        model = E(early_stopping=True, validation_fraction=0.2, max_iter=2, **fields)
        model.set_params(random_state=0, n_members=1).fit(X, y)
        learned = model.factors_.any(axis=1)
        assert learned.sum() == 240
        assert np.array_equal(model.coef_ != 0, learned)

    @pytest.mark.parametrize(("n_rows", "stops"), [(63, False), (64, True)])
    def test_auto_is_on_above_a_full_batch(self, n_rows, stops):
        X, cells = one_hot(n_rows, (3, 3))
        model = skfm.FMClassifier(max_iter=1, solver="sgd", random_state=0)
        model.fit(X, cells[:, 0] == cells[:, 1])
        assert bool(model.validation_scores_) == stops
