"""FieldCrosses: the transformer that adds crosses to a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from ..._sklearn import Interval, StrOptions, check_sample_weight, fit_context
from ...persistence.estimators import SavedEstimator
from ...persistence.records import require, saved
from ...persistence.values import Unpacker
from ...runtime.attributes import on_snapshot, publish, snapshot
from ..blocks import Block
from ..codec import TableCodec
from ..encoder import FieldEncoder
from ..nested import NestedBlock
from ..tables import as_table, is_frame, read_columns
from .crosses import CrossInfo
from .fields import crossable_fields, field_codes
from .learning import CrossOptions, learn_crosses
from .levels import Codes
from .output import append_columns, append_numbers
from .target import TARGET_TYPES, Target

__all__ = ["FieldCrosses"]


@saved("estimator")
class FieldCrosses(
    OneToOneFeatureMixin, TransformerMixin, SavedEstimator, BaseEstimator
):
    """Add to a table the crosses of columns that a model of single columns lacks.

    A cross is a column whose categories are the combinations of categories of two or
    three columns. `fit` searches for the pairs and triples that explain the residuals
    of an additive model out of fold. It adds the best one and repeats the search, until
    none is significant. If no columns interact, nothing is added.

    If few rows share a combination of a pair, as with users and items, the pair can be
    added by its *statistics*: the number of other rows with the combination, up to
    three, and the mean of their targets, both in bins.

    Numbers are crossed by their coarse or fine bins. Integers that repeat are also
    crossed by their values. These are the fields of `FieldEncoder`.

    Read more in the user guide on crosses.

    Parameters
    ----------
    crosses : "auto" or list of tuples, default="auto"
        Crosses to add: those that the search finds, or a list of tuples of columns,
        given by names or indices.
    max_crosses : int, default=5
        Largest number of crosses to find.
    max_degree : {2, 3}, default=3
        Largest number of columns in a cross that is found.
    min_count : int, default=2
        Smallest number of rows of a combination. Rarer combinations are unknown, and
        their cells in the new column are missing.
    statistics : bool, default=True
        Whether pairs can be added by the count and the mean of the target. They are not
        if the target has more than two classes.
    categorical_features : {"from_dtype", "all"}, array-like or None, \
