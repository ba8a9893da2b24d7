"""FieldCrosses: the transformer that adds crosses to a table."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from skfm.encoding.blocks import NumberBlock
from skfm.encoding.encoder import FieldEncoder
from skfm.encoding.layout import column_position, make_blocks
from skfm.encoding.tables import as_table, is_frame, read_columns

from ..._sklearn import Interval, StrOptions, fit_context
from .additive import additive_model
from .coded import CodedTable
from .crosses import Crosses, CrossInfo
from .evidence import Evidence
from .levels import Codes
from .output import append_columns, append_numbers
from .scores import Candidate
from .search import CrossSearch
from .target import TARGET_TYPES, Target

__all__ = ["FieldCrosses"]

_UNKNOWN = Evidence(*[float("nan")] * 5)


class FieldCrosses(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Add crosses of columns to a table, those that a model of single columns lacks.

    A cross is a column whose categories are the combinations of categories of two or
    three columns. `fit` looks for the pairs and triples that explain the residuals of
    an additive model, out of fold: in rounds, in each of which the best one is added,
    until none is significant. Where nothing interacts, nothing is added.

    A pair of which few rows share a combination, as user and item, may also enter by
    its *statistics*: how many other rows have its combination, up to three, and the
    mean of their targets, in bins.

    Numbers are crossed by eight quantile bins; integers that repeat also by value.

    Read more in the user guide on crosses.

    Parameters
    ----------
    crosses : "auto" or list of tuples, default="auto"
        Which columns to cross: those found, or these, given by names or indices.
    max_crosses : int, default=5
        Largest number of crosses to find.
    max_degree : {2, 3}, default=3
        Largest number of columns in a cross that is found.
    min_count : int, default=2
        Combinations of fewer rows are taken as unknown, so that their cells in the new
        column are missing.
    statistics : bool, default=True
        Whether pairs may enter by count and mean of the target. They do not where the
        target has more than two classes.
    categorical_features : {"from_dtype", "all"}, array-like or None, \
default="from_dtype"
        Which columns are categorical, as in `FieldEncoder`.
    target_type : {"auto", "binary", "multiclass", "continuous"}, default="auto"
        Kind of target. "auto" infers it with
        :func:`~sklearn.utils.multiclass.type_of_target`, which takes integers as
        classes: say "continuous" for counts and ratings.
    random_state : int, RandomState instance or None, default=None
        Draws the halves of the search and the folds of statistics. Pass an int for
        reproducible results across calls.

    Attributes
    ----------
    crosses_ : list of CrossInfo
        Name, columns, kind, number of levels, gain, variance and z of each cross, in
        the order in which they were found.
    n_features_in_ : int
        Number of columns of the table.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the table's columns. Defined only when they are all strings.

    See Also
    --------
    FieldEncoder : Encodes a table, crosses included, as a sparse matrix with fields.
    sklearn.preprocessing.TargetEncoder : Means of the target for single columns.

    Notes
    -----
    ``fit(X, y).transform(X)`` is not ``fit_transform(X, y)`` where crosses enter by
    statistics: in `fit_transform`, those of a row are of the rows in other folds, so
    that its own target has no part in them. Train on what `fit_transform` returns, as
    a Pipeline does.

    The target is used. In cross-validation put the transformer into a Pipeline, so
    that crosses are learnt from each training part alone.

    The search looks at 200,000 rows at most, fewer where there are many columns, and
    scores triples above the best pairs only: its time and memory are bounded.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from skfm.encoding import FieldCrosses
    >>> rng = np.random.RandomState(0)
    >>> X = pd.DataFrame(rng.randint(5, size=(2000, 3)), columns=["a", "b", "c"])
    >>> y = (X["a"] == X["c"]) + 0.1 * rng.normal(size=2000)
    >>> crosses = FieldCrosses(random_state=0).fit(X, y)
    >>> [cross.name for cross in crosses.crosses_]
    ['a x c']
    >>> crosses.transform(X[:3])["a x c"].tolist()
    ['4 x 3', '3 x 1', '3 x 4']
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "crosses": [StrOptions({"auto"}), "array-like"],
        "max_crosses": [Interval(Integral, 0, None, closed="left")],
        "max_degree": [Interval(Integral, 2, 3, closed="both")],
        "min_count": [Interval(Integral, 1, None, closed="left")],
        "statistics": ["boolean"],
        "categorical_features": [StrOptions({"from_dtype", "all"}), "array-like", None],
        "target_type": [StrOptions({"auto", *TARGET_TYPES})],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        *,
        crosses: Any = "auto",
        max_crosses: int = 5,
        max_degree: int = 3,
        min_count: int = 2,
        statistics: bool = True,
        categorical_features: Any = "from_dtype",
        target_type: str = "auto",
        random_state: Any = None,
    ) -> None:
        self.crosses = crosses
        self.max_crosses = max_crosses
        self.max_degree = max_degree
        self.min_count = min_count
        self.statistics = statistics
        self.categorical_features = categorical_features
        self.target_type = target_type
        self.random_state = random_state

    @fit_context
    def fit(self, X: Any, y: Any) -> FieldCrosses:
        """Find the crosses and learn their levels.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
            The table: pandas, polars or another that narwhals reads, or an array.
        y : array-like of shape (n_samples,)
            The target.

        Returns
        -------
        self : FieldCrosses

        Raises
        ------
        ValueError, TypeError
            When a column can't be read, or the target is not of one column.
        """
        self._learn(X, y)
        return self

    @fit_context
    def fit_transform(self, X: Any, y: Any) -> Any:
        """Find the crosses, and add them to the same rows.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
            The table.
        y : array-like of shape (n_samples,)
            The target.

        Returns
        -------
        X_out : DataFrame or ndarray of shape (n_samples, n_features_out)
            The table with the crosses; statistics are out of fold.
        """
        return self._output(*self._learn(X, y))

    def transform(self, X: Any) -> Any:
        """Add the crosses to rows.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
            A table with the columns of `fit`.

        Returns
        -------
        X_out : DataFrame or ndarray of shape (n_samples, n_features_out)
            Of a DataFrame, one of the same library, in which crosses are categorical
            columns, with missing cells for combinations not known. Of an array, an
            array; crosses are numbers of levels, the largest for unknown ones.
        """
        check_is_fitted(self)
        table = as_table(X)
        validate_data(self, table, reset=False, skip_check_array=True)
        codes = self._coded.encode(read_columns(table))
        return self._output(table, self._crosses.encode(codes))

    def get_feature_names_out(
        self, input_features: ArrayLike | None = None
    ) -> NDArray[Any]:
        """Return the names of the columns: the table's, then those of the crosses.

        Parameters
        ----------
        input_features : array-like of str of shape (`n_features_in_`,), default=None
            Names of the table's columns, where it had none during `fit`.

        Returns
        -------
        names : ndarray of str objects of shape (n_features_out,)
        """
        names = super().get_feature_names_out(input_features)
        return np.array([*names, *self._cross_names(list(names))], dtype=object)

    @property
    def crosses_(self) -> list[CrossInfo]:
        """The crosses in the order in which they were found."""
        check_is_fitted(self)
        columns = self._names()
        return [
            CrossInfo.of(name, self._coded.names_of(item.fields, columns), item)
            for name, item in zip(
                self._cross_names(columns), self._crosses.items, strict=True
            )
        ]

    def _learn(self, X: Any, y: Any) -> tuple[Any, list[NDArray[np.int32]]]:
        """Learn; return the table and the levels of its rows."""
        table = as_table(X)
        validate_data(self, table, reset=True, skip_check_array=True)
        columns = read_columns(table)
        target = Target.read(y, len(columns[0]), self.target_type, type(self).__name__)
        coded, codes = CodedTable.learn(
            columns, self._names(), self._categorical(columns)
        )
        random_state = check_random_state(self.random_state)
        if isinstance(self.crosses, str):
            found = self._search(columns, coded, codes, target, random_state)
        else:
            found = [(c, _UNKNOWN) for c in self._asked(coded)]
        self._coded = coded
        self._crosses, levels = Crosses.learn(
            found,
            codes,
            coded.widths,
            target.values,
            min_count=self.min_count,
            random_state=random_state,
        )
        return table, levels

    def _names(self) -> list[Any]:
        if hasattr(self, "feature_names_in_"):
            return list(self.feature_names_in_)
        return [f"x{j}" for j in range(self.n_features_in_)]

    def _cross_names(self, columns: list[Any]) -> list[str]:
        return [
            " x ".join(self._coded.names_of(item.fields, columns)) + item.suffix
            for item in self._crosses.items
        ]

    def _categorical(self, columns: list[pd.Series]) -> NDArray[np.bool_]:
        encoder = FieldEncoder(categorical_features=self.categorical_features)
        named = hasattr(self, "feature_names_in_")
        blocks = make_blocks(
            columns, self._names(), named=named, params=encoder.get_params()
        )
        return np.array([not isinstance(block, NumberBlock) for block in blocks])

    def _asked(self, coded: CodedTable) -> list[Candidate]:
        """Return the crosses that the user asks for.

        Raises
        ------
        ValueError
            When one is no tuple of two or more different columns of the table.
        """
        names, named = self._names(), hasattr(self, "feature_names_in_")
        candidates = []
        for cross in self.crosses:
            if isinstance(cross, str) or not np.iterable(cross) or len(set(cross)) < 2:
                raise ValueError(
                    f"crosses holds {cross!r}, which is not a tuple of two or more "
                    'different columns. Use a list such as [("month", "day")].'
                )
            columns = {column_position(c, names, named, "crosses") for c in cross}
            fields = tuple(coded.field_of(column) for column in sorted(columns))
            candidates.append(Candidate(fields))
        return candidates

    def _search(
        self,
        columns: list[pd.Series],
        coded: CodedTable,
        codes: Codes,
        target: Target,
        random_state: np.random.RandomState,
    ) -> list[tuple[Candidate, Evidence]]:
        if target.is_constant:
            return []
        fine = coded.fine_bins(columns)
        model = additive_model(
            [*codes.T, *(code for code, _ in fine)],
            [*coded.widths, *(width for _, width in fine)],
            target.values,
            logistic=target.is_logistic,
        )
        search = CrossSearch(
            codes,
            coded.widths,
            target.values,
            coded.sources,
            max_crosses=self.max_crosses,
            max_degree=self.max_degree,
            min_count=self.min_count,
            statistics=self.statistics,
        )
        return search.run(model, random_state)

    def _output(self, table: Any, levels: Sequence[NDArray[np.int32]]) -> Any:
        if not is_frame(table):
            kind = object if self._coded.has_categories else np.float64
            return append_numbers(table.astype(kind), levels)
        labels = [
            item.labels(self._coded.labels_of(item.fields))
            for item in self._crosses.items
        ]
        names = self._cross_names(self._names())
        return append_columns(table, names, levels, labels)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        tags.input_tags.allow_nan = True
        tags.target_tags.required = True
        tags.transformer_tags.preserves_dtype = []
        return tags
