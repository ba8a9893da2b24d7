"""The attributes of a fitted estimator that users read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ..encoding import CrossInfo
from ..runtime.attributes import on_snapshot
from . import units
from .checks import finite_scores
from .fitted_state import FittedState
from .importances import feature_importances
from .summary import summarize, weights_table

if TYPE_CHECKING:
    from ..nn.network import Network


class Fitted(FittedState):
    """The attributes that fit sets (apart, as they are no parameters)."""

    _attributes_doc: ClassVar[str] = """
        intercept_ : float or ndarray of shape (n_outputs,)
            Bias of the scores; for regressors in units of y.
        coef_ : ndarray of shape (n_columns,) or (n_outputs, n_columns)
            Linear weights, in units of the columns; for regressors in units of y. The
            columns are those of X, or those that a table was encoded to. AttributeError
            where the model has no linear part.
        factors_ : ndarray of shape (n_columns, n_factors)
            Embeddings, in units of the columns; for regressors, of the standardised
            target. Columns without an entry in the training rows have zeros, or what
            ``init_from`` learnt. (n_columns, n_fields, n_factors) in a field-aware
            model.
        column_centers_, column_scales_ : ndarray of shape (n_columns,)
            The network reads ``(x - column_centers_) / column_scales_``, so that no
            result depends on the unit of a column. The scale is the root mean square
            of the entries, 1 for one-hot columns and for those of encoded tables. A
            column whose entries vary and whose mean exceeds its standard deviation is
            centered, and the scale is its standard deviation; the other centers are 0.
            Interactions are those of the centered values, but for factorization
            machines, of which ``intercept_`` and ``coef_`` contain what the centers
            add. The columns of a field of several columns share a scale, which is 1 if
            their largest entry is, and are not centered.
        network_ : torch.nn.Module
            The trained network, on the device of the fit; pickled as NumPy arrays.
        n_members_ : int
            Number of networks whose raw scores are averaged. ``coef_`` and
            ``intercept_`` are means over them. ``factors_`` has the factors of all side
            by side, divided by the square root of their number, so that the inner
            product of two rows is the mean of the members' inner products.
        members_ : list of dict
            "loss_curve", "validation_scores" and "best_iter" of each network, if there
            are several.
        n_parameters_ : int
            Number of weights of the network; of all members, or of all samples of a
            Bayesian fit, together.
        n_iter_ : int
            Epochs run, or iterations of each chain.
        best_iter_ : int
            The epoch whose weights were kept; of several networks, the last such epoch.
        loss_curve_ : list of float
            Mean training loss during each epoch, without penalty. Of several networks,
            the mean, in which one that has stopped counts as it was at its best epoch.
        validation_scores_ : list of float
            ``scoring`` of the held-out rows after each epoch, or the mean of those of
            several networks; empty without such rows.
        fields_ : ndarray of shape (n_columns,) or None
            Field of each column; None where the model needs none and none were given.
        field_names_ : list of str or None
            Their names; those of the columns, where a table was encoded.
        column_names_ : ndarray of shape (n_columns,)
            Names of the columns that ``coef_``, ``factors_`` and ``fields_`` count: as
            ``FieldEncoder.get_feature_names_out()`` where a table was encoded, else
            those of X, or ``x0``, ``x1``, ...
        crosses_ : list of CrossInfo
            The crosses of columns that were added: name, columns, kind, number of
            levels, gain, variance and z, in the order in which they were found.
        feature_importances_ : ndarray of shape (`n_features_in_`,)
            Share of each feature of X, as it was given, in the variance of the raw
            scores, alone and together with others: its total effect (Homma and
            Saltelli, 1996), divided by their sum. The features are taken as independent
            of each other, each as frequent as in training. Exact for an FM on a matrix;
            otherwise estimated from up to 4,000 rows that are drawn so, always the same
            ones, for up to 2,000 features. Computed when it is read.
        n_features_in_ : int
            Number of columns of X seen in `fit`; a table is counted before it is
            encoded.
        feature_names_in_ : ndarray of shape (`n_features_in_`,)
            Names of the columns, where X had names that are all strings.
        """

    def _single_network(self, number: int = 0) -> Network:
        """The network that a member goes on from, after a warm start or ``init_from``.

        Another model may have fewer members than ``number``.
        """
        network: Any = self.network_
        n_members = network.shape.n_members
        return network if n_members == 1 else network.member(number % n_members)

    def _output_scale(self) -> tuple[np.ndarray, np.ndarray]:
        """Factor and shift, each (n_outputs,), from raw scores to y's units."""
        n_outputs = self._scorer.shape.n_outputs
        return np.ones(n_outputs), np.zeros(n_outputs)

    def _rescaled(self, scores: np.ndarray, called: str) -> np.ndarray:
        """Return numbers (n_rows, ..., n_outputs) in y's units, refusing overflow."""
        scale, shift = self._output_scale()
        with np.errstate(over="ignore"):
            return finite_scores(scores * scale + shift, called)

    @property
    @on_snapshot
    def intercept_(self) -> Any:
        """Bias, float or ndarray of shape (n_outputs,), in units of the prediction."""
        return self._in_output_units(units.intercept(self._scorer, self._scaling))

    @property
    @on_snapshot
    def _bias(self) -> np.ndarray:
        """Score of a row without entries, (n_outputs,), in units of the prediction."""
        return np.atleast_1d(self._in_output_units(units.intercept(self._scorer, None)))

    def _in_output_units(self, constant: np.ndarray) -> Any:
        """Return constant raw scores in units of y, without a single output's axis."""
        scale, shift = self._output_scale()
        scaled = constant * scale + shift
        return scaled[0] if len(scaled) == 1 else scaled

    @property
    @on_snapshot
    def coef_(self) -> np.ndarray:
        """Linear weights, (n_columns,) or (n_outputs, n_columns)."""
        weights = units.linear_weights(self._scorer, self._scaling)
        if weights is None:
            raise AttributeError(
                f"{type(self).__name__} has no linear part, hence no coef_."
            )
        scale, _ = self._output_scale()
        coef = weights.T * scale[:, None]
        return coef[0] if len(coef) == 1 else coef

    @property
    @on_snapshot
    def column_names_(self) -> np.ndarray:
        """Names of the columns of ``coef_`` and ``factors_``, (n_columns,)."""
        if self._codec is not None:
            return self._codec.column_names()
        if hasattr(self, "feature_names_in_"):
            return self.feature_names_in_
        names = [f"x{j}" for j in range(self.n_features_in_)]
        return np.array(names, dtype=object)

    @property
    @on_snapshot
    def crosses_(self) -> list[CrossInfo]:
        """The crosses of columns that were added to the table."""
        codec = self._codec
        return [] if codec is None else codec.crosses.describe(codec.blocks)

    @property
    @on_snapshot
    def factors_(self) -> np.ndarray:
        """Embeddings of the columns, (n_columns, n_factors)."""
        return units.factors(self._scorer, self._scaling)

    @property
    @on_snapshot
    def column_centers_(self) -> np.ndarray:
        """Values that the network subtracts from those of each column, (n_columns,)."""
        n_columns = self._scorer.shape.n_columns
        known = self._scaling
        return np.zeros(n_columns) if known is None else known.center.copy()

    @property
    @on_snapshot
    def column_scales_(self) -> np.ndarray:
        """Values that the network divides those of each column by, (n_columns,)."""
        n_columns = self._scorer.shape.n_columns
        known = self._scaling
        return np.ones(n_columns) if known is None else known.scale.copy()

    @property
    def n_members_(self) -> int:
        """Number of networks whose raw scores are averaged."""
        return self._scorer.shape.n_members

    @property
    def n_parameters_(self) -> int:
        """Number of weights of the network, of all members and samples together."""
        return int(weights_table(self._scorer)["parameters"].sum())

    @on_snapshot
    def summary(self) -> str:
        """Describe the fitted model in some lines: data, iterations, loss, weights.

        Returns
        -------
        str
            Text to print.

        Raises
        ------
        NotFittedError
        """
        check_is_fitted(self)
        return summarize(self)

    @property
    @on_snapshot
    def feature_importances_(self) -> np.ndarray:
        """Total effect of each feature on the scores, (``n_features_in_``,), sum 1."""
        return feature_importances(self)


class FittedTarget:
    """Types of the attributes that the tasks set."""

    classes_: np.ndarray
    _class_weights: np.ndarray | None
    _multilabel: bool
    _sparse_labels: bool
    y_mean_: np.ndarray
    y_scale_: np.ndarray
    #: Targets of a stream and their weights, until there are enough for its units.
    _first_targets: tuple[np.ndarray, np.ndarray] | None
    #: Meaning of the raw scores, equal in two models whose bias can be exchanged.
    _score_kind: tuple[Any, ...]
