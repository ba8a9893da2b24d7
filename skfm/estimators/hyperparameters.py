"""Hyper-parameters shared by all estimators, each declared once."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral, Real
from os import PathLike
from typing import Any, Self

from sklearn.base import BaseEstimator
from sklearn.metrics import get_scorer_names

from .._sklearn import Interval, StrOptions
from ..optim import OPTIMIZERS
from .params import Parametrized, param


class SharedParameters(Parametrized):
    """Parameters of the embeddings, of training and of the run of a fit."""

    n_factors: int = param(
        default=16,
        valid=[Interval(Integral, 1, None, closed="left")],
        doc="""int
            Length k of each column's embedding.""",
    )
    init_scale: float = param(
        default=0.05,
        valid=[Interval(Real, 0, None, closed="left")],
        doc="""float
            Standard deviation of the initial embeddings. If it is close to zero, the
            interactions stay near zero for many epochs, as V = 0 is a saddle point.""",
    )
    init_from: Any = param(
        default=None,
        valid=[BaseEstimator, Mapping, str, PathLike, None],
        doc="""fitted estimator, mapping, path or None
            Fitted estimator of this package from whose embeddings training starts. It
            must have been fitted on the same columns with the same ``n_factors``. Its
            linear weights and intercept are used too if both models have them and the
            same target. A path names a file written by `skfm.save`, which is read in
            each fit; if it holds a Pipeline, the last step is used. If it has several
            members, each member starts from another of them. Clones share the
            estimator. In the values of a parameter grid, wrap the estimator in
            `sklearn.frozen.FrozenEstimator`; otherwise scikit-learn clones it and drops
            what it has learned. A mapping gives vectors that were made elsewhere: from
            columns of the table to DataFrames whose index holds categories, or to
            mappings from categories to vectors of length ``n_factors``; of a matrix,
            from columns to vectors. Categories that it does not name, or that do not
            occur, are no error.""",
    )
    freeze: bool = param(
        default=False,
        valid=["boolean"],
        doc="""bool
            Whether to keep the embeddings fixed during training, at the values of
            ``init_from``, and at zero for columns that it has not seen. If
            ``init_from`` is a mapping, only the embeddings that it gives are fixed.""",
    )
    alpha_linear: float = param(
        default=0.001,
        valid=[Interval(Real, 0, None, closed="left")],
        doc="""float
            Strength of the L2 penalty on the linear weights that a row looks up: the
            penalty ``alpha_linear / 2 * sum((x_i w_i)**2)`` over the entries of the row
            is added to its loss.""",
    )
    alpha_factors: float | str = param(
        default="auto",
        valid=[StrOptions({"auto"}), Interval(Real, 0, None, closed="left")],
        doc="""float or "auto"
            Strength of the L2 penalty on the embeddings that a row looks up: the
            penalty ``alpha_factors / 2 * sum(norm(x_i v_i)**2)`` over the entries of
            the row is added to its loss. "auto" is 0.03 up to 3,000 rows and falls as a
            power of their number to 0.01 from 30,000 rows on, which `partial_fit`
            takes in any case; for rankers that draw no ``negatives`` it is 0.003.""",
    )
    alpha: float = param(
        default=0.0001,
        valid=[Interval(Real, 0, None, closed="left")],
        doc="""float
            Strength of the L2 penalty on the network's dense weight matrices.""",
    )
    optimizer: str = param(
        default="adagrad",
        valid=[StrOptions(OPTIMIZERS.keys() - {"momentum"})],
        doc="""{"adagrad", "adam", "sgd", "ftrl"}
            Optimizer of the linear weights and embeddings. It updates only the columns
            that occur in the batch. "ftrl" is Adagrad with an exact L1 penalty; "sgd"
            can use ``momentum``. Dense weights are always trained by Adam.""",
    )
    learning_rate: float | str = param(
        default="auto",
        valid=[StrOptions({"auto"}), Interval(Real, 0, None, closed="neither")],
        doc="""float or "auto"
            Learning rate of ``optimizer``. "auto" is 0.1, or one over the average
            number of entries in a row if that is less. For Adam it is 0.01 up to 3,000
            rows and for rankers, and falls as a power of the number of rows to 0.003
            from 30,000 rows on, which `partial_fit` takes in any case.""",
    )
    network_learning_rate: float = param(
        default=0.003,
        valid=[Interval(Real, 0, None, closed="neither")],
        doc="""float
            Learning rate of Adam for the intercept and the dense weights.""",
    )
    n_members: int | str = param(
        default="auto",
        valid=[StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        doc="""int or "auto"
            Number of networks that are trained, each with other held-out rows for early
            stopping and another seed, and whose raw scores are averaged. "auto" is 4
            from 1,000 to 20,000 rows, fewer of fewer rows and of more, and 1 below 100
            and from 130,000 rows on, for datasets, and where `fit` holds no rows
            out.""",
    )
    batch_size: int | str = param(
        default="auto",
        valid=[StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        doc="""int or "auto"
            Number of rows per step. "auto" takes all rows if there are fewer than 64.
            Of more it takes a 256th of the rows, at most 8192 and at least 256, or
            twice the square root of their number if that is less.""",
    )
    max_iter: int = param(
        default=100,
        valid=[Interval(Integral, 1, None, closed="left")],
        doc="""int
            Maximum number of epochs.""",
    )
    early_stopping: bool | str = param(
        default="auto",
        valid=[StrOptions({"auto"}), "boolean"],
        doc="""bool or "auto"
            Whether to stop training when the ``scoring`` of held-out rows no longer
            improves, and to keep the weights of the best epoch. "auto" means True,
            unless there are fewer than 64 rows and no ``X_val`` is given.""",
    )
    validation_fraction: float = param(
        default=0.1,
        valid=[Interval(Real, 0, 1, closed="neither")],
        doc="""float
            Fraction of the rows held out for early stopping when no ``X_val`` is given.
            The split is stratified for classifiers.""",
    )
    n_iter_no_change: int = param(
        default=5,
        valid=[Interval(Integral, 1, None, closed="left")],
        doc="""int
            Number of epochs without improvement after which training stops.""",
    )
    scoring: Any = param(
        default="loss",
        valid=[StrOptions({"loss", *get_scorer_names()}), callable],
        doc="""str or callable
            Score of the held-out rows that early stopping maximises and
            ``validation_scores_`` records. "loss" is minus the mean loss. Other names
            are those of scikit-learn's scorers. A callable
            ``scoring(estimator, X, y)`` is given the held-out rows as `fit` was, and
            ``sample_weight`` if they have weights.""",
    )
    tol: float = param(
        default=1e-7,
        valid=[Interval(Real, 0, None, closed="left")],
        doc="""float
            Smallest increase of the held-out score that counts as an improvement.""",
    )
    fields: Any = param(
        default="auto",
        valid=[StrOptions({"auto"}), "array-like"],
        doc=""""auto" or array-like
            Fields of the columns, as the sizes of consecutive blocks of columns or as
            one label per column. "auto" makes each column of a table or of a dense X a
            field, but joins dummies of one variable, and infers the blocks of a one-hot
            encoded sparse X. For models that need no fields, "auto" means no fields,
            unless X is a table that is encoded.""",
    )
    field_pooling: str = param(
        default="sum",
        valid=[StrOptions({"sum", "mean"})],
        doc="""{"sum", "mean"}
            Pooling of several values of a field in one row. "sum" adds their
            embeddings; "mean" first divides each value by the number of the field's
            values in the row. In a table that is encoded, this concerns cells that
            hold lists.""",
    )
    categorical_features: Any = param(
        default="from_dtype",
        valid=[StrOptions({"from_dtype", "all"}), "array-like", None],
        doc="""{"from_dtype", "all"}, array-like or None
            Categorical columns of a table. "from_dtype" selects the columns of a
            DataFrame that have no numeric dtype, "all" selects all columns, and an
            array-like selects columns by names, indices or a boolean mask. A DataFrame,
            or an array of which columns are selected, is encoded as by the default
            `FieldEncoder`: a category by a column, with one more for unknown and one
            for missing cells; numbers by their value and by bins; truth values by one
            column; dates by elapsed time and parts of the calendar. Cells that hold
            lists or dicts are always categories, except lists of floats, which are
            vectors. With None, and for arrays and sparse matrices (also as a DataFrame
            of sparse columns), X must be numeric and is used as it is.""",
    )
    shared_categories: Any = param(
        default=None,
        valid=["array-like", None],
        doc="""list of lists or None
            Groups of columns of a table that share their categories, by names or
            indices: ``[["clicked", "shown"]]``. They are categorical in any case. A
            category has one embedding, whichever column of its group it is in. The
            columns of a group are one field, to which the entries of all their cells
            are added.""",
    )
    crosses: Any = param(
        default="auto",
        valid=[StrOptions({"auto"}), "array-like", None],
        doc=""""auto", list of tuples or None
            Crosses to add: pairs and triples of the table's columns, as tuples of names
            or indices. "auto" searches for crosses that explain what single columns
            leave unexplained, by cross-fitting, as `FieldCrosses` does; it finds none
            where nothing interacts. `FMClassifier` and `FMRegressor` keep those that a
            short Bayesian fit leaves unexplained. None adds no crosses. The first fit
            determines the crosses; later fits with ``warm_start`` or by `partial_fit`
            keep them. If X is a dataset, or not a table that is encoded, "auto" adds
            none.""",
    )
    warn_unknown: bool = param(
        default=False,
        valid=["boolean"],
        doc="""bool
            Whether to warn, when a table is encoded, of the number of cells in each
            column that are missing or hold an unknown category.""",
    )
    dtype: str = param(
        default="auto",
        valid=[StrOptions({"auto", "float32", "float64"})],
        doc="""{"auto", "float32", "float64"}
            Floating-point type of all weights and arithmetic. "auto" is float32 from
            1,000 rows on, and the floating-point type of X below that.""",
    )
    device: str = param(
        default="cpu",
        valid=[str],
        doc="""str
            Torch device to train on, such as "cpu", "cuda" or "cuda:1". Predictions are
            computed on the device of the last training, and on the CPU after
            loading.""",
    )
    n_jobs: int | None = param(
        default=None,
        valid=[Integral, None],
        doc="""int or None
            Number of threads of a fit or a prediction. None and -1 mean all cores that
            the process may use. Small data use one thread.""",
    )
    warm_start: bool = param(
        default=False,
        valid=["boolean"],
        doc="""bool
            Whether `fit` continues from the weights of the previous call.""",
    )
    checkpoint: Any = param(
        default=None,
        valid=[str, PathLike, None],
        doc="""path or None
            Directory in which `fit` saves its state after each epoch. If the fit is
            interrupted, the same fit of the same rows, in this process or a new one,
            continues from that state and gives the same bits as an uninterrupted fit.
            ``random_state`` must be an int. The file is as large as the weights, the
            optimizer's state and the best epoch's weights together. `fit` removes it
            when it ends.""",
    )
    cache: Any = param(
        default=None,
        valid=[str, PathLike, None],
        doc="""path or None
            Directory that keeps the encoded rows of a dataset that is larger than
            memory, for later fits of the same files. It needs 8 to 10 bytes for each
            entry, and 12 for those of a libffm file that are not one. None: they are in
            a temporary directory, which `fit` removes when it ends. Data in memory are
            not written.""",
    )
    random_state: Any = param(
        default=None,
        valid=["random_state"],
        doc="""int, RandomState instance or None
            Seed or generator of the initial weights, shuffling, dropout and the choice
            of held-out rows. Pass an int for reproducible results.""",
    )
    verbose: int = param(
        default=0,
        valid=["verbose"],
        doc="""int
            Verbosity level; 1 prints a line per epoch, and one if kernels are compiled,
            which a fit then waits for.""",
    )

    def __sklearn_clone__(self) -> Self:
        """Return an unfitted copy that shares ``init_from``."""
        twin: Self = super().__sklearn_clone__()
        if hasattr(self.init_from, "network_") or isinstance(self.init_from, Mapping):
            twin.init_from = self.init_from
        return twin
