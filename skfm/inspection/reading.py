"""Access to the network, the rows and the names of a fitted estimator or pipeline."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from ..data.batch import PREDICTION_BATCH, Batch
from ..data.rows import Rows
from ..encoding.codec import TableCodec
from ..fields import FieldInferenceError, fields_from, resolve_fields
from ..nn.network import Network
from ..runtime.attributes import snapshot

#: Largest count of numbers in the arrays of one chunk of rows.
_NUMBERS_PER_CHUNK = 1 << 22


@dataclass(frozen=True)
class Model:
    """Fitted estimator of skfm, with the transformers before it in a pipeline.

    Attributes
    ----------
    estimator : estimator
        Fitted estimator.
    encoder : transformer or None
        Transformer that a pipeline applies to X before.
    """

    estimator: Any
    encoder: Any = None

    @classmethod
    def of(cls, estimator: Any) -> Model:
        """Find the model in an estimator, a pipeline or a search.

        Raises
        ------
        TypeError
            If there is no estimator of skfm.
        NotFittedError
            If the estimator is not fitted.
        """
        model, encoder = estimator, None
        if hasattr(model, "best_estimator_"):
            model = model.best_estimator_
        if hasattr(model, "steps"):
            encoder = model[:-1] if len(model) > 1 else None
            model = model[-1]
        if not hasattr(model, "_read_rows"):
            raise TypeError(
                f"Inspection needs an estimator of skfm, or a pipeline or search that "
                f"ends in one; got {type(estimator).__name__}."
            )
        model = snapshot(model)
        check_is_fitted(model)
        return cls(model, encoder)

    @property
    def network(self) -> Network:
        """Trained network."""
        network: Network = self.estimator.network_
        return network

    @property
    def n_samples(self) -> int:
        """Number of samples of a posterior with separate outputs; otherwise 1."""
        return 1

    @property
    def n_outputs(self) -> int:
        """Number of outputs of the estimator."""
        return int(self.estimator._scorer.shape.n_outputs)

    @property
    def scale(self) -> np.ndarray:
        """Factor from each raw score to units of y, (n_outputs,)."""
        scale: np.ndarray = self.estimator._output_scale()[0]
        return scale

    @property
    def bias(self) -> np.ndarray:
        """Constant part of the scores in units of y, (n_outputs,)."""
        bias: np.ndarray = self.estimator._bias
        return bias

    def rows(self, X: Any) -> Rows:
        """Return the rows of X as the network reads them."""
        encoded = X if self.encoder is None else self.encoder.transform(X)
        rows: Rows = self.estimator._read_rows(encoded)
        return rows

    def output_names(self) -> list[Any]:
        """Return the labels of the classes, or the numbers of the outputs."""
        classes = getattr(self.estimator, "classes_", None)
        if classes is not None and len(classes) == self.n_outputs:
            return list(classes)
        return list(range(self.n_outputs))

    def column_names(self) -> np.ndarray:
        """Return the names of the columns, from the encoder if only it knows them."""
        names: np.ndarray = self.estimator.column_names_
        if self.encoder is None or hasattr(self.estimator, "feature_names_in_"):
            return names
        try:
            told = self.encoder.get_feature_names_out()
        except (AttributeError, ValueError):
            return names
        return np.asarray(told, dtype=object) if len(told) == len(names) else names

    def fields(self, rows: Rows | None = None) -> tuple[np.ndarray, list[str]]:
        """Return the field of each column, and the names of the fields.

        They are the fields of the fit. For a model that was fitted without fields, they
        are those of the encoder, or are inferred from ``rows``.

        Raises
        ------
        FieldInferenceError
            If the fields cannot be determined.
        """
        known, names = self.estimator.fields_, self.estimator.field_names_
        told = self._fields_of_encoder()
        if known is None and told is not None:
            return told
        if known is not None:
            same = told is not None and np.array_equal(told[0], known)
            return known, told[1] if same and told is not None else names
        if rows is None:
            raise FieldInferenceError(
                f"{type(self.estimator).__name__} was fitted without fields, and they "
                "cannot be inferred from its columns: pass fields= to the estimator, "
                "or put the encoder and the estimator in a pipeline."
            )
        names = list(self.column_names())
        return resolve_fields("auto", _as_csr(rows), names=names)

    def variables(self, rows: Rows | None = None) -> tuple[np.ndarray, list[str]]:
        """Return the variable of each column, and the names of the variables.

        If a table was encoded and the user named no fields, the variables are the
        columns of the table. A number is then one variable, although it has several
        fields. Otherwise, the variables are the fields.

        Raises
        ------
        FieldInferenceError
            If the fields cannot be determined.
        """
        codec, given = self.codec(), getattr(self.estimator, "fields", "auto")
        known = self.estimator.fields_
        if codec is None or not (
            isinstance(given, str) or np.array_equal(known, codec.fields)
        ):
            return self.fields(rows)
        return codec.variables

    def terms(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the number of the term of each column, and the names of the terms.

        All columns that encode one number of a table belong to one term.
        """
        codec = self.codec()
        if codec is None:
            names = self.column_names()
            return np.arange(len(names)), names
        return codec.terms

    def codec(self) -> TableCodec | None:
        """Return the codec of the table, from the estimator or the step before it."""
        codec: TableCodec | None = self.estimator._codec
        if codec is None and self.encoder is not None:
            last = self.encoder.steps[-1][1]
            codec = getattr(last, "_codec", None)
        if codec is None or sum(codec.widths) != self.network.shape.n_columns:
            return None
        return codec

    def _fields_of_encoder(self) -> tuple[np.ndarray, list[str]] | None:
        if self.encoder is None:
            return None
        try:
            fields, names = fields_from(self.encoder)
        except FieldInferenceError:
            return None
        return (fields, names) if len(fields) == self.network.shape.n_columns else None


def batches(
    network: Network, rows: Rows, numbers_per_row: int
) -> Iterator[tuple[int, Batch]]:
    """Yield batches of as many rows as memory allows, and the first row of each.

    Parameters
    ----------
    network : Network
        Network that prepares the batches.
    rows : Rows
        Rows to divide into batches.
    numbers_per_row : int
        Count of numbers that are held for one row.
    """
    size = max(1, _NUMBERS_PER_CHUNK // max(1, numbers_per_row))
    allowed = network.chunk_rows(network.table.n_fields or rows.longest())
    size = min(size, PREDICTION_BATCH, allowed or PREDICTION_BATCH)
    for start in range(0, len(rows), size):
        stop = min(start + size, len(rows))
        yield start, network.prepare(rows.span(start, stop))


def rows_of_entries(batch: Batch) -> np.ndarray:
    """Return the row of each entry of a batch, (nnz,)."""
    return np.repeat(np.arange(len(batch)), np.diff(batch.indptr))


def to_float64(tensor: Tensor) -> np.ndarray:
    """Convert a tensor to a float64 array on the host."""
    array: np.ndarray = tensor.detach().cpu().double().numpy()
    return array


def category_names(names: np.ndarray, field: str) -> np.ndarray:
    """Remove the name of the field from the beginning of the names of its columns."""
    for prefix in (f"{field}_", f"__{field}_"):
        cut = [str(name).partition(prefix) for name in names]
        if all(found and (prefix[0] == "_" or not head) for head, found, _ in cut):
            return np.array([tail for _, _, tail in cut], dtype=object)
    return names


def _as_csr(rows: Rows) -> Any:
    data = np.ones(len(rows.indices)) if rows.data is None else rows.data
    shape = (len(rows), rows.n_columns)
    return sp.csr_array((data, rows.indices, rows.indptr), shape=shape, copy=False)
