"""Rows that users pass: checked, encoded, and in the units of the network."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import scipy.sparse as sp
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_X_y, validate_data

from ..data.csr import ReadyCSR, as_csr, canonical_csr, ready_csr
from ..data.scaling import ColumnMoments
from ..encoding.codec import TableCodec
from ..encoding.crosses.learning import CrossOptions
from ..encoding.crosses.search import ResidualModel
from ..encoding.crosses.target import Target as CrossTarget
from ..encoding.tables import as_table, check_frame, is_frame, read_columns
from ..fields import resolve_fields
from ..runtime.threads import resolve_n_jobs
from .checks import (
    check_finite,
    check_weights,
    is_plain_csr,
    naming_categories,
    refuse_overflow,
)
from .fitted import Fitted
from .optimization import OptimizationParameters
from .streams import is_streamed
from .tables import (
    check_numbers,
    new_codec,
    refuse_unused,
    table_fields,
    wants_encoding,
)

if TYPE_CHECKING:
    from ..nn.network import Network


class RowInputs(Fitted, OptimizationParameters):
    """Checks and encoding of X."""

    _network_class: ClassVar[type[Network]]
    #: Keywords of `validate_data` for y.
    _target_checks: ClassVar[dict[str, Any]] = {}

    def _cross_target(self, y: np.ndarray) -> CrossTarget:
        """Return the target that crosses are to explain."""
        return CrossTarget.of_numbers(y)

    def _learn_scaling(
        self,
        learn_moments: Callable[[], ColumnMoments | None],
        *,
        stream: bool,
        resume: bool,
    ) -> None:
        """Learn the units in which the network reads the columns from their moments.

        Those of a stream are those of all rows so far, until each column has some
        entries: the first chunk may be a single row. The encoding of a table has no
        units.
        """
        if self._codec is not None:
            self._scaling = self._column_moments = None
            return
        known: ColumnMoments | None = self._column_moments if resume else None
        if resume and known is None and self._scaling is not None:
            return
        moments = learn_moments()
        if known is not None and moments is not None:
            moments = known.merged(moments)
        elif resume and moments is not None:
            # All entries so far were one, and stay so.
            moments = moments.settled(self._column_statistics.seen)
        moments = moments or known
        self._scaling = None if moments is None else moments.scaling(self.fields_)
        self._column_moments = moments if stream else None

    def _scaled(self, X: Any, dtype: Any) -> Any:
        """Return the CSR matrix that `_check_X` has returned in the network's units."""
        return X if self._scaling is None else self._scaling.apply(X, dtype=dtype)

    def _ready_rows(self, X: Any) -> ReadyCSR | None:
        """Return X where no check of `_check_X` could fail or change it, else None.

        All checks together take several times as long as the scores of a row.
        """
        if self._codec is not None or hasattr(self, "feature_names_in_"):
            return None
        return ready_csr(X, self.n_features_in_, resolve_n_jobs(self.n_jobs))

    @refuse_overflow
    def _check_X(
        self,
        X: Any,
        y: Any = "no_validation",
        *,
        reset: bool,
        name: str = "X",
        sample_weight: Any = None,
    ) -> Any:
        """Canonical CSR of X, beside the checked y if one is given.

        The weights are those by which crosses are learnt.
        """
        if is_streamed(X):
            raise ValueError(
                f"{name} is a dataset, but this method of {type(self).__name__} needs "
                f"all rows in memory, for instance as {name}.to_table()."
            )
        if reset:
            self._codec = None
        only_X = isinstance(y, str) and y == "no_validation"
        if sp.issparse(X):
            # Before scikit-learn, whose conversions trust the arrays.
            X = as_csr(X)
        encode = (
            wants_encoding(X, self.categorical_features)
            if reset
            else self._codec is not None
        )
        if encode:
            csr = self._encode_table(
                X, None if only_X else y, sample_weight, reset=reset, name=name
            )
            return csr if only_X else (csr, self._check_target(y, csr.shape[0]))
        if reset:
            refuse_unused(self)
        X, y = self._validate(X, y, reset=reset)
        csr = canonical_csr(X, resolve_n_jobs(self.n_jobs))
        check_finite(csr, name)
        return csr if only_X else (csr, y)

    def _validate(self, X: Any, y: Any, *, reset: bool) -> tuple[Any, Any]:
        """Check a matrix, and y if one is given, as scikit-learn does."""
        only_X = isinstance(y, str) and y == "no_validation"
        if is_frame(X):
            check_frame(X)
            # Names are complained of first, as scikit-learn does, then cells.
            validate_data(self, X, reset=reset, skip_check_array=True)
            check_numbers(X, getattr(self, "feature_names_in_", None))
        if only_X and not reset and is_plain_csr(X):
            # The rest of what scikit-learn checks cannot fail, and takes its time.
            validate_data(self, X, reset=False, skip_check_array=True)
            return X, None
        with naming_categories():
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
        return (checked, None) if only_X else checked

    def _check_target(self, y: Any, n_rows: int) -> np.ndarray:
        """Check y as `validate_data` does, beside an X that it did not check."""
        stand_in = np.broadcast_to(0.0, (n_rows, 1))
        _, y = check_X_y(stand_in, y, estimator=self, **self._target_checks)
        return y

    def _encode_table(
        self, X: Any, y: Any, sample_weight: Any, *, reset: bool, name: str
    ) -> Any:
        """CSR of a table; ``reset`` makes and learns the codec that encodes it.

        Crosses are learnt from y and the weights as well.
        """
        if hasattr(X, "tocsr"):
            raise ValueError(
                f"{name} is a sparse matrix, but this {type(self).__name__} was fitted "
                f"on a table of {self.n_features_in_} columns, which it encodes "
                "itself: pass a table with the same columns."
            )
        table = as_table(X)
        validate_data(self, table, reset=reset, skip_check_array=True)
        columns = read_columns(table)
        codec, crossed = self._codec, None
        if codec is None:
            new = new_codec(
                columns,
                getattr(self, "feature_names_in_", None),
                self,
            )
            codec, encoded = new.learn(columns)
            if self.crosses is not None:
                codec, crossed = self._learn_crosses(codec, encoded, y, sample_weight)
            self._codec = codec
        else:
            encoded = codec.encode(columns)
        warn = self.warn_unknown
        return codec.matrix(
            encoded, np.float64, warn=warn, share_ones=True, crossed=crossed
        )

    def _learn_crosses(
        self, codec: TableCodec, encoded: Any, y: Any, sample_weight: Any
    ) -> tuple[TableCodec, list[np.ndarray]]:
        """Return the codec with crosses added, and the levels of these rows."""
        n_rows = encoded[0].n_rows
        weight = check_weights(sample_weight, np.broadcast_to(0.0, (n_rows, 1)))
        target = self._cross_target(self._check_target(y, n_rows))
        return codec.with_crosses(
            encoded,
            target.weighed(weight),
            CrossOptions(self.crosses, judge=self._cross_judge(target)),
            check_random_state(self.random_state),
            named=hasattr(self, "feature_names_in_"),
        )

    def _cross_judge(self, target: CrossTarget) -> Callable[..., ResidualModel] | None:
        """Return what makes a model that must lack a cross that is found, if any."""
        return None

    def _learn_fields(self, X: Any, dense: bool) -> None:
        # Until `_learn_scaling` finds others.
        self._scaling = self._column_moments = None
        # The codec has pooled the values of a table's cells.
        mean = self.field_pooling == "mean" and self._codec is None
        self.fields_, self.field_names_ = self._find_fields(X, dense, needed=mean)
        self._mean_fields = self.fields_ if mean else None

    def _needs_fields(self) -> bool:
        """Return whether the equation of the network contains fields."""
        return self._network_class.needs_fields

    def _find_fields(
        self, X: Any, dense: bool, needed: bool, certain: bool = True
    ) -> tuple[Any, Any]:
        if self._codec is not None:
            return table_fields(self._codec, self.fields)
        asked = needed or not isinstance(self.fields, str)
        if not asked and not self._needs_fields():
            return None, None
        names = getattr(self, "feature_names_in_", None)
        return resolve_fields(
            self.fields, X, names=names, is_dense=dense, certain=certain
        )
