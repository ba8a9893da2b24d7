"""Fields read off a fitted transformer.

A layout travels through the transformers: it says to which field each column of a
table belongs. Encoders make new fields, scalers keep those they are given, and what
cannot be read says so instead of guessing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    OneHotEncoder,
)
from sklearn.utils.validation import check_is_fitted

from .inference import FieldInferenceError
from .layout import column_names, number_fields, unique_names

__all__ = ["fields_from"]

#: Prefix of the names of the indicators that scikit-learn's imputers add.
_INDICATOR = "missingindicator_"


@dataclass(frozen=True)
class _Layout:
    """Fields of the columns of a table.

    `labels` points into `names`; a name no label points to has no columns. `error`
    is set where the table was made by a step whose fields cannot be read.
    """

    labels: np.ndarray
    names: list[str]
    error: FieldInferenceError | None = None

    def take(self, columns: np.ndarray) -> "_Layout":
        if self.error is not None:
            return self
        return _Layout(self.labels[columns], self.names)

    def known(self) -> "_Layout":
        if self.error is not None:
            raise self.error
        return self

    def names_of_columns(self) -> list[str]:
        return [self.names[label] for label in self.labels.tolist()]


def fields_from(transformer: Any) -> tuple[np.ndarray, list[str]]:
    """Read the fields of a transformer's output columns off the fitted transformer.

    Parameters
    ----------
    transformer : object
        Fitted. OneHotEncoder and KBinsDiscretizer make one field of each input
        column (none of a column that ``drop`` leaves without output); OrdinalEncoder,
        scalers, imputers, selectors and whatever else returns columns under the
        names of its input keep the fields of their input; ColumnTransformer,
        FeatureUnion and Pipeline put together the fields of their parts (a predictor
        at the end of a Pipeline is left out). Any object with fitted attributes
        ``fields_`` (one number per output column) and ``field_names_``, or
        ``output_to_input_`` (from the name of each output column to that of an input
        column, as in skrub's TableVectorizer), is read by those.

    Returns
    -------
    fields : ndarray of int32 of shape (n_features_out,)
        Field numbers, from 0, in the order of their first columns.
    field_names : list of str of shape (n_fields,)
        Names of the input columns; unique.

    Raises
    ------
    FieldInferenceError
        If a part cannot be read. Names its type and the remedies.
    sklearn.exceptions.NotFittedError
        If the transformer is not fitted.

    Examples
    --------
    >>> from sklearn.preprocessing import OneHotEncoder
    >>> encoder = OneHotEncoder().fit([["a", "x"], ["b", "y"], ["c", "y"]])
    >>> fields_from(encoder)
    (array([0, 0, 0, 1, 1], dtype=int32), ['x0', 'x1'])
    """
    layout = _read(transformer, None).known()
    fields, used = number_fields(layout.labels)
    return fields, unique_names(layout.names[label] for label in used.tolist())


def _read(transformer: Any, source: _Layout | None) -> _Layout:
    """Return the layout of the output, given that of the input (None: a raw table)."""
    if getattr(transformer, "fields_", None) is not None:
        return _read_protocol(transformer)
    if not isinstance(transformer, Pipeline):
        check_is_fitted(transformer)
    for kind, reader in _READERS.items():
        if isinstance(transformer, kind):
            return reader(transformer, source)
    if isinstance(getattr(transformer, "output_to_input_", None), dict):
        return _read_sources(transformer, source)
    return _read_by_name(transformer, source)


def _cannot_read(transformer: Any, why: str) -> FieldInferenceError:
    return FieldInferenceError(
        f"The fields of the output of {type(transformer).__name__} are unknown: {why} "
        f"Remedies: pass fields= to the model (block sizes in order, or one label per "
        f"column); encode with OneHotEncoder, OrdinalEncoder, KBinsDiscretizer or "
        f"FieldEncoder; set feature_names_out='one-to-one' of a FunctionTransformer "
        f"that keeps its columns; or give the transformer the fitted attributes "
        f"fields_ and field_names_."
    )


def _table(transformer: Any, source: _Layout | None) -> _Layout:
    """Return the layout of the input: the given one, or a field per raw column."""
    if source is None:
        names = _input_names(transformer)
        return _Layout(np.arange(len(names)), names)
    n_features = getattr(transformer, "n_features_in_", len(source.labels))
    if source.error is None and n_features != len(source.labels):
        raise _cannot_read(
            transformer,
            f"it was fitted on {n_features} columns, but the step before it has "
            f"{len(source.labels)}.",
        )
    return source


def _input_names(transformer: Any) -> list[str]:
    names = getattr(transformer, "feature_names_in_", None)
    if names is not None:
        return [str(name) for name in names]
    n_features = getattr(transformer, "n_features_in_", None)
    if n_features is None:
        raise _cannot_read(
            transformer, "it has no attribute n_features_in_ or feature_names_in_."
        )
    return column_names(n_features)


def _read_protocol(transformer: Any) -> _Layout:
    fields = np.asarray(transformer.fields_)
    names = [str(name) for name in getattr(transformer, "field_names_", ())]
    if fields.ndim != 1 or (len(fields) and fields.dtype.kind not in "iu"):
        raise _cannot_read(transformer, "fields_ must be a vector of integers.")
    if len(fields) and not 0 <= fields.min() <= fields.max() < len(names):
        raise _cannot_read(
            transformer, f"fields_ must point into field_names_ ({len(names)} names)."
        )
    return _Layout(fields.astype(np.intp), names)


def _expand(transformer: Any, source: _Layout | None, sizes: Sequence[int]) -> _Layout:
    """Make a field of each input column, with the given numbers of output columns."""
    if source is None or source.error is not None:
        names = _input_names(transformer)
    else:
        names = unique_names(source.names_of_columns())
    if len(names) != len(sizes):
        raise _cannot_read(
            transformer, f"it was fitted on {len(sizes)} columns, not {len(names)}."
        )
    return _Layout(np.repeat(np.arange(len(sizes)), sizes), names)


def _read_one_hot(encoder: Any, source: _Layout | None) -> _Layout:
    sizes = np.array([len(categories) for categories in encoder.categories_])
    # Absent unless the encoder groups infrequent categories.
    infrequent = getattr(encoder, "infrequent_categories_", None)
    for i, grouped in enumerate(infrequent or ()):
        sizes[i] -= 0 if grouped is None else len(grouped) - 1
    if encoder.drop_idx_ is not None:
        sizes -= [index is not None for index in encoder.drop_idx_]
    return _expand(encoder, source, sizes.tolist())


def _read_bins(binner: Any, source: _Layout | None) -> _Layout:
    if binner.encode == "ordinal":
        return _table(binner, source)
    return _expand(binner, source, binner.n_bins_.tolist())


def _read_function(transformer: Any, source: _Layout | None) -> _Layout:
    if transformer.func is None:
        return _table(transformer, source)
    return _read_by_name(transformer, source)


def _read_by_name(transformer: Any, source: _Layout | None) -> _Layout:
    """Read a transformer whose output columns bear the names of input columns.

    An equal number of columns is not enough: a PCA has it too.
    """
    if not hasattr(transformer, "get_feature_names_out"):
        raise _cannot_read(transformer, "it does not name its output columns.")
    names_in = pd.Index(_input_names(transformer))
    try:
        names = [str(n) for n in transformer.get_feature_names_out()]
    except (ValueError, AttributeError) as error:
        raise _cannot_read(transformer, str(error)) from error
    # An imputer's indicator belongs to the column whose missing cells it marks.
    names_out = pd.Index([n.removeprefix(_INDICATOR) for n in names])
    if names_out.equals(names_in):
        return _table(transformer, source)
    made = names_out.difference(names_in)
    if len(made) or not names_in.is_unique:
        raise _cannot_read(
            transformer,
            f"its output columns {list(made[:3])} do not have the names of columns of "
            f"its input.",
        )
    return _table(transformer, source).take(names_in.get_indexer(names_out))


def _read_sources(transformer: Any, source: _Layout | None) -> _Layout:
    """Read a transformer that says which input column each output is made of."""
    made_of = transformer.output_to_input_
    names_in = pd.Index(_input_names(transformer))
    names_out = [str(name) for name in transformer.get_feature_names_out()]
    inputs = names_in.get_indexer([made_of.get(name) for name in names_out])
    if (inputs < 0).any():
        raise _cannot_read(transformer, "output_to_input_ lacks output columns.")
    return _table(transformer, source).take(inputs)


def _read_pipeline(pipeline: Any, source: _Layout | None) -> _Layout:
    layout = source
    steps = [step for _, step in pipeline.steps]
    if steps and not hasattr(steps[-1], "transform") and steps[-1] != "passthrough":
        steps = steps[:-1]
    for step in steps:
        if step is None or isinstance(step, str):
            continue
        try:
            layout = _read(step, layout)
        except FieldInferenceError as error:
            # An encoder further on may still make fields of its own.
            layout = _Layout(np.empty(0, dtype=np.intp), [], error)
    return _table(pipeline, None) if layout is None else layout


def _read_columns(transformer: Any, source: _Layout | None) -> _Layout:
    names_in = _input_names(transformer)
    parts = []
    for name, part, columns in transformer.transformers_:
        place = transformer.output_indices_[name]
        if place.stop > place.start:
            table = _table(transformer, source).take(_pick(columns, names_in))
            layout = table if isinstance(part, str) else _read(part, table)
            parts.append((name, layout.known(), place))
    if any(len(layout.labels) != p.stop - p.start for _, layout, p in parts):
        raise _cannot_read(transformer, "its parts have other numbers of columns.")
    parts.sort(key=lambda part: part[2].start)
    return _join([(name, layout) for name, layout, _ in parts])


def _pick(columns: Any, names: list[str]) -> np.ndarray:
    """Return the positions of a ColumnTransformer's column selection."""
    positions = np.arange(len(names))
    if isinstance(columns, slice):
        by_name = isinstance(columns.start, str) or isinstance(columns.stop, str)
    else:
        columns = np.atleast_1d(np.asarray(columns))
        by_name = columns.dtype.kind not in "biu"
    if by_name:
        return np.asarray(pd.Series(positions, index=names).loc[columns])
    return positions[columns]


def _read_union(union: Any, source: _Layout | None) -> _Layout:
    parts = []
    for name, part in union.transformer_list:
        if part == "drop":
            continue
        whole = part == "passthrough"
        layout = _table(union, source) if whole else _read(part, source)
        parts.append((name, layout.known()))
    return _join(parts)


def _join(parts: list[tuple[str, _Layout]]) -> _Layout:
    """Put layouts side by side; names two parts share get their part's name."""
    used = [
        {layout.names[label] for label in np.unique(layout.labels).tolist()}
        for _, layout in parts
    ]
    labels: list[np.ndarray] = [np.empty(0, dtype=np.intp)]
    names: list[str] = []
    for i, (part, layout) in enumerate(parts):
        others = set().union(*used[:i], *used[i + 1 :])
        labels.append(layout.labels + len(names))
        names += [f"{part}__{n}" if n in others else n for n in layout.names]
    return _Layout(np.concatenate(labels), names)


_READERS: dict[type, Callable[[Any, _Layout | None], _Layout]] = {
    OneHotEncoder: _read_one_hot,
    KBinsDiscretizer: _read_bins,
    FunctionTransformer: _read_function,
    ColumnTransformer: _read_columns,
    FeatureUnion: _read_union,
    Pipeline: _read_pipeline,
}
