"""Checked data of a fit, and the rows that the stochastic solver makes of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import numpy as np

from ..data.labels import Labels
from ..data.memory import MemorySource, Part
from ..data.rows import Rows
from ..data.source import RowSource
from ..data.transfer import torch_dtype
from ..losses import Loss, OffsetLoss, RankingLoss, as_target
from ..runtime.lazy import torch
from . import defaults, holding_out


class Material(NamedTuple):
    """Rows for the stochastic solver, and what to start from.

    Attributes
    ----------
    source : RowSource
    baseline : callable
        Computes the scores of the best constant on the training rows, (n_outputs,).
    chosen : ndarray of int or None
        The rows of X that are held out, if any are.
    """

    source: RowSource
    baseline: Callable[[], np.ndarray]
    chosen: np.ndarray | None = None


class FitData(Protocol):
    """Checked data of a fit, wherever the rows are.

    Attributes
    ----------
    X : CSR array or None
        The rows; None if they are not in memory.
    n_rows, n_columns : int
    streamed : bool
        Whether the rows are on disk.
    ranked : bool
        Whether rows are ranked among those of a query.
    offset : ndarray of shape (n_rows, n_outputs) or None
        Known parts of the raw scores.
    """

    @property
    def X(self) -> Any: ...
    @property
    def n_rows(self) -> int: ...
    @property
    def n_columns(self) -> int: ...
    @property
    def streamed(self) -> bool: ...
    @property
    def ranked(self) -> bool: ...
    @property
    def offset(self) -> np.ndarray | None: ...

    def in_memory(self) -> Data:
        """Return the rows with their targets.

        Raises
        ------
        ValueError
            If they are on disk.
        """

    def loss(self, model: Any) -> Loss:
        """Make the loss of an estimator's own scores."""

    def dtype(self, asked: str) -> str:
        """Return the floating type of a new model's weights."""

    def material(
        self,
        model: Any,
        loss: Loss,
        dtype: str,
        held_out: FitData | None,
        fraction: float | None,
        rng: np.random.Generator,
        taken: np.ndarray,
    ) -> Material:
        """Prepare the rows for the stochastic solver."""


class Data(NamedTuple):
    """Checked input: canonical X, encoded target, weights of the loss, queries.

    ``dense`` tells whether X was given as a dense array or a table of numbers;
    ``offset`` (n_rows, n_outputs) is in units of the raw scores.
    """

    X: Any
    target: np.ndarray
    weight: np.ndarray
    query: np.ndarray | None = None
    dense: bool = False
    offset: np.ndarray | None = None

    def in_memory(self) -> Data:
        return self

    def loss(self, model: Any) -> Loss:
        loss: Loss = model._make_loss()
        return loss if self.offset is None else OffsetLoss(loss, model._n_outputs())

    def residual(self) -> Data:
        """Subtract the offsets from the targets, where the loss is squared."""
        if self.offset is None:
            return self
        left = self.target - self.offset.reshape(self.target.shape)
        return self._replace(target=left, offset=None)

    def target_of(self, loss: Loss) -> np.ndarray:
        """Return the targets as ``loss`` takes them, with offsets where it has some."""
        if isinstance(loss, OffsetLoss) and self.offset is not None:
            return loss.join(self.offset, self.target)
        return self.target

    @property
    def streamed(self) -> bool:
        """Return whether the rows are on disk."""
        return False

    @property
    def ranked(self) -> bool:
        """Return whether rows are ranked within queries."""
        return self.query is not None

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return int(self.X.shape[0])

    @property
    def n_columns(self) -> int:
        """Number of columns."""
        return int(self.X.shape[1])

    def dtype(self, asked: str) -> str:
        """Return the floating type of a new model's weights."""
        return defaults.dtype(asked, self.X)

    def material(
        self,
        model: Any,
        loss: Loss,
        dtype: str,
        held_out: FitData | None,
        fraction: float | None,
        rng: np.random.Generator,
        taken: np.ndarray,
    ) -> Material:
        """Prepare the rows for the stochastic solver.

        Parameters
        ----------
        model : estimator
            Knows how values are pooled and labels are encoded.
        loss : Loss
        dtype : {"float32", "float64"}
        held_out : Data or None
            Rows to stop on.
        fraction : float or None
            Share of these rows to stop on instead; None: none of them.
        rng : numpy Generator
            Draws them.
        taken : ndarray of bool of shape (n_rows,)
            The rows that other members hold out, where this one is added.

        Raises
        ------
        ValueError
            If training rows or held-out rows would have no weight, or held-out rows no
            NDCG to stop on.
        """
        train, rest = np.arange(self.n_rows), None
        if fraction is not None:
            train, rest = self._hold_out(model, fraction, rng, taken)
        part, other = self._part(model, loss, dtype)._replace(chosen=train), None
        if held_out is not None:
            other = held_out.in_memory()._part(model, loss, dtype)
        elif rest is not None:
            other = part._replace(chosen=rest)
        if other is not None and isinstance(loss, RankingLoss):
            loss.check_held_out(other.labels.target[torch.from_numpy(other.chosen)])
        return Material(
            MemorySource(part, other),
            lambda: loss.baseline(self.target_of(loss)[train], self.weight[train]),
            rest,
        )

    def _hold_out(
        self,
        model: Any,
        fraction: float,
        rng: np.random.Generator,
        taken: np.ndarray,
    ) -> holding_out.Split:
        """Split the rows into those to learn from and those to stop on."""
        if self.query is None:
            labels = model._labels(self.target)
            rows, share = holding_out.left_over(taken, fraction)
            own = None if labels is None else labels[rows]
            chosen = rows[holding_out.hold_out(len(rows), share, own, rng)]
        else:
            by_query = model.hold_out == "queries"
            if model.hold_out == "auto":
                by_query = not holding_out.own_weights(self.X, self.query)
            chosen = holding_out.hold_out_ranked(
                fraction,
                rng,
                query=self.query,
                relevance=self.target,
                taken=taken,
                by_query=by_query,
            )
        taken[chosen] = True
        return holding_out.split(self.weight, chosen)

    def _part(self, model: Any, loss: Loss, dtype: str) -> Part:
        """All rows."""
        kind = torch_dtype(dtype)
        target = as_target(loss, self.target_of(loss), kind)
        # Scaled in float64: only the ratios of weights matter.
        weight = torch.from_numpy(self.weight / self.weight.mean()).to(kind)
        rows, labels = Rows(self.X, dtype, model._mean_fields), Labels(target, weight)
        part = Part(rows, labels, np.arange(self.n_rows))
        return part if self.query is None else part._replace(query=self.query)


def check_held_out(data: FitData, held_out: FitData | None) -> None:
    """Refuse held-out rows on disk beside training rows in memory.

    Raises
    ------
    ValueError
    """
    if held_out is not None and held_out.streamed and not data.streamed:
        raise ValueError(
            "X_val is a dataset, but X is not: pass X_val as a table, for instance "
            "X_val.to_table(), and y_val as an array."
        )
