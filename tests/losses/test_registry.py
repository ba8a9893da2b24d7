"""Losses by name: the choices of the estimators are the registry's."""

import pytest
from estimator_cases import LABELS, NUMBERS, X, make

import skfm
from skfm import losses
from skfm.losses.registry import register

PARAMETERS = {
    "epsilon": 0.5,
    "quantile": 0.8,
    "power": 1.7,
    "n_pairs": 3,
    "n_ranks": 7,
    "scoring": "ndcg",
}


@pytest.mark.parametrize(
    ("target", "cls"),
    [
        ("numbers", skfm.FMRegressor),
        ("binary", skfm.FMClassifier),
        ("relevance", skfm.FMRanker),
    ],
)
def test_estimators_offer_the_registered_names(target, cls):
    choices = cls._parameter_constraints["loss"][0].options
    assert choices - {"auto"} == set(losses.loss_names(target))
    assert cls().loss in choices


def test_classifiers_learn_every_loss_from_every_kind_of_labels():
    names = losses.loss_names("binary")
    assert names == losses.loss_names("multilabel")
    assert set(names) == set(losses.loss_names("multiclass"))


@pytest.mark.parametrize(
    "target", ["numbers", "binary", "multiclass", "multilabel", "relevance"]
)
def test_a_loss_takes_its_own_parameters(target):
    for name in losses.loss_names(target):
        loss = losses.make_loss(name, target, 3, PARAMETERS)
        assert type(loss) is losses.loss_class(name, target)
        expected = {**PARAMETERS, "n_outputs": 3}
        for parameter in loss.parameters:
            assert getattr(loss, parameter) == expected[parameter]


def test_a_function_is_a_loss():
    def function(scores, target):
        return (scores - target).square().mean(dim=1)

    for target, dtype in (("numbers", "float"), ("multiclass", "int")):
        loss = losses.make_loss(function, target, 2)
        assert type(loss) is losses.loss_class(function, target)
        assert (loss.function, loss.n_outputs) == (function, 2)
        assert loss.target_dtype == dtype


def test_a_name_is_taken_once():
    with pytest.raises(ValueError, match="'poisson' for numbers targets exists"):
        register("poisson", "numbers")(losses.SquaredError)
    assert losses.loss_class("poisson", "numbers") is losses.Poisson


def test_positive_targets_are_declared_in_tags():
    for name in losses.loss_names("numbers"):
        tags = skfm.FMRegressor(loss=name).__sklearn_tags__()
        positive = name in ("poisson", "gamma", "tweedie")
        assert tags.target_tags.positive_only == positive


def test_unknown_names_leave_an_estimator_usable_until_fit():
    regressor, classifier = (
        make(cls, loss="cubic") for cls in (skfm.FMRegressor, skfm.FMClassifier)
    )
    assert not regressor.__sklearn_tags__().target_tags.positive_only
    assert not hasattr(classifier, "predict_proba")
    for model, y in ((regressor, NUMBERS), (classifier, LABELS)):
        with pytest.raises(ValueError, match="'loss' parameter"):
            model.fit(X, y)
