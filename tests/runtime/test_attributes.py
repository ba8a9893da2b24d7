"""Replacement of the fitted attributes of an estimator, as a whole."""

import pytest
from sklearn.base import BaseEstimator

from skfm.runtime.attributes import publish, snapshot


class Changed(BaseEstimator):
    """An estimator that another thread changes at a given moment of `publish`."""

    before = after = None

    def __init__(self, size=1):
        self.size = size

    def __setattr__(self, name, value):
        if name != "__dict__":
            super().__setattr__(name, value)
            return
        if self.before is not None:
            self.size = self.before
        super().__setattr__(name, value)
        if self.after is not None:
            self.size = self.after


def test_fitted_attributes_are_replaced_and_parameters_kept():
    model = Changed()
    model.kept_by_no_fit_ = True
    draft = snapshot(model)
    del draft.kept_by_no_fit_
    draft.weights_, draft.size = [1.0], 5
    model.size = 3
    publish(model, draft)
    assert (model.weights_, model.size) == ([1.0], 3)
    assert not hasattr(model, "kept_by_no_fit_")


@pytest.mark.parametrize(
    ("before", "after", "expected"), [(7, None, 7), (None, 8, 8), (7, 8, 8)]
)
def test_parameters_that_are_set_at_the_same_time(monkeypatch, before, after, expected):
    """Right before or after the moment at which the attributes are replaced."""
    model = Changed()
    draft = snapshot(model)
    draft.weights_ = [1.0]
    monkeypatch.setattr(Changed, "before", before)
    monkeypatch.setattr(Changed, "after", after)
    publish(model, draft)
    assert model.size == expected
    assert model.weights_ == [1.0]
