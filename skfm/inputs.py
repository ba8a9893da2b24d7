"""From what users pass to what training takes: checked, encoded, canonical."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import numpy as np
from sklearn.utils.validation import validate_data

from .batches import canonical_csr
from .checks import check_finite, check_weights
from .fields import resolve_fields
from .fitted import Fitted
from .network import Network
from .parameters import SharedParameters


class Data(NamedTuple):
    """Checked input: canonical X, encoded target, weights of the loss."""

    X: Any
    target: np.ndarray
    weight: np.ndarray


class Inputs(Fitted, SharedParameters):
    """Checks of X, y and weights; the task gives the hooks about y."""

    _network_class: ClassVar[type[Network]]
    #: Keywords of `validate_data` for y.
    _target_checks: ClassVar[dict[str, Any]] = {}

    def _learn_target(self, y: np.ndarray, weight: np.ndarray, classes: Any) -> None:
        """Set the fitted attributes that say how y is encoded."""
        raise AssertionError("defined by each task")

    def _encode_target(self, y: np.ndarray) -> np.ndarray:
        """Encode y as those attributes say."""
        raise AssertionError("defined by each task")

    def _weigh(self, target: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """Weights of the loss, from those of the user."""
        return weight

    def _check_data(
        self, X: Any, y: Any, sample_weight: Any, resume: bool, classes: Any
    ) -> Data:
        dense = not hasattr(X, "tocsr")
        X, y = self._check_X(X, y, reset=not resume)
        weight = check_weights(sample_weight, X)
        if not resume:
            self._learn_target(y, weight, classes)
            self._learn_fields(X, dense)
        target = self._encode_target(y)
        return Data(X, target, self._weigh(target, weight))

    def _check_validation(self, X: Any, y: Any, sample_weight: Any) -> Data | None:
        if X is None and y is None:
            if sample_weight is not None:
                raise ValueError("sample_weight_val needs X_val and y_val.")
            return None
        if X is None or y is None:
            missing = "X_val" if X is None else "y_val"
            raise ValueError(f"X_val and y_val go together, but {missing} is missing.")
        X, y = self._check_X(X, y, reset=False, name="X_val")
        weight = check_weights(sample_weight, X, "sample_weight_val")
        target = self._encode_target(y)
        return Data(X, target, self._weigh(target, weight))

    def _check_X(
        self, X: Any, y: Any = "no_validation", *, reset: bool, name: str = "X"
    ) -> Any:
        """Canonical CSR of X, beside the checked y if one is given."""
        only_X = isinstance(y, str) and y == "no_validation"
        checked = validate_data(
            self,
            X,
            y,
            reset=reset,
            accept_sparse="csr",
            dtype="numeric",
            ensure_all_finite=False,
            **({} if only_X else self._target_checks),
        )
        X, y = (checked, None) if only_X else checked
        csr = canonical_csr(X)
        check_finite(csr, name)
        return csr if only_X else (csr, y)

    def _learn_fields(self, X: Any, dense: bool) -> None:
        asked = not isinstance(self.fields, str)
        if not asked and self._network_class.lookup != "by_field":
            self.fields_ = self.field_names_ = None
            return
        names = getattr(self, "feature_names_in_", None)
        self.fields_, self.field_names_ = resolve_fields(
            self.fields, X, names=names, is_dense=dense
        )
