"""Factorization-machine supported neural network."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from ..estimators.base import BaseModel
from ..estimators.classifier import Classifier
from ..estimators.data import FitData
from ..estimators.init_from import check_pretrained
from ..estimators.mlp_parameters import MLPParameters
from ..estimators.ranker import Ranker
from ..estimators.regressor import Regressor
from ..estimators.run import Fit, Run
from ..estimators.stochastic import StochasticFit
from ..estimators.vectors import Vectors
from ..nn.factorization import FMNetwork
from ..nn.layers import MLP
from ..nn.network import Network
from ..nn.shape import Shape
from ..persistence.records import saved
from ..sparse import FieldLookup
from ..training.solver import Unwatched


class FNNNetwork(Network[FieldLookup]):
    """Network of FNN: b + MLP([w0, z_1 .. z_F]), z_f = sum of x_i (w_i, v_i)."""

    lookup = "by_field"
    needs_fields = True
    has_linear = False

    def __init__(self, shape: Shape, **mlp: Any) -> None:
        super().__init__(shape)
        self.w0 = nn.Parameter(torch.zeros(shape.n_outputs))
        n_inputs = shape.n_outputs + shape.n_fields * self.table.width
        self.mlp = MLP(n_inputs, n_outputs=shape.n_outputs, bias=False, **mlp)

    @classmethod
    def embedding_width(cls, shape: Shape) -> int:
        return shape.n_outputs + shape.n_factors

    @property
    def linear_weights(self) -> Tensor:
        """Linear weights w_i, which are inputs of the perceptron, not a linear part."""
        return self.table.weight.factors[:, : self.shape.n_outputs]

    @property
    def factors(self) -> Tensor:
        return self.table.weight.factors[:, self.shape.n_outputs :]

    def inherit(
        self,
        source: Network,
        columns: np.ndarray,
        *,
        same_target: bool,
        units: np.ndarray | None = None,
    ) -> None:
        if not same_target or source.linear_weights is None:
            raise ValueError(
                "FNN also starts from linear weights: init_from must be a model with a "
                "linear part, such as an FM, fitted on the same kind of target."
            )
        super().inherit(source, columns, same_target=True, units=units)
        with torch.no_grad():
            self.w0.copy_(source.bias)

    def interaction(self, lookup: FieldLookup) -> Tensor:
        fields = lookup.slots.flatten(start_dim=1)  # (B, F (C + k))
        constant = self.w0.expand(fields.shape[0], -1)
        scores: Tensor = self.mlp(torch.cat([constant, fields], dim=1))
        return scores


class _FirstStage(BaseModel):
    _network_class = FMNetwork


@saved("estimator")
class _FMClassifier(Classifier, _FirstStage):
    """First-stage FM of an FNN classifier."""


@saved("estimator")
class _FMRegressor(Regressor, _FirstStage):
    """First-stage FM of an FNN regressor."""


@saved("estimator")
class _FMRanker(Ranker, _FirstStage):
    """First-stage FM of an FNN ranker."""


class _FNN(MLPParameters, BaseModel):
    _references_doc: ClassVar[str] = """
        W. Zhang, T. Du and J. Wang, "Deep Learning over Multi-field Categorical Data:
        A Case Study on User Response Prediction", ECIR 2016, arXiv:1601.02376.
        """

    _network_class = FNNNetwork
    _fm_class: ClassVar[type[BaseModel]]

    _attributes_doc: ClassVar[str] = """
        fm_ : estimator
            The factorization machine of the first stage, fitted on the same rows; or
            the model given by ``init_from``, as it was then.
        """

    def _network_options(self, *, full_batch: bool) -> dict[str, Any]:
        return self._mlp_options(full_batch)

    def _make_fit(
        self,
        data: FitData,
        held_out: FitData | None,
        run: Run,
        *,
        resume: bool,
        seed: int,
    ) -> Fit:
        if not resume:
            given = check_pretrained(self, data.n_columns)
            if isinstance(given, Vectors):
                raise ValueError(
                    "FNN also starts from linear weights, but init_from is a mapping "
                    "of vectors: fit an FM from them, and pass that."
                )
            self.fm_ = given or self._fit_fm(data, held_out, run, seed)
        return StochasticFit(
            self, data, held_out, run, resume=resume, seed=seed, source=self.fm_
        )

    def _fit_fm(
        self, data: FitData, held_out: FitData | None, run: Run, seed: int
    ) -> Any:
        """Fit the first stage with the seed and the held-out rows of the second."""
        names = self._fm_class().get_params(deep=False)
        fm = self._fm_class(**{name: getattr(self, name) for name in names})
        fm.set_params(freeze=False, init_from=None)
        fm._share_input(self)
        run = run._replace(warm=False, keep_optimizer=False)
        fit = StochasticFit(fm, data, held_out, run, resume=False, seed=seed)
        fm._keep(fit, fit.solve(Unwatched()), resume=False)
        return fm


class FNNClassifier(Classifier, _FNN):
    """Factorization-machine supported neural network classifier.

    The model is fitted in two stages (Zhang et al., ECIR 2016, section 3.1). First an
    FM is fitted, or taken from ``init_from``. Then a perceptron is trained on the FM's
    weights of each field, which are trained further with it::

        f(x) = b + MLP([w0, z_1, ..., z_F]),  z_f = sum of x_i (w_i, v_i) over field f

    Both stages have the same parameters and up to ``max_iter`` epochs each. Callbacks
    are called in the second stage. There is no linear part. The model needs fields,
    which are inferred from one-hot blocks or given by ``fields``. With more than two
    classes, w0 and w_i have a number for each class. The authors use
    ``activation="tanh"``.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    {attributes}

    See Also
    --------
    DeepFMClassifier : Trains FM and perceptron together, side by side.

    References
    ----------
    {references}

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import OneHotEncoder
    >>> from skfm import FNNClassifier
    >>> X = [["a", "x"], ["a", "y"], ["b", "x"], ["b", "y"]] * 25
    >>> y = [0, 1, 1, 0] * 25
    >>> model = make_pipeline(OneHotEncoder(), FNNClassifier(random_state=0))
    >>> model.fit(X, y).score(X, y)
    1.0
    >>> model[-1].fm_.coef_.shape
    (4,)
    """

    _fm_class = _FMClassifier


class FNNRegressor(Regressor, _FNN):
    """Factorization-machine supported neural network regressor.

    See `FNNClassifier` for the model.

    {sections}
    """

    _fm_class = _FMRegressor


class FNNRanker(Ranker, _FNN):
    """Factorization-machine supported neural network ranker.

    See `FNNClassifier` for the model.

    {sections}
    """

    _fm_class = _FMRanker
