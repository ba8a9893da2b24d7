"""Interface of the backends, which do the computations of a table on a device."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

import numpy as np

from ..data.batch import AnyBatch, Batch
from ..data.labels import Labels
from ..data.rows import Rows
from ..data.transfer import ResidentRows
from ..runtime.lazy import torch
from .lookup import Groups, Lookup
from .rows import ColumnRows

if TYPE_CHECKING:
    from torch import Tensor

    from .gradients import RowGradient
    from .table import EmbeddingTable

BatchT = TypeVar("BatchT", bound=AnyBatch[Any])


class Backend(ABC, Generic[BatchT]):
    """Base class of backends: look-ups and gradients of tables on one device.

    Parameters
    ----------
    device : torch.device
        Device that holds the tables.

    Attributes
    ----------
    chunk_bytes : int
        Memory that one chunk of rows may take on its way through a network, in bytes.
    fuses_steps : bool
        Whether the kernels of the optimizers can update the tables.
    shares_rows : bool
        Whether the rows of a training batch are divided among threads.
    fuses_scores : bool
        Whether `score_pairs` and `score_samples` are defined.
    """

    chunk_bytes: ClassVar[int]
    fuses_steps: ClassVar[bool]
    shares_rows: ClassVar[bool]
    fuses_scores: ClassVar[bool] = False

    def __init__(self, device: torch.device) -> None:
        self.device = device

    @abstractmethod
    def host(self, weight: ColumnRows) -> Any:
        """Return the weights as the kernels read them, or None without kernels."""

    @abstractmethod
    def place(self, batch: Batch | BatchT) -> BatchT:
        """Move a batch to where the backend reads it, if it is elsewhere."""

    @abstractmethod
    def keep_rows(
        self,
        rows: Rows,
        labels: Labels,
        prepare: Callable[[Batch], Batch],
        reserved: int,
    ) -> ResidentRows | None:
        """Keep all rows of a matrix on the device, if that pays and they fit.

        Parameters
        ----------
        rows : Rows
            Rows to keep.
        labels : Labels
            Labels of the rows.
        prepare : callable
            Function applied to each batch before it is kept: see `Network.prepare`.
        reserved : int
            Number of free bytes of the device that are needed for something else.

        Returns
        -------
        ResidentRows or None
            None if the rows are not kept.
        """

    @abstractmethod
    def n_threads(self, batch: BatchT, n_threads: int) -> int:
        """Return the number of threads, at most ``n_threads``, that pay for a batch."""

    @abstractmethod
    def group(self, table: EmbeddingTable, batch: BatchT) -> Groups | None:
        """Group the entries of a batch by column; None if no groups are needed."""

    @abstractmethod
    def look_up(
        self, table: EmbeddingTable, batch: BatchT, *, n_threads: int
    ) -> Lookup:
        """Look up a batch in a table."""

    def score_pairs(
        self, table: EmbeddingTable, bias: Tensor, batch: BatchT, *, n_threads: int
    ) -> np.ndarray:
        """Compute the scores of a factorization machine with one output.

        Parameters
        ----------
        table : EmbeddingTable
            Table of a "pooled_total" look-up.
        bias : Tensor of shape (1,)
        batch : Batch
        n_threads : int
            Largest number of threads.

        Returns
        -------
        ndarray of float64 of shape (B, 1)
        """
        raise AssertionError("defined where fuses_scores is true")

    def score_samples(
        self,
        table: EmbeddingTable,
        constants: Tensor,
        batch: BatchT,
        *,
        scale: float,
        logit: bool,
        n_threads: int,
    ) -> np.ndarray:
        """Compute the scores of the mean of factorization machines: see the kernel.

        Parameters
        ----------
        table : EmbeddingTable
            Table of a look-up by sample.
        constants : Tensor of shape (S, C)
            Bias of each sample and output.
        batch : Batch
        scale : float
            Factor of the sums over pairs.
        logit : bool
            Whether the probabilities are averaged, and not the scores.
        n_threads : int
            Largest number of threads.

        Returns
        -------
        ndarray of float64 of shape (B, C)
        """
        raise AssertionError("defined where fuses_scores is true")

    @abstractmethod
    def columns(self, gradient: RowGradient) -> Tensor:
        """Return the distinct columns of a gradient, sorted, shape (U,)."""

    @abstractmethod
    def absolute_shares(self, gradient: RowGradient, share: Tensor) -> Tensor:
        """Sum ``share * abs(x)`` over the entries of each distinct column, (U,)."""

    @abstractmethod
    def coalesce(self, gradient: RowGradient) -> tuple[Tensor, Tensor]:
        """Return the distinct columns (U,), sorted, and their gradients (U, D)."""
