"""Linear weights of the columns, by name."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from .._sklearn import Interval, validate_params
from ..estimators import units
from .intervals import SampledModel, bounds, by_sample
from .reading import Model


@validate_params(
    {
        "estimator": "no_validation",
        "credible_interval": [Interval(Real, 0, 1, closed="neither"), None],
    },
    prefer_skip_nested_validation=True,
)
def linear_weights(
    estimator: Any, *, credible_interval: float | None = None
) -> pd.DataFrame:
    """Return the linear weights with the names of their columns.

    Parameters
    ----------
    estimator : estimator
        Fitted estimator, or a pipeline or search that ends in one.
    credible_interval : float, default=None
        Probability that a weight lies between "lower" and "upper", under the posterior
        of a fit by ``solver="bayes"``. None leaves these columns out.

    Returns
    -------
    DataFrame
        One row for each column of the model, in their order. The columns are:

        - output: class or number of the output, if there are several;
        - column: name of the column, as in ``column_names_``;
        - weight: linear weight, as in ``coef_``;
        - lower, upper: quantiles of the weight over the samples of the posterior, with
          equal probabilities below "lower" and above "upper".

    Raises
    ------
    AttributeError
        If the model has no linear part.
    ValueError
        If ``credible_interval`` is given and the fit was not Bayesian.

    Examples
    --------
    >>> import numpy as np
    >>> from skfm import FMRegressor
    >>> from skfm.inspection import linear_weights
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 2))
    >>> y = 2 * X[:, 0] + 0.1 * rng.normal(size=200)
    >>> model = FMRegressor(random_state=0).fit(X, y)
    >>> found = linear_weights(model, credible_interval=0.9).set_index("column")
    >>> bool(found.lower["x0"] < found.weight["x0"] < found.upper["x0"])
    True
    """
    model = Model.of(estimator)
    found = {"weight": np.atleast_2d(model.estimator.coef_).T}  # (n_columns, C)
    if credible_interval is not None:
        model = SampledModel.of_model(model)
        weights = units.linear_weights(model.network, model.estimator._scaling)
        drawn = by_sample(weights * model.scale, model.n_samples)
        found["lower"], found["upper"] = bounds(drawn, credible_interval)
    names, outputs = model.column_names(), model.output_names()
    frames = []
    for number, output in enumerate(outputs):
        own = {name: values[:, number] for name, values in found.items()}
        frames.append(pd.DataFrame({"output": output, "column": names, **own}))
    together = pd.concat(frames, ignore_index=True)
    return together.drop(columns="output") if len(outputs) == 1 else together
