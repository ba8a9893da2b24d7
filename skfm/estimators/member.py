"""One network of a fit by the stochastic solver, from checked data to its start."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from ..data.source import RowSource
from ..data.statistics import ColumnStatistics, column_statistics
from ..distributed.groups import communicator
from ..losses import Loss
from ..nn.footprint import Footprint, rows_in_memory
from ..nn.network import Network
from ..nn.shape import Shape
from ..optim import n_tables
from ..training.problem import Problem, State
from ..training.settings import Settings
from ..training.stochastic import Start
from . import defaults
from .data import FitData
from .init_from import same_target
from .optimization import OptimizationParameters
from .params import given_or_default
from .run import Run
from .vectors import Vectors

#: Parameters that go to the training loop as they are.
_SETTINGS = (
    "optimizer",
    "network_learning_rate",
    "alpha_linear",
    "alpha",
    "n_iter_no_change",
    "tol",
    "momentum",
    "l1_ratio_linear",
    "l1_ratio_factors",
    "clip_norm",
    "init_scale",
)


class Member:
    """One network of a fit by the stochastic solver, about to be trained.

    Parameters
    ----------
    model : estimator
        Estimator with known fields and encoding of the target, which is only read.
    data : FitData
        Training rows.
    held_out : FitData or None
        Held-out rows for early stopping.
    run : Run
        Options of this call of ``fit`` or ``partial_fit``.
    resume : bool
        Whether to continue from the weights of ``model``.
    seed : int
        Seed of all random numbers.
    source : estimator or None
        Fitted model to start from, which has been checked.
    number : int
        Number of the member.
    taken : ndarray of bool of shape (n_rows,)
        The rows that members before this one hold out.
    n_left : int
        Number of members for which there must be memory yet.
    n_threads : int

    Attributes
    ----------
    problem : Problem
    start : Start
        Input of the solver.
    known : ColumnStatistics or None
        Statistics of the rows that the network has learnt from before, if it has.
    found : ColumnStatistics
        Statistics of its training rows.
    """

    def __init__(
        self,
        model: Any,
        data: FitData,
        held_out: FitData | None,
        run: Run,
        *,
        resume: bool,
        seed: int,
        source: Any,
        number: int,
        taken: np.ndarray,
        n_left: int,
        n_threads: int,
    ) -> None:
        self._model, self._run, self._source = model, run, source
        self._number, self._n_left, self._n_threads = number, n_left, n_threads
        rng = np.random.default_rng([seed, number] if number else seed)
        stop, splits = stops(run, data, held_out)
        fraction = self._given("validation_fraction") if splits else None
        dtype = model.network_.shape.dtype if resume else data.dtype(model.dtype)
        loss = data.loss(model)
        self._material = data.material(
            model, loss, dtype, held_out, fraction, rng, taken
        )
        self.problem = self._make_problem(data, held_out, loss)
        self._shape = self._make_shape(dtype)
        self.given_vectors = self._find_given_vectors(data.n_columns, resume)
        self._settings = self._make_settings(data, stop)
        self._rng = rng
        self.known: ColumnStatistics | None = None
        state = self._go_on() if resume else self._begin()
        self.start = Start(self.problem, state, self._settings, rng)

    def _make_problem(
        self, data: FitData, held_out: FitData | None, loss: Loss
    ) -> Problem:
        source, judge, given = self._material.source, None, self._run.given
        if source.has_held_out and given is not None:
            offset = (held_out or data).offset
            chosen = self._material.chosen
            if offset is not None and chosen is not None:
                offset = offset[chosen]
            judge = given.judge(self._model, chosen, offset)
        return Problem(loss, source, judge)

    @property
    def _max_iter(self) -> int:
        return self._run.iterations(defaults.EPOCHS)

    def _given(self, name: str) -> Any:
        return given_or_default(self._model, OptimizationParameters, name)

    @cached_property
    def baseline(self) -> np.ndarray:
        """Scores of the best constant on the training rows, (n_outputs,)."""
        baseline = self._material.baseline()
        if not self._run.one_pass:
            return baseline
        return self.problem.loss.cautious(baseline, self.problem.source.n_rows)

    def _make_settings(self, data: FitData, stop: bool) -> Settings:
        scheduled, n_train = not self._run.one_pass, self.problem.source.n_rows
        schedule = self._given("learning_rate_schedule") if scheduled else "constant"
        ranked = data.ranked
        # A chunk does not tell how long its stream is.
        n_rows = data.n_rows if scheduled else defaults.MANY_ROWS
        batch_size = defaults.batch_size(
            self._given("batch_size"),
            data.n_rows,
            n_train,
            rows_in_memory(
                self._model._network_class,
                self._shape,
                self._options(full_batch=False),
                self.problem.source.longest(),
            ),
        )
        # Rows of a single batch are not counted, lest two rows of equal content be
        # other than one of twice the weight.
        single = scheduled and batch_size >= n_train
        return Settings(
            max_iter=self._max_iter,
            batch_size=batch_size,
            rows_per_step=defaults.ROWS_OF_FULL_BATCH if single else None,
            early_stopping=stop,
            learning_rate=defaults.learning_rate(
                self._given("learning_rate"),
                self._given("optimizer"),
                n_rows,
                entries=self.problem.source.mean_length(),
                ranked=ranked,
            ),
            alpha_factors=defaults.alpha_factors(
                self._given("alpha_factors"), n_rows, ranked=ranked
            ),
            n_threads=self._n_threads,
            freeze=self._freezes_all,
            learning_rate_schedule=schedule,
            warmup_epochs=self._given("warmup_epochs") if scheduled else 0.0,
            **{name: self._given(name) for name in _SETTINGS},
        )

    def _n_tables(self) -> int:
        n = n_tables(self._given("optimizer"), self._max_iter)
        workers = communicator()
        # Workers have the whole weights at the start and at the end.
        return n if workers is None else 1 + -(-n // workers.size)

    def _go_on(self) -> State:
        """Make the state of a copy of the network of the estimator."""
        model, source = self._model, self.problem.source
        device, number = defaults.device(model.device), self._number
        network = model._single_network(number).copy_on(device, self._n_tables())
        network.check_memory(source.longest())
        self.found, self.known = count_rows(source, network), model._column_statistics
        new = self.found.seen & ~model._column_statistics.seen
        if self.given_vectors is not None:
            new &= ~self.given_vectors
            network.fixed_factors = self._fixed_columns()
        optimizers = model._optimizers[number : number + 1]
        return State(network, new, optimizers)

    def _make_shape(self, dtype: str) -> Shape:
        model, source = self._model, self.problem.source
        return Shape(
            n_columns=source.n_columns,
            n_factors=model.n_factors,
            n_outputs=model._n_outputs(),
            fields=model.fields_,
            mean_pairs=source.mean_pairs(),
            dtype=dtype,
            device=defaults.device(model.device),
        )

    def _options(self, *, full_batch: bool) -> dict[str, Any]:
        options: dict[str, Any] = self._model._network_options(full_batch=full_batch)
        return options

    def _begin(self) -> State:
        """Make the state of a new network, with zeros for columns without entries."""
        model, source, shape = self._model, self.problem.source, self._shape
        batch_size = self._settings.batch_size
        options = self._options(full_batch=batch_size >= source.n_rows)
        Footprint(
            model._network_class,
            shape,
            options,
            self._n_tables(),
            batch_size,
            source.longest(),
            keeps_best=self._max_iter > 1,
            n_networks=self._n_left,
        ).check()
        network = model._network_class.build(shape, **options)
        network.check_memory(source.longest())
        self.found = count_rows(source, network)
        # Frozen at random, columns that a pretrained model does not know are noise.
        unknown = self._freezes_all and model.init_from is not None
        drawn = self.found.seen & (not unknown)
        network.initialize(drawn, self._rng, self._given("init_scale"))
        network.set_bias(self.baseline)
        self._inherit(network)
        return State(network)

    def _find_given_vectors(self, n_columns: int, resume: bool) -> np.ndarray | None:
        """Return the mask of the columns that ``init_from`` has vectors of, or None."""
        if resume:
            known: np.ndarray | None = getattr(self._model, "_given_vectors", None)
            return known
        if not isinstance(self._source, Vectors):
            return None
        given = np.zeros(n_columns, np.bool_)
        given[self._source.columns] = True
        return given

    @property
    def _freezes_all(self) -> bool:
        """Return whether no embedding is trained, not even of new columns."""
        return bool(self._model.freeze and self.given_vectors is None)

    def _fixed_columns(self) -> np.ndarray | None:
        """Return the mask of the columns whose embeddings are not trained, or None."""
        return self.given_vectors if self._model.freeze else None

    def _inherit(self, network: Network) -> None:
        """Start a new network from that of the pretrained model, if there is one."""
        source = self._source
        if source is None:
            return
        if isinstance(source, Vectors):
            scaling = self._model._scaling
            scale = 1.0 if scaling is None else scaling.scale[source.columns, None]
            network.set_factors(source.columns, source.vectors * scale)
            network.fixed_factors = self._fixed_columns()
            return
        known, same = source._column_statistics, same_target(self._model, source)
        network.inherit(
            source._single_network(self._number),
            known.seen,
            same_target=same,
            units=_relative_units(self._model, source),
        )
        self.known = known


def count_rows(source: RowSource, network: Network) -> ColumnStatistics:
    """Compute the statistics of the rows to learn from as a network reads them."""
    return column_statistics(source.weighty(), source.n_columns, network.prepare)


def stops(run: Run, data: FitData, held_out: FitData | None) -> tuple[bool, bool]:
    """Return whether a fit stops early, and whether it holds rows out for that."""
    given = held_out is not None
    stop = defaults.early_stopping(run.stops, data.n_rows, given=given)
    return stop, stop and not given


def _relative_units(model: Any, source: Any) -> np.ndarray | None:
    """Return how many units of another model's column make one of this model's.

    Shape (n_columns,); None where they are the same.
    """
    own, given = model._scaling, source._scaling
    if own is None and given is None:
        return None
    units: np.ndarray = (1.0 if own is None else own.scale) / source.column_scales_
    return units
