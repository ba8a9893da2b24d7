"""The hyper-parameters that all estimators share, declared once."""

from __future__ import annotations

from numbers import Integral, Real
from os import PathLike
from typing import Any, Self

from sklearn.base import BaseEstimator

from .._sklearn import Interval, StrOptions
from .checks import check_layer_sizes
from .params import Parametrized, param


class SharedParameters(Parametrized):
    """Parameters of the table, of training, and of how a fit runs."""

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
            Standard deviation of the initial embeddings. Near zero the interactions
            stay there for many epochs: V = 0 is a saddle point.""",
    )
    init_from: Any = param(
        default=None,
        valid=[BaseEstimator, str, PathLike, None],
        doc="""fitted estimator, path or None
            A fitted estimator of this package, on the same columns and with the same
            ``n_factors``, whose embeddings to start from; its linear weights and
            intercept too, where both models have some and the same target. A path is
            that of a file by `skfm.save`, read in each fit; of a Pipeline in it, the
            last step is taken. Clones share an estimator. Among the values of a
            parameter grid, wrap an estimator in `sklearn.frozen.FrozenEstimator`, lest
            scikit-learn unfit it.""",
    )
    freeze: bool = param(
        default=False,
        valid=["boolean"],
        doc="""bool
            Whether training leaves the embeddings as they start: those of
            ``init_from``, and zero for columns that it has not seen.""",
    )
    alpha_linear: float = param(
        default=0.001,
        valid=[Interval(Real, 0, None, closed="left")],
        doc="""float
            L2 strength on the linear weights, where they are looked up: the loss of a
            row grows by ``alpha_linear / 2 * sum((x_i w_i)**2)`` over its entries.""",
    )
    alpha_factors: float = param(
        default=0.003,
        valid=[Interval(Real, 0, None, closed="left")],
        doc="""float
            L2 strength on the embeddings, where they are looked up: the loss of a row
            grows by ``alpha_factors / 2 * sum(norm(x_i v_i)**2)`` over its entries.""",
    )
    alpha: float = param(
        default=0.0001,
        valid=[Interval(Real, 0, None, closed="left")],
        doc="""float
            L2 strength on the network's dense weight matrices.""",
    )
    optimizer: str = param(
        default="adagrad",
        valid=[StrOptions({"adagrad", "adam", "sgd", "ftrl"})],
        doc="""{"adagrad", "adam", "sgd", "ftrl"}
            Optimizer of linear weights and embeddings. It updates only the columns in
            the batch. "ftrl" is Adagrad but for L1, which it counts exactly; "sgd" may
            have ``momentum``. Dense weights always have Adam.""",
    )
    learning_rate: float | str = param(
        default="auto",
        valid=[StrOptions({"auto"}), Interval(Real, 0, None, closed="neither")],
        doc="""float or "auto"
            Of ``optimizer``. "auto": 0.1 below 10,000 rows and for rankers, else 0.03,
            and a tenth of that for Adam.""",
    )
    network_learning_rate: float = param(
        default=0.003,
        valid=[Interval(Real, 0, None, closed="neither")],
        doc="""float
            Of the Adam that trains the intercept and the dense weights.""",
    )
    batch_size: int | str = param(
        default="auto",
        valid=[StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        doc="""int or "auto"
            Rows per step. "auto" takes all rows up to 256, and above that grows with
            the data from 256 to 8192.""",
    )
    max_iter: int = param(
        default=100,
        valid=[Interval(Integral, 1, None, closed="left")],
        doc="""int
            Epochs at most.""",
    )
    early_stopping: bool | str = param(
        default="auto",
        valid=[StrOptions({"auto"}), "boolean"],
        doc="""bool or "auto"
            Whether to stop when the loss on held-out rows no longer falls, and to keep
            the weights of the best epoch. "auto": from 10,000 rows on, or when
            ``X_val`` is given.""",
    )
    validation_fraction: float = param(
        default=0.1,
        valid=[Interval(Real, 0, 1, closed="neither")],
        doc="""float
            Share of the rows held out for early stopping when no ``X_val`` is given;
            stratified for classifiers.""",
    )
    n_iter_no_change: int = param(
        default=3,
        valid=[Interval(Integral, 1, None, closed="left")],
        doc="""int
            Epochs without improvement after which training stops.""",
    )
    tol: float = param(
        default=1e-7,
        valid=[Interval(Real, 0, None, closed="left")],
        doc="""float
            What counts as an improvement of the held-out loss.""",
    )
    fields: Any = param(
        default="auto",
        valid=[StrOptions({"auto"}), "array-like"],
        doc=""""auto" or array-like
            Which columns belong together: the sizes of consecutive blocks, or one label
            per column. "auto" gives each column of a table or dense X a field and
            infers the blocks of a one-hot sparse X. Models that need no fields use
            "auto" as none, unless X is a table that is encoded.""",
    )
    field_pooling: str = param(
        default="sum",
        valid=[StrOptions({"sum", "mean"})],
        doc="""{"sum", "mean"}
            What becomes of several values of a field in one row: their embeddings are
            added, or each value is first divided by the number of the field's values
            in the row. In a table that is encoded, this concerns cells that hold
            lists.""",
    )
    categorical_features: Any = param(
        default="from_dtype",
        valid=[StrOptions({"from_dtype", "all"}), "array-like", None],
        doc="""{"from_dtype", "all"}, array-like or None
            Columns of a table that are categories: those of a DataFrame that are not
            of a numeric dtype, all columns, those given by names, indices or a boolean
            mask, or none. A DataFrame, and an array of which columns are named, is
            encoded as `FieldEncoder` does by default: a column per category, one for
            unknown and one for missing cells; numbers by their value and by bins;
            truth values by one column; dates by elapsed time and parts of the calendar.
            Cells that hold lists or dicts are categories in any case, but for lists of
            floats, which are vectors. With None, and for arrays and sparse matrices
            (also as a DataFrame of sparse columns), X must be all numbers, and they are
            taken as they are.""",
    )
    crosses: Any = param(
        default=None,
        valid=[StrOptions({"auto"}), "array-like", None],
        doc=""""auto", list of tuples or None
            Pairs and triples of a table's columns to add as columns: those that explain
            what single columns leave, found by cross-fitting as `FieldCrosses` does;
            those given, by names or indices; or none. They are settled by the first
            fit; later ones, with ``warm_start`` or by `partial_fit`, keep them. Where X
            is no table that is encoded, "auto" finds none.""",
    )
    warn_unknown: bool = param(
        default=False,
        valid=["boolean"],
        doc="""bool
            Whether encoding a table warns how many cells of each column were of no
            known category, or missing.""",
    )
    dtype: str = param(
        default="auto",
        valid=[StrOptions({"auto", "float32", "float64"})],
        doc="""{"auto", "float32", "float64"}
            Of all weights and arithmetic. "auto": float32 from 1,000 rows on, below
            that X's own floating type.""",
    )
    device: str = param(
        default="cpu",
        valid=[str],
        doc="""str
            torch device to train on, such as "cpu", "cuda" or "cuda:1"; predictions run
            where the last training ran, and those of a loaded model on the CPU.""",
    )
    n_jobs: int | None = param(
        default=None,
        valid=[Integral, None],
        doc="""int or None
            Threads of one fit or predict; None and -1 mean all cores the process may
            use. Small data use one.""",
    )
    warm_start: bool = param(
        default=False,
        valid=["boolean"],
        doc="""bool
            Whether `fit` goes on from the weights of the last call.""",
    )
    checkpoint: Any = param(
        default=None,
        valid=[str, PathLike, None],
        doc="""path or None
            Directory in which `fit` keeps its state after each epoch. If it is cut
            short, the same fit of the same rows, in this process or a new one, goes on
            from there and ends with the same bits as an uninterrupted one. Needs an
            int as ``random_state``. The file is as large as the weights, the
            optimizer's state and the best epoch's weights; `fit` removes it at its
            end.""",
    )
    random_state: Any = param(
        default=None,
        valid=["random_state"],
        doc="""int, RandomState instance or None
            Determines initial weights, shuffling, dropout and the held-out rows.""",
    )
    verbose: int = param(
        default=0,
        valid=["verbose"],
        doc="""int
            1 prints a line per epoch.""",
    )

    def __sklearn_clone__(self) -> Self:
        """An unfitted copy that shares the fitted estimator to start from."""
        twin: Self = super().__sklearn_clone__()
        if hasattr(self.init_from, "network_"):
            twin.init_from = self.init_from
        return twin


class MLPParameters(Parametrized):
    """Parameters of the multi-layer perceptron of a deep model."""

    hidden_layer_sizes: Any = param(
        default=(128, 64),
        valid=["array-like", Interval(Integral, 1, None, closed="left")],
        doc="""tuple of int, or int
            Units of each hidden layer.""",
    )
    activation: str = param(
        default="relu",
        valid=[StrOptions({"relu", "tanh", "sigmoid", "gelu", "silu", "identity"})],
        doc="""{"relu", "tanh", "sigmoid", "gelu", "silu", "identity"}
            Of the hidden layers.""",
    )
    dropout: float | str = param(
        default="auto",
        valid=[StrOptions({"auto"}), Interval(Real, 0, 1, closed="left")],
        doc="""float or "auto"
            Probability of dropping a unit of a hidden layer in training. "auto": 0.2,
            and 0 where all rows make one batch, which keeps the fit of tiny data exact
            under sample weights.""",
    )
    batch_norm: bool = param(
        default=False,
        valid=["boolean"],
        doc="""bool
            Whether hidden layers are batch-normalised before their activation.""",
    )
    precision: str = param(
        default="full",
        valid=[StrOptions({"full", "bfloat16"})],
        doc="""{"full", "bfloat16"}
            Of the hidden layers' matrix products. "bfloat16" keeps 8 bits of each
            number and is up to twice as fast on processors that compute with it (Intel
            from Sapphire Rapids on, AMD from Zen 4 on, most GPUs), for wide layers and
            large batches; the weights stay as ``dtype`` says. No effect in
            float64.""",
    )

    def _mlp_options(self, full_batch: bool) -> dict[str, Any]:
        """Keywords of `skfm.nn.layers.MLP`."""
        sizes = check_layer_sizes("hidden_layer_sizes", self.hidden_layer_sizes)
        return {
            "hidden_layer_sizes": sizes,
            "activation": self.activation,
            "dropout": auto_dropout(self.dropout, 0.2, full_batch),
            "batch_norm": self.batch_norm,
            "precision": self.precision,
        }


def auto_dropout(asked: float | str, auto: float, full_batch: bool) -> float:
    """A dropout rate; "auto" is none in full-batch training."""
    if not isinstance(asked, str):
        return float(asked)
    return 0.0 if full_batch else auto