default="from_dtype"
        Selection of the categorical columns, as in `FieldEncoder`.
    target_type : {"auto", "binary", "multiclass", "continuous"}, default="auto"
        Kind of target. "auto" infers it with
        :func:`~sklearn.utils.multiclass.type_of_target`, which treats integers as
        classes: pass "continuous" for counts and ratings.
    random_state : int, RandomState instance or None, default=None
        Random state that draws the halves of the search and the folds of statistics.
        Pass an int for reproducible results across calls.

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
    ``fit(X, y).transform(X)`` differs from ``fit_transform(X, y)`` if crosses are added
    by statistics. In `fit_transform`, the statistics of a row are computed from the
    rows of other folds, so that they do not include its own target. Train on the result
    of `fit_transform`, as a Pipeline does.

    The transformer uses the target. In a cross-validation, make it a step of a
    Pipeline, so that crosses are learned from the training rows of each fold alone.

    The search uses at most 200,000 rows, and fewer if there are many columns. It scores
    only triples that contain one of the best pairs. Its time and memory are therefore
    bounded.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from skfm.encoding import FieldCrosses
    >>> rng = np.random.RandomState(0)
    >>> X = pd.DataFrame(rng.choice(["u", "v", "w"], (2000, 3)), columns=list("abc"))
    >>> y = (X["a"] == X["c"]) + 0.1 * rng.normal(size=2000)
    >>> crosses = FieldCrosses(random_state=0).fit(X, y)
    >>> [cross.name for cross in crosses.crosses_]
    ['a x c']
    >>> crosses.transform(X[:3])["a x c"].tolist()
    ['u x u', 'v x w', 'u x u']
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
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> FieldCrosses:
        """Find the crosses and learn their levels.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
            The table: pandas, polars or another that narwhals reads, or an array.
        y : array-like of shape (n_samples,)
            The target.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights of the rows. Whole weights are numbers of rows.

        Returns
        -------
        self : FieldCrosses

        Raises
        ------
        ValueError, TypeError
            When a column cannot be read, or the target has several columns.
        """
        publish(self, self._learn(X, y, sample_weight)[0])
        return self

    @fit_context
    def fit_transform(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Find the crosses, and add them to the same rows.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
            The table.
        y : array-like of shape (n_samples,)
            The target.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights of the rows.

        Returns
        -------
        X_out : DataFrame or ndarray of shape (n_samples, n_features_out)
            The table with the crosses; statistics are out of fold.
        """
        draft, table, levels = self._learn(X, y, sample_weight)
        publish(self, draft)
        return draft._output(table, levels)

    @on_snapshot
    def transform(self, X: Any) -> Any:
        """Add the crosses to rows.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
            A table with the columns of `fit`.

        Returns
        -------
        X_out : DataFrame or ndarray of shape (n_samples, n_features_out)
            Table with the crosses as further columns. For a DataFrame, it is a
            DataFrame of the same library, in which crosses are categorical columns with
            missing cells for unknown combinations. For an array, it is an array, in
            which crosses are numbers of levels, the largest for unknown combinations.
        """
        check_is_fitted(self)
        table = as_table(X)
        validate_data(self, table, reset=False, skip_check_array=True)
        codes = _codes(self._codec.blocks, read_columns(table))
        return self._output(table, self._codec.crosses.encode_codes(codes))

    @on_snapshot
    def get_feature_names_out(
        self, input_features: ArrayLike | None = None
    ) -> np.ndarray:
        """Return the names of the table's columns, then those of the crosses.

        Parameters
        ----------
        input_features : array-like of str of shape (`n_features_in_`,), default=None
            Names of the table's columns, where it had none during `fit`.

        Returns
        -------
        names : ndarray of str objects of shape (n_features_out,)
        """
        names = super().get_feature_names_out(input_features)
        crosses = self._codec.crosses.names(self._codec.blocks, names)
        return np.array([*names, *crosses], dtype=object)

    @property
    @on_snapshot
    def crosses_(self) -> list[CrossInfo]:
        """Crosses in the order in which they were found."""
        check_is_fitted(self)
        return self._codec.crosses.describe(self._codec.blocks)

    def _learn(
        self, X: Any, y: Any, sample_weight: Any
    ) -> tuple[FieldCrosses, Any, list[np.ndarray]]:
        """Return a fitted draft, the table, and the levels of its rows."""
        draft, table = snapshot(self), as_table(X)
        validate_data(draft, table, reset=True, skip_check_array=True)
        columns = read_columns(table)
        target = Target.read(y, len(columns[0]), self.target_type, type(self).__name__)
        if sample_weight is not None:
            stand_in = np.broadcast_to(0.0, (len(columns[0]), 1))
            weight = check_sample_weight(
                sample_weight, stand_in, dtype=np.float64, ensure_non_negative=True
            )
            target = target.weighed(weight)
        named = hasattr(draft, "feature_names_in_")
        names = (
            list(draft.feature_names_in_)
            if named
            else [f"x{j}" for j in range(len(columns))]
        )
        encoder = FieldEncoder(categorical_features=self.categorical_features)
        codec, _ = TableCodec.create(
            columns, names, named=named, params=encoder.get_params()
        ).learn(columns, encode=False)
        crosses, levels = learn_crosses(
            codec.blocks,
            _codes(codec.blocks, columns),
            target,
            CrossOptions(
                self.crosses,
                self.max_crosses,
                self.max_degree,
                self.min_count,
                self.statistics,
            ),
            check_random_state(self.random_state),
            named=named,
        )
        draft._codec = replace(codec, crosses=crosses)
        return draft, table, levels

    def _output(self, table: Any, levels: Sequence[np.ndarray]) -> Any:
        if is_frame(table):
            names = self._codec.crosses.names(self._codec.blocks)
            pairs = zip(
                self._codec.crosses.labels(self._codec.blocks),
                self._codec.crosses.items,
                strict=True,
            )
            known = [labels[: item.n_known] for labels, item in pairs]
            return append_columns(table, names, levels, known)
        numeric = all(isinstance(block, NestedBlock) for block in self._codec.blocks)
        return append_numbers(table.astype(np.float64 if numeric else object), levels)

    def _unpack_parts(self, parts: dict[str, Any], unpacker: Unpacker) -> None:
        if hasattr(self, "_codec"):
            require(isinstance(self._codec, TableCodec), "its codec is none")
            self._codec.check_fits(getattr(self, "n_features_in_", None))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        tags.input_tags.allow_nan = True
        tags.target_tags.required = True
        tags.transformer_tags.preserves_dtype = []
        return tags


def _codes(blocks: Sequence[Block], columns: Sequence[pd.Series]) -> Codes:
    """Return the level of each row in each field, column by column."""
    fields = crossable_fields(blocks)
    parts: list[Codes] = [np.empty((0, len(columns[0])), np.int32)]
    for number, (block, series) in enumerate(zip(blocks, columns, strict=True)):
        own = [replace(field, block=0) for field in fields if field.block == number]
        if own:
            parts.append(field_codes(own, [block.encode(block.read(series))]).T)
    return np.concatenate(parts).T
