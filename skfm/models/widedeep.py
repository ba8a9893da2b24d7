"""Wide & Deep."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from torch import Tensor

from ..encoding.selection import column_mask
from ..estimators.base import BaseModel
from ..estimators.classifier import Classifier
from ..estimators.mlp_parameters import MLPParameters
from ..estimators.params import param
from ..estimators.ranker import Ranker
from ..estimators.regressor import Regressor
from ..fields.layout import column_names
from ..nn.layers import MLP
from ..nn.network import Network
from ..nn.shape import Shape
from ..sparse import FieldLookup


class WideDeepNetwork(Network[FieldLookup]):
    """Network of Wide & Deep: a linear part on wide columns, an MLP on deep columns."""

    lookup = "by_field"
    needs_fields = True

    def __init__(
        self,
        shape: Shape,
        *,
        wide_columns: np.ndarray | None,
        deep_columns: np.ndarray | None,
        **mlp: Any,
    ) -> None:
        super().__init__(shape)
        assert shape.fields is not None
        self.without_linear = None if wide_columns is None else ~wide_columns
        self.without_factors = None if deep_columns is None else ~deep_columns
        used = shape.fields if deep_columns is None else shape.fields[deep_columns]
        #: Fields that have a deep column; the perceptron reads no others.
        self.deep_fields = np.unique(used).tolist()
        n_inputs = len(self.deep_fields) * shape.n_factors
        self.mlp = MLP(n_inputs, n_outputs=shape.n_outputs, bias=False, **mlp)

    def interaction(self, lookup: FieldLookup) -> Tensor:
        fields = lookup.slots  # (B, F, k)
        if len(self.deep_fields) < fields.shape[1]:
            fields = fields[:, self.deep_fields]
        scores: Tensor = self.mlp(fields.flatten(start_dim=1))
        return scores


class _WideDeep(MLPParameters, BaseModel):
    wide_columns: Any = param(
        default=None,
        valid=["array-like", None],
        doc="""array-like of bool, int or str, or None
            Columns of X that have linear weights, as a mask, indices or names. None
            means all. Crosses of features are usually listed here and not in
            ``deep_columns``.""",
    )
    deep_columns: Any = param(
        default=None,
        valid=["array-like", None],
        doc="""array-like of bool, int or str, or None
            Columns of X that have embeddings, which the perceptron reads, as a mask,
            indices or names. None means all. Columns in neither list have no
            effect.""",
    )

    _references_doc: ClassVar[str] = """
        H.-T. Cheng et al., "Wide & Deep Learning for Recommender Systems", DLRS 2016,
        arXiv:1606.07792.
        """

    _network_class = WideDeepNetwork

    def _network_options(self, *, full_batch: bool) -> dict[str, Any]:
        wide, deep = self._chosen("wide_columns"), self._chosen("deep_columns")
        if deep is not None and not deep.any():
            raise ValueError(
                "deep_columns selects no column, and without a deep part the model is "
                "linear: select columns, or use LogisticRegression or Ridge."
            )
        columns = {"wide_columns": wide, "deep_columns": deep}
        return {**columns, **self._mlp_options(full_batch)}

    def _chosen(self, parameter: str) -> np.ndarray | None:
        """Return the mask of the columns that a parameter selects; None for all."""
        chosen = getattr(self, parameter)
        if chosen is None:
            return None
        named = hasattr(self, "feature_names_in_")
        names = (
            list(self.feature_names_in_) if named else column_names(self.n_features_in_)
        )
        mask = column_mask(chosen, names, named, parameter)
        # A column of a table selects all columns that it is encoded to.
        return mask if self._codec is None else self._codec.spread(mask)


class WideDeepClassifier(Classifier, _WideDeep):
    """Wide & Deep classifier: a linear model beside a perceptron on embeddings.

    Let e_f be the sum of ``x_i v_i`` over the columns of field f (Cheng et al., DLRS
    2016, equation 3)::

        f(x) = w0 + sum_i w_i x_i + MLP([e_1, ..., e_F])

    The linear part memorizes single columns, above all crosses of features; the deep
    part generalizes. ``wide_columns`` and ``deep_columns`` are the columns that each
    part reads; by default both read all columns. The model needs fields, which are
    inferred from one-hot blocks or given by ``fields``. Fields without deep columns are
    left out of the perceptron.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    {attributes}

    See Also
    --------
    DeepFMClassifier : Learns the interactions of pairs that are crossed by hand here.

    References
    ----------
    {references}

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import OneHotEncoder
    >>> from skfm import WideDeepClassifier
    >>> X = [["a", "x"], ["a", "y"], ["b", "x"], ["b", "y"]] * 25
    >>> y = [0, 1, 1, 0] * 25
    >>> model = make_pipeline(OneHotEncoder(), WideDeepClassifier(random_state=0))
    >>> model.fit(X, y).score(X, y)
    1.0

    Keep a crossed column to the linear part:

    >>> X = [[a, b, a + b] for a, b in X]
    >>> encode = (
    ...     OneHotEncoder()
    ...     .set_output(transform="pandas")
    ...     .set_params(sparse_output=False)
    ... )
    >>> X = encode.fit_transform(X)
    >>> crossed = [name for name in X if name.startswith("x2")]
    >>> single = [name for name in X if not name.startswith("x2")]
    >>> model = WideDeepClassifier(wide_columns=crossed, deep_columns=single)
    >>> model.set_params(fields=[2, 2, 4]).fit(X, y).coef_[:4]
    array([0., 0., 0., 0.])
    """


class WideDeepRegressor(Regressor, _WideDeep):
    """Wide & Deep regressor: a linear model beside a perceptron on embeddings.

    See `WideDeepClassifier` for the model.

    {sections}
    """


class WideDeepRanker(Ranker, _WideDeep):
    """Wide & Deep ranker: a linear model beside a perceptron on embeddings.

    See `WideDeepClassifier` for the model.

    {sections}
    """
