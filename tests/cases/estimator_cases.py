"""Data, estimators and callbacks that the tests of public behaviour share."""

import numpy as np
from common_cases import one_hot
from sklearn.base import is_classifier

SIZES = (4, 5, 3)
X, CELLS = one_hot(120, SIZES)
LABELS = (CELLS[:, 0] % 2 == CELLS[:, 1] % 2).astype(int)
NUMBERS = np.where(LABELS, 3.0, -1.0) + CELLS[:, 2]


def make(cls, **parameters):
    """An unfitted estimator that trains in milliseconds, on all rows as they are."""
    cheap = {"max_iter": 3, "n_factors": 4, "batch_size": 32, "random_state": 0}
    plain = {"early_stopping": False, "crosses": None, "n_members": 1}
    return cls(**cheap | plain | parameters)


def target(cls):
    """A target that suits the class."""
    return LABELS if is_classifier(cls()) else NUMBERS


def fitted(cls, **parameters):
    """An estimator fitted on X and its target."""
    return make(cls, **parameters).fit(X, target(cls))


def scores(model, data=X):
    """Return the raw scores of a classifier, or the predictions of a regressor."""
    return (
        model.decision_function(data) if is_classifier(model) else model.predict(data)
    )


def partial_fit(model, data=X, y=None, **keywords):
    """A partial_fit that also serves as the first call of a classifier."""
    y = target(type(model)) if y is None else y
    if is_classifier(model) and not hasattr(model, "classes_"):
        keywords.setdefault("classes", np.unique(y))
    return model.partial_fit(data, y, **keywords)


class Recorder:
    """Records every hook, and calls ``on_epoch(number)`` after each epoch.

    What ``on_epoch`` returns tells the fit whether to stop.
    """

    def __init__(self, on_epoch=None):
        self.on_epoch = on_epoch
        self.begun, self.ended, self.estimators = [], [], []
        self.set_up = self.torn_down = 0

    def setup(self, estimator, context):
        self.set_up += 1

    def teardown(self, estimator, context):
        self.torn_down += 1

    def on_fit_task_begin(self, estimator, context):
        self.begun.append((context.task_name, context.task_id))

    def on_fit_task_end(self, estimator, context, *, fitted_estimator):
        self.ended.append((context.task_name, context.task_id))
        self.estimators.append(fitted_estimator)
        if self.on_epoch is not None and context.task_name == "epoch":
            return self.on_epoch(context.task_id + 1)
        return None


def raise_after(epoch, error=KeyboardInterrupt):
    """For `Recorder`: an exception in the hook that ends an epoch."""

    def on_epoch(number):
        if number == epoch:
            raise error

    return on_epoch
