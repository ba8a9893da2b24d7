"""The attributes of a fitted estimator."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from .learner import OptimizerState
from .network import Network


class Fitted:
    """Types of the attributes that fit sets (apart, as they are no parameters)."""

    network_: Network
    fields_: np.ndarray | None
    field_names_: list[str] | None
    loss_curve_: list[float]
    validation_scores_: list[float]
    n_iter_: int
    best_iter_: int
    n_features_in_: int
    _seen_columns: np.ndarray
    _optimizer_state: OptimizerState | None

    _attributes_doc: ClassVar[str] = """
        intercept_ : float or ndarray of shape (n_outputs,)
            Bias of the scores; for regressors in units of y.
        coef_ : ndarray of shape (n_features,) or (n_outputs, n_features)
            Linear weights; for regressors in units of y.
        factors_ : ndarray of shape (n_features, n_factors)
            Embeddings; for regressors, of the standardised target. Columns without an
            entry in the training rows have zeros.
        network_ : torch.nn.Module
            The trained network, on the device of the fit; pickled as NumPy arrays.
        n_iter_ : int
            Epochs run.
        best_iter_ : int
            The epoch whose weights were kept.
        loss_curve_ : list of float
            Mean training loss during each epoch, without penalty.
        validation_scores_ : list of float
            Minus the mean loss on the held-out rows after each epoch; empty without.
        fields_ : ndarray of shape (n_features,) or None
            Field of each column; None where the model needs none and none were given.
        field_names_ : list of str or None
            Their names.
        n_features_in_ : int
            Number of columns seen in `fit`.
        feature_names_in_ : ndarray of shape (n_features_in_,)
            Names of the columns, where X had names that are all strings.
        """

    def _output_scale(self) -> tuple[np.ndarray, np.ndarray]:
        """Factor and shift, each (n_outputs,), from raw scores to y's units."""
        n_outputs = self.network_.shape.n_outputs
        return np.ones(n_outputs), np.zeros(n_outputs)

    def _attribute(self, values: Any) -> np.ndarray:
        """A float array of its own, without the axis of a single output."""
        array = np.array(values.detach().cpu().numpy())
        return array[..., 0] if self.network_.shape.n_outputs == 1 else array

    @property
    def intercept_(self) -> Any:
        """Bias, float or ndarray of shape (n_outputs,), in units of the prediction."""
        scale, shift = self._output_scale()
        intercept = self._attribute(self.network_.bias) * scale.squeeze()
        return intercept + shift.squeeze()

    @property
    def coef_(self) -> np.ndarray:
        """Linear weights, (n_features,) or (n_outputs, n_features)."""
        table = self.network_.table
        scale, _ = self._output_scale()
        linear = table.weight[:, : table.n_linear].T.detach().cpu().numpy()
        coef = linear * scale[:, None]
        return coef[0] if len(coef) == 1 else coef

    @property
    def factors_(self) -> np.ndarray:
        """Embeddings of the columns, (n_features, n_factors)."""
        table = self.network_.table
        return np.array(table.weight[:, table.n_linear :].cpu().numpy())
