"""Validation of the arguments of fits: rows, targets, weights and offsets."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..data.scaling import learn_moments
from . import defaults
from .checks import about, check_weights
from .data import Data, FitData
from .ids_as_numbers import warn_of_ids
from .offsets import check_outputs, check_size, read_offset
from .row_inputs import RowInputs
from .run import Run
from .streams import check_held_out_stream, check_stream, is_streamed

#: Attributes that `_check_data` sets: what was learnt of X, and of the target.
_INPUT_ATTRIBUTES = (
    "_codec",
    "_mean_fields",
    "_scaling",
    "_column_moments",
    "fields_",
    "field_names_",
    "n_features_in_",
    "feature_names_in_",
    "classes_",
    "_class_weights",
    "_multilabel",
    "_sparse_labels",
    "y_mean_",
    "y_scale_",
    "_score_kind",
    "_first_targets",
)


class Inputs(RowInputs):
    """Checks of the arguments of fits; the task gives the hooks about y."""

    def _learn_target(self, y: np.ndarray, weight: np.ndarray, classes: Any) -> None:
        """Set the fitted attributes that determine the encoding of y."""
        raise AssertionError("defined by each task")

    def _learn_streamed_target(
        self, y: np.ndarray, weight: np.ndarray, *, first: bool
    ) -> None:
        """Update the encoding of y by a further chunk of a stream."""

    def _encode_target(self, y: np.ndarray) -> np.ndarray:
        """Encode y by these attributes."""
        raise AssertionError("defined by each task")

    def _indicators(self, target: np.ndarray) -> np.ndarray:
        """Return an encoded target as numbers whose means describe it."""
        return target

    def _weigh(self, target: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """Compute the weights of the loss from those of the user."""
        return weight

    def _check_queries(self, qid: Any, n_rows: int, name: str) -> np.ndarray | None:
        """Return the number of the query of each row, if the task ranks."""
        return None

    def _share_input(self, other: Inputs) -> None:
        """Take the encoding of X and of the target that ``other`` has learnt."""
        for name in _INPUT_ATTRIBUTES:
            if name in vars(other):
                self.__dict__[name] = vars(other)[name]

    def _check_data(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        run: Run,
        *,
        resume: bool,
    ) -> FitData:
        if is_streamed(X):
            return self._check_stream(X, y, sample_weight, run, resume)
        dense = not hasattr(X, "tocsr")
        X, y = self._check_X(X, y, reset=not resume, sample_weight=sample_weight)
        weight = check_weights(sample_weight, X)
        query = self._check_queries(run.qid, X.shape[0], "qid")
        offset = read_offset(run.offset, X.shape[0])
        if not resume:
            self._learn_target(self._without(offset, y), weight, run.classes)
            self._learn_fields(X, dense)
        if run.one_pass:
            without = self._without(offset, y)
            self._learn_streamed_target(without, weight, first=not resume)
        target = self._encode_target(y)
        if dense and self._codec is None and not (resume or run.one_pass):
            names = getattr(self, "feature_names_in_", None)
            warn_of_ids(X, self._indicators(target), weight, names)
        offset = self._encode_offset(offset, "offset")
        weight = self._weigh(target, weight)
        if run.one_pass or not resume:
            self._learn_scaling(
                lambda: learn_moments(X, weight), stream=run.one_pass, resume=resume
            )
        known = self._scorer.shape.dtype if resume else defaults.dtype(self.dtype, X)
        X = self._scaled(X, known)
        return Data(X, target, weight, query, dense, offset)

    def _without(self, offset: np.ndarray | None, y: Any) -> Any:
        """Subtract offsets from targets where that is the same."""
        return y

    def _encode_offset(self, offset: np.ndarray | None, name: str) -> Any:
        """Return checked offsets in units of the raw scores."""
        check_outputs(offset, self._n_outputs(), name)
        encoded = None if offset is None else offset / self._target_scale()
        check_size(encoded, name)
        return encoded

    def _target_scale(self) -> np.ndarray:
        """Return the units of y in a unit of each raw score, (n_outputs,)."""
        return np.ones(self._n_outputs())

    def _check_stream(
        self, X: Any, y: Any, weight: Any, run: Run, resume: bool
    ) -> FitData:
        if run.qid is not None or run.offset is not None:
            what = "A ranker" if run.offset is None else "An offset"
            raise ValueError(
                f"{what} needs all rows in memory, but X is a dataset: pass a table, "
                "for instance X.to_table()."
            )
        return check_stream(
            self, X, y, weight, run.classes, resume=resume, one_pass=run.one_pass
        )

    def _check_validation(
        self, X: Any, y: Any, sample_weight: Any, qid: Any = None, *, run: Run
    ) -> FitData | None:
        if X is None and y is None:
            if sample_weight is not None:
                raise ValueError("sample_weight_val needs X_val and y_val.")
            if run.offset_val is not None:
                raise ValueError("offset_val needs X_val and y_val.")
            return None
        if X is None or y is None:
            missing = "X_val" if X is None else "y_val"
            raise ValueError(f"X_val and y_val go together, but {missing} is missing.")
        if is_streamed(X):
            if run.offset is not None:
                raise ValueError(
                    "An offset needs all rows in memory, but X_val is a dataset: pass "
                    "X_val.to_table()."
                )
            return check_held_out_stream(self, X, y, sample_weight)
        try:
            X, y = self._check_X(X, y, reset=False, name="X_val")
        except ValueError as error:
            raise ValueError(about(str(error), "X_val")) from error
        weight = check_weights(sample_weight, X, "sample_weight_val")
        query = self._check_queries(qid, X.shape[0], "qid_val")
        try:
            target = self._encode_target(y)
        except ValueError as error:
            raise ValueError(about(str(error), "y_val")) from error
        offset = read_offset(run.offset_val, X.shape[0], "offset_val")
        if (offset is None) != (run.offset is None):
            raise ValueError(
                "offset and offset_val go together where X_val is given: pass both, or "
                "neither."
            )
        offset = self._encode_offset(offset, "offset_val")
        weight = self._weigh(target, weight)
        X = self._scaled(X, np.float64)
        return Data(X, target, weight, query, offset=offset)
