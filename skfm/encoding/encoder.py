"""FieldEncoder: the transformer."""

from __future__ import annotations

from numbers import Integral
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, DTypeLike
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from .._sklearn import Interval, Options, StrOptions, fit_context
from ..persistence.records import saved
from ..runtime.attributes import on_snapshot
from .codec import TableCodec
from .meaning import EncodedColumns
from .state import adopt

__all__ = ["FieldEncoder", "encoder_of"]


# Without auto_wrap_output_keys a global set_config(transform_output="pandas") would
# ask for a DataFrame of what is a sparse matrix on purpose.
@saved("estimator")
class FieldEncoder(  # type: ignore[call-arg]
    TransformerMixin, EncodedColumns, BaseEstimator, auto_wrap_output_keys=None
):
    """Encode a table as a sparse matrix with fields.

    A column of the table becomes a block of adjacent columns of the matrix, a *field*:

    - categorical: one column per category in sorted order, one that the infrequent
      ones share (if there are any), one for categories not seen during `fit`, and one
      for missing cells;
    - hashed: ``n_buckets`` columns and one for missing cells;
    - numeric: fields for the value and for bins of two sizes; or one field with the
      number, or with a column per quantile bin, and one for missing cells;
    - boolean: one column, which has an entry if the cell is true, and one for missing
      cells if there are any in `fit`. Dummies of one variable, as made by
      ``pandas.get_dummies``, are one field. They are adjacent columns of True and
      False, or of 1 and 0, in which no row has two ones, and their names share a prefix
      before an underscore;
    - multi-valued: like categorical or hashed, with one entry per value in the cell.

    Each row stores exactly one entry in each field of a column that is neither boolean
    nor multi-valued nor one of several that share their categories, and at least one
    entry in a field of the latter two kinds. The fields can therefore be inferred from
    the matrix. `make_field_pipeline` always passes them on.

    Parameters
    ----------
    categorical_features : {"from_dtype", "all"}, array-like or None, \
default="from_dtype"
        Selection of the categorical columns:

        - ``"from_dtype"``: columns of category, enum, string or object dtype. In arrays
          and lists, columns of objects that are all numbers are numeric. Columns of
          truth values are boolean, whatever their dtype. Dates and durations are not
          categorical.
        - ``"all"``: all columns.
        - names, indices or a boolean mask: these columns.
        - ``None``: no column.

        Multi-valued columns are categorical in any case.
    min_frequency : int or float, default=None
        Categories that occur less often share one column. An int is a number of
        occurrences, a float in (0, 1) a fraction of the rows.
    max_categories : int, default=None
        Largest number of columns for the known categories of a column of the table.
        The column that infrequent categories share is counted, those for unknown and
        missing cells are not.
    on_excess : {"group", "raise"}, default="group"
        Treatment of a column with more than ``max_categories`` categories. "group"
        lets the rarest categories share a column, "raise" raises an error.
    n_buckets : int or dict, default=None
        Number of columns to which categories are hashed. A dict gives the number by
        column (name or index), and other columns are not hashed. The hash is the same
        in every process and on every platform.
    numeric : {"nested", "scale", "quantile", "passthrough"} or dict, default="nested"
        Encoding of numbers:

        - ``"nested"``: three or four fields. The first has the value, standardised and
          clipped to [-5, 5], and 0 for a missing cell. Two fields have about 8 and 64
          bins and a column for missing cells. If there are at most twice as many
          distinct values as bins, each value has a bin; two fields with the same bins
          are merged. The edges are half-way between values, at quantiles of the cells
          and of the distinct values, and on both sides of a value that would fill a
          bin. Integers that occur three times or more on average may be ids: if the
          fine bins hold several of them, they also have a field of categories. A column
          of zeros and ones is boolean.
        - ``"scale"``: subtract the mean and divide by the standard deviation.
        - ``"quantile"``: bin at quantiles of the cells.
        - ``"passthrough"``: use the numbers unchanged.

        A dict gives the encoding by column; other columns are nested. A result of
        exactly 0 is stored as 2**-50, because a stored zero would be removed, and the
        field could not be inferred.
    n_bins : int, default=10
        Number of bins of ``numeric="quantile"``. Equal edges are merged. All bins are
        closed on the right. Numbers outside of the range of `fit` belong to the first
        or the last bin.
    dates : {"all"}, array-like of str or None, default="all"
        Parts by which dates are encoded, unless they are named categorical:
        ``"elapsed"``, the days since 1970 as a nested number; ``"year"``, ``"month"``,
        ``"day"`` of the month, ``"weekday"`` (0 is Monday) and ``"hour"`` as fields of
        categories, if they vary. With None, dates are refused. Dates with a time zone
        use its local time. Durations are numbers, in seconds.
    multi_valued : array-like of str, int or bool, default=None
        Columns (names, indices or a mask) with several values in a cell: lists,
        tuples, sets, arrays, dicts or lists of pairs from values to weights (floats in
        pairs), or strings that are cut at ``delimiter``. A cell without values is
        missing. A value that is repeated in a cell counts each time. Of these, only
        strings must be named. Columns of lists or arrays of floats that are not named
        here hold vectors: a field with a column per coordinate, standardised and
        clipped to [-5, 5], and one for missing cells.
    delimiter : str or dict, default=None
        String that separates the values of a multi-valued column of strings. A dict
        gives it by column; the cells of other columns must be lists. Empty values are
        dropped.
    pooling : {"sum", "mean"} or dict, default="sum"
        Pooling of the values of a multi-valued cell. With "sum", each value is stored
        as 1 or its weight. With "mean", this is divided by the number of values in the
        cell. A dict gives the pooling by column; other columns are summed.
    shared_categories : list of lists of str or int, default=None
        Groups of columns that share their categories, such as ``[["clicked",
        "shown"]]``. They are categorical in any case. The columns of a group are
        encoded to the same columns of the matrix, which are one field, and the entries
        of their cells are added: a category in two columns of the group has the value
        2. The occurrences in all of them count for ``min_frequency`` and
        ``max_categories``.
    warn_unknown : bool, default=False
        Whether `transform` warns with the number of unknown and missing cells of each
        column.
    dtype : {np.float64, np.float32}, default=np.float64
        Type of the stored values.

    Attributes
    ----------
    fields_ : ndarray of int32 of shape (n_features_out,)
        Field of each column of the matrix.
    field_names_ : ndarray of str of shape (n_fields,)
        Names of the fields: the names of the columns of the table, or ``x0``, ``x1``,
        ... The names of the other fields of a number end with ``_<coarse>``,
        ``_<fine>`` and ``_<values>``. The name of a field of dummies is their common
        prefix, and that of a field of shared categories is ``clicked+shown``.
    columns_ : ndarray of int32 of shape (n_features_out,)
        Index of the column of the table that each column of the matrix encodes; the
        first of those that share their categories.
    categories_ : list of ndarray or None
        Categories of each column of the table that have a column of their own, in the
        order of these columns. None for numeric, boolean and hashed columns.
    infrequent_categories_ : list of ndarray or None
        Categories of each column of the table that share a column. None for the same
        columns as in ``categories_``.
    n_features_in_ : int
        Number of columns of the table.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the table's columns. Defined only when they are all strings.

    See Also
    --------
    sklearn.preprocessing.OneHotEncoder : One column per category, without fields,
        numbers, streams and multi-valued cells.

    Notes
    -----
    `partial_fit` learns from blocks of rows. After each block, the encoder is the one
    that `fit` on all rows so far would learn, up to the rounding of means and standard
    deviations. Columns of the matrix may therefore move: pass all rows to the encoder
    first, or use ``n_buckets`` and ``numeric="scale"``, with which the columns never
    change. Bins are computed from at most 200,000 cells per column, which are drawn by
    row number, whatever the blocks are. `fit` keeps no cells, so that a later
    `partial_fit` leaves the bins unchanged.

    Integers are never rounded: ids are exact over all of 64 bits, in nullable columns
    too. A column of floats that are all integers, as pandas makes of integers with
    missing cells, has the same categories as the integers.

    Examples
    --------
    >>> import pandas as pd
    >>> from skfm.encoding import FieldEncoder
    >>> df = pd.DataFrame({"carrier": ["AA", None, "UA"], "hour": [6, 12, 18]})
    >>> encoder = FieldEncoder(numeric="passthrough").fit(df)
    >>> encoder.get_feature_names_out()
    array(['carrier_AA', 'carrier_UA', 'carrier_<unknown>', 'carrier_<missing>',
           'hour', 'hour_<missing>'], dtype=object)
    >>> encoder.fields_
    array([0, 0, 0, 0, 1, 1], dtype=int32)
    >>> new = pd.DataFrame({"carrier": ["UA", "DL"], "hour": [7, None]})
    >>> encoder.transform(new).toarray()
    array([[0., 1., 0., 0., 7., 0.],
           [0., 0., 1., 0., 0., 1.]])
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "categorical_features": [StrOptions({"from_dtype", "all"}), "array-like", None],
        "min_frequency": [Interval(Integral, 1, None, closed="left"), float, None],
        "max_categories": [Interval(Integral, 1, None, closed="left"), None],
        "on_excess": [StrOptions({"group", "raise"})],
        "n_buckets": [Interval(Integral, 1, 2**31 - 2, closed="both"), dict, None],
        "numeric": [StrOptions({"nested", "scale", "quantile", "passthrough"}), dict],
        "dates": [StrOptions({"all"}), "array-like", None],
        "n_bins": [Interval(Integral, 2, None, closed="left")],
        "multi_valued": ["array-like", None],
        "delimiter": [str, dict, None],
        "pooling": [StrOptions({"sum", "mean"}), dict],
        "shared_categories": ["array-like", None],
        "warn_unknown": ["boolean"],
        "dtype": [
            Options(type, {np.float64, np.float32}),
            StrOptions({"float64", "float32"}),
        ],
    }

    def __init__(
        self,
        *,
        categorical_features: Any = "from_dtype",
        min_frequency: float | None = None,
        max_categories: int | None = None,
        on_excess: str = "group",
        n_buckets: int | dict[Any, int] | None = None,
        numeric: str | dict[Any, str] = "nested",
        n_bins: int = 10,
        dates: Any = "all",
        multi_valued: ArrayLike | None = None,
        delimiter: str | dict[Any, str] | None = None,
        pooling: str | dict[Any, str] = "sum",
        shared_categories: Any = None,
        warn_unknown: bool = False,
        dtype: DTypeLike = np.float64,
    ) -> None:
        self.categorical_features = categorical_features
        self.min_frequency = min_frequency
        self.max_categories = max_categories
        self.on_excess = on_excess
        self.n_buckets = n_buckets
        self.numeric = numeric
        self.n_bins = n_bins
        self.dates = dates
        self.multi_valued = multi_valued
        self.delimiter = delimiter
        self.pooling = pooling
        self.shared_categories = shared_categories
        self.warn_unknown = warn_unknown
        self.dtype = dtype

    @fit_context
    def fit(self, X: Any, y: Any = None) -> FieldEncoder:
        """Learn categories, means and quantiles.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
            The table: pandas, polars or another that narwhals reads, or an array.
        y : None
            Ignored.

        Returns
        -------
        self : FieldEncoder

        Raises
        ------
        ValueError, TypeError
            When a column cannot be encoded. The message names the column and a cell,
            and the encoder is left unchanged.
        """
        self._learn(X, first=True, encode=False)
        return self

    @fit_context
    def partial_fit(self, X: Any, y: Any = None) -> FieldEncoder:
        """Learn from one more block of rows.

        The first block determines the categorical columns.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
            A block of the table.
        y : None
            Ignored.

        Returns
        -------
        self : FieldEncoder
        """
        first = not hasattr(self, "_codec")
        self._learn(X, first=first, stream=True, encode=False)
        return self

    @fit_context
    def fit_transform(self, X: Any, y: Any = None) -> sp.csr_matrix:
        """Fit, then encode the same rows.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
            The table.
        y : None
            Ignored.

        Returns
        -------
        X_out : csr_matrix of shape (n_samples, n_features_out)
        """
        codec, encoded = self._learn(X, first=True)
        return codec.matrix(encoded, self.dtype, warn=self.warn_unknown)

    @on_snapshot
    def transform(self, X: Any) -> sp.csr_matrix:
        """Encode rows.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
            A table with the columns of `fit`.

        Returns
        -------
        X_out : csr_matrix of shape (n_samples, n_features_out)
            Indices are int32 where they fit.

        Raises
        ------
        ValueError, TypeError
            When columns are missing or in another order, or the cells of one are of
            another type than during `fit`.
        """
        check_is_fitted(self)
        encoded = self._codec.encode(self._columns(X, reset=False))
        return self._codec.matrix(encoded, self.dtype, warn=self.warn_unknown)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.categorical = True
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = []
        return tags


def encoder_of(codec: TableCodec, names: list[str]) -> FieldEncoder:
    """Return an encoder that has learnt a codec from a table of these columns."""
    return adopt(FieldEncoder(), codec, names)
