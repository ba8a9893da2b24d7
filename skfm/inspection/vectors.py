"""Embeddings of the categories of a field, by name."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd

from .._sklearn import Interval, validate_params
from .reading import Model, category_names


@validate_params(
    {"estimator": "no_validation", "field": [str, Integral]},
    prefer_skip_nested_validation=True,
)
def embeddings(estimator: Any, field: str | int) -> pd.DataFrame:
    """Return the embeddings of the categories of a field.

    Parameters
    ----------
    estimator : estimator
        Fitted estimator, or a pipeline or search that ends in one.
    field : str or int
        Name or number of the field.

    Returns
    -------
    DataFrame of shape (n_categories, n_factors)
        One row for each category, by name. Categories without entries in training are
        left out. The columns of an FFM have an embedding for each field: its result has
        the shape (n_categories, n_fields * n_factors), with the names of the fields as
        a second level of the columns.

    Raises
    ------
    ValueError
        If there is no such field.
    FieldInferenceError
        If the model was fitted without fields, and they cannot be inferred.

    Examples
    --------
    >>> import pandas as pd
    >>> from skfm import FMClassifier
    >>> from skfm.inspection import embeddings
    >>> df = pd.DataFrame({"plane": ["N1", "N2"] * 50, "day": ["Mon", "Sun"] * 50})
    >>> model = FMClassifier(n_factors=2, solver="sgd", random_state=0).fit(
    ...     df, [0, 1] * 50
    ... )
    >>> vectors = embeddings(model, "plane")
    >>> vectors.index.tolist(), vectors.shape
    (['N1', 'N2'], (2, 2))
    """
    model = Model.of(estimator)
    fields, names = model.fields()
    own = np.flatnonzero(fields == _number(field, names))
    vectors = model.estimator.factors_[own]
    labels = category_names(model.column_names()[own], names[fields[own[0]]])
    columns = pd.RangeIndex(vectors.shape[-1], name="factor")
    if vectors.ndim == 3:
        columns = pd.MultiIndex.from_product([names, columns], names=["towards", None])
    frame = pd.DataFrame(
        vectors.reshape(len(own), -1),
        pd.Index(labels, name=names[fields[own[0]]]),
        columns,
    )
    seen = model.estimator._column_statistics.seen[own]
    return frame[seen & (frame != 0).any(axis=1).to_numpy()]


@validate_params(
    {
        "estimator": "no_validation",
        "field": [str, Integral],
        "category": "no_validation",
        "n": [Interval(Integral, 1, None, closed="left")],
    },
    prefer_skip_nested_validation=True,
)
def most_similar(
    estimator: Any, field: str | int, category: Any, n: int = 10
) -> pd.Series:
    """Find the categories of a field whose vectors have a similar direction.

    Parameters
    ----------
    estimator : estimator
        Fitted estimator, or a pipeline or search that ends in one.
    field : str or int
        Name or number of the field.
    category : str or object
        Category of the field, as a name or an object that is printed as one.
    n : int, default=10
        Number of categories to return.

    Returns
    -------
    Series of shape (n,)
        Cosine similarity of the other categories, with the most similar first.

    Raises
    ------
    ValueError
        If there is no such field or category.
    FieldInferenceError
        If the model was fitted without fields, and they cannot be inferred.

    Examples
    --------
    >>> import pandas as pd
    >>> from skfm import FMClassifier
    >>> from skfm.inspection import most_similar
    >>> df = pd.DataFrame({"a": list("pqr") * 40, "b": list("xyzz") * 30})
    >>> y = [(a != "r") == (b == "x") for a, b in zip(df["a"], df["b"])]
    >>> model = FMClassifier(n_factors=2, solver="sgd", random_state=0).fit(df, y)
    >>> most_similar(model, "a", "p").index[0]
    'q'
    """
    vectors = embeddings(estimator, field)
    if str(category) not in vectors.index:
        known = ", ".join(vectors.index[:5])
        raise ValueError(
            f"Field {vectors.index.name!r} has no category {category!r} with an "
            f"embedding; its categories are {known}"
            f"{', ...' if len(vectors) > 5 else ''}."
        )
    unit = vectors.to_numpy(np.float64)
    unit = unit / np.linalg.norm(unit, axis=1, keepdims=True)
    cosine = pd.Series(unit @ unit[vectors.index == str(category)][0], vectors.index)
    cosine = cosine.drop(str(category)).rename("similarity")
    return cosine.sort_values(ascending=False, kind="stable").head(n)


def _number(field: str | int, names: list[str]) -> int:
    if isinstance(field, str):
        if field not in names:
            raise ValueError(
                f"There is no field {field!r}; the fields are {', '.join(names)}."
            )
        return names.index(field)
    if not 0 <= field < len(names):
        raise ValueError(f"field={field} is not in [0, {len(names) - 1}].")
    return int(field)
