"""Checked data of a fit whose rows are on disk."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..data.labels import Labels as RowLabels
from ..data.rows import Rows
from ..data.transfer import torch_dtype
from ..losses import Loss, as_target
from ..runtime.lazy import torch
from ..streams.blocks import BlockRows, Blocks
from ..streams.cache import Cache
from ..streams.source import BlockSource, LabelledBlocks, held_out_rows, hold_out
from .data import Data, FitData, Material
from .holding_out import check_parts

__all__ = ["StreamedData", "refuse_options", "stored_dtype", "to_disk"]


@dataclass(frozen=True)
class StreamedData:
    """Checked input on disk; see `skfm.estimators.data.FitData`."""

    blocks: Blocks
    target: np.ndarray
    weight: np.ndarray
    cache: Cache
    X: Any = None
    streamed: bool = True
    ranked: bool = False
    offset: None = None

    def in_memory(self) -> Data:
        raise ValueError("The rows of a dataset are not in memory: pass a table.")

    def loss(self, model: Any) -> Loss:
        """Make the loss of an estimator's own scores."""
        loss: Loss = model._make_loss()
        return loss

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return self.blocks.n_rows

    @property
    def n_columns(self) -> int:
        """Number of columns."""
        return self.blocks.n_columns

    def dtype(self, asked: str) -> str:
        """Return the floating type of a new model's weights."""
        return self.blocks.dtype.name

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
        """Prepare the rows for the stochastic solver; see `Data.material`."""
        train, other = self._labelled(loss, dtype), None
        if fraction is not None:
            seed = int(rng.integers(2**62))
            rest = held_out_rows(self.n_rows, fraction, seed)
            check_parts(self.weight, ~rest, rest)
            other = hold_out(train, rest, self.cache)
            train = replace(train, chosen=~rest)
        elif held_out is not None:
            other = to_disk(model, held_out)._labelled(loss, dtype)
        chosen = train.chosen
        return Material(
            BlockSource(train, other),
            lambda: loss.baseline(self.target[chosen], self.weight[chosen]),
        )

    def _labelled(self, loss: Loss, dtype: str) -> LabelledBlocks:
        """All rows, with their labels."""
        kind = torch_dtype(dtype)
        # Scaled in float64: only the ratios of weights matter.
        weight = torch.from_numpy(self.weight / self.weight.mean()).to(kind)
        labels = RowLabels(as_target(loss, self.target, kind), weight)
        chosen = np.ones(self.n_rows, bool)
        return LabelledBlocks(self.blocks, labels, chosen, np.dtype(dtype))


def to_disk(model: Any, data: FitData) -> StreamedData:
    """Return checked data on disk, written there if they are in memory."""
    if isinstance(data, StreamedData):
        return data
    table = data.in_memory()
    rows = Rows(table.X, stored_dtype(model), model._mean_fields)
    batch, numbers = rows.span(0, len(rows)), np.arange(len(rows))
    cache = Cache(None)
    blocks = cache.write(
        None,
        (data.n_rows, data.n_columns),
        stored_dtype(model),
        lambda writer: writer.add(BlockRows(batch, numbers)),
    )
    return StreamedData(blocks, table.target, table.weight, cache)


def stored_dtype(model: Any) -> str:
    """Return the type of the values on disk."""
    return "float32" if model.dtype == "auto" else str(model.dtype)


def refuse_options(model: Any) -> None:
    """Refuse parameters that need all rows in memory.

    Raises
    ------
    ValueError
        If this is the case; the message names the remedy.
    """
    if not model._judges_itself(model.scoring):
        raise ValueError(
            f"scoring={model.scoring!r} needs all rows in memory, but X is a dataset. "
            "Leave scoring at its default, the loss."
        )
    if model.crosses is not None and not isinstance(model.crosses, str):
        raise ValueError(
            f"crosses={model.crosses!r} needs all rows in memory, but X is a dataset. "
            "Set crosses=None, or find crosses in a sample of the rows by FieldCrosses "
            "and add their columns to the dataset."
        )
