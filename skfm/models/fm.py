"""Factorization machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ..estimators.base import BaseModel
from ..estimators.classifier import Classifier
from ..estimators.ranker import Ranker
from ..estimators.regressor import Regressor
from ..estimators.uncertainty import SampledPredictions, SampledRegressor
from ..runtime.lazy import on_first_use

if TYPE_CHECKING:
    from ..nn.network import Network


class _FM(BaseModel):
    _references_doc: ClassVar[str] = """
        S. Rendle, "Factorization Machines", ICDM 2010.

        C. Freudenthaler, L. Schmidt-Thieme and S. Rendle, "Bayesian Factorization
        Machines", NIPS Workshop on Sparse Representation, 2011.

        N. G. Polson, J. G. Scott and J. Windle, "Bayesian Inference for Logistic Models
        Using Polya-Gamma Latent Variables", JASA 2013.
        """

    @on_first_use
    def _network_class() -> type[Network]:
        # The Bayesian solver needs neither it nor torch.
        from ..nn.factorization import FMNetwork

        return FMNetwork

    def _needs_fields(self) -> bool:
        # As the network says, which need not be imported for it.
        return False


class FMClassifier(Classifier, SampledPredictions, _FM):
    """Factorization machine classifier.

    Scores are the sum of a linear part and of all pairwise interactions. The weight of
    a pair is the inner product of two learned vectors, so that it can be estimated even
    for pairs that never occur together (Rendle, ICDM 2010, equation 1)::

        f(x) = w0 + sum_i w_i x_i + sum_{i<j} <v_i, v_j> x_i x_j

    Scores are computed in O(non-zeros x k).

    By default the model is Bayesian: samples of its posterior are drawn by blocked
    Gibbs sampling, with nothing to tune, and their predicted probabilities are
    averaged. ``decision_function`` returns the log odds of the averaged probabilities.
    ``coef_`` and ``intercept_`` are posterior means. ``factors_`` holds the factors of
    all samples side by side, divided by the square root of their number. The factors of
    two samples may be rotated against each other and are not averaged. The inner
    product of the rows of two columns is the posterior mean of their interaction. Each
    class has factors of its own.

    With ``solver="sgd"``, one model is trained by stochastic gradients. With more than
    two classes, the classes share the embeddings, and each class has a weight for each
    factor: <v_i, v_j> becomes sum_f h_cf v_if v_jf.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    {attributes}

    See Also
    --------
    FMRegressor : The same model for regression.
    DeepFMClassifier : Adds a multi-layer perceptron on the same embeddings.

    References
    ----------
    {references}

    Examples
    --------
    XOR of two categories, which no linear model can learn:

    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import OneHotEncoder
    >>> from skfm import FMClassifier
    >>> X = [["a", "x"], ["a", "y"], ["b", "x"], ["b", "y"]] * 25
    >>> y = [0, 1, 1, 0] * 25
    >>> model = make_pipeline(OneHotEncoder(), FMClassifier(random_state=0))
    >>> model.fit(X, y).score(X, y)
    1.0
    """


class FMRegressor(SampledRegressor, Regressor, _FM):
    """Factorization machine regressor.

    See `FMClassifier` for the model and its solvers. ``predict(X)`` is ``intercept_ + X
    @ coef_`` plus ``y_scale_`` times the pairwise terms of ``factors_``. Fitted by the
    Bayesian solver, ``predict(X, return_std=True)`` and `predict_quantiles` return the
    uncertainty of the predictions. Several outputs share their embeddings with
    ``solver="sgd"`` only.

    {sections}
    """


class FMRanker(Ranker, _FM):
    """Factorization machine ranker.

    See `FMClassifier` for the model.

    {sections}
    """
