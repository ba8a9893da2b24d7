"""Backends: one for each kind of device, which do the work of a table."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

import torch
from torch import Tensor

from ..data.batch import AnyBatch, Batch
from ..data.rows import Rows
from ..data.transfer import ResidentRows
from .lookup import Groups, Lookup, PooledLookup
from .rows import ColumnRows

if TYPE_CHECKING:
    from .gradients import RowGradient
    from .table import EmbeddingTable

BatchT = TypeVar("BatchT", bound=AnyBatch[Any])


class Backend(ABC, Generic[BatchT]):
    """Look-ups and gradients of tables on one device.

    Parameters
    ----------
    device : torch.device

    Attributes
    ----------
    chunk_bytes : int
        Bytes that a chunk of rows may take on its way through a network.
    fuses_steps : bool
        Whether the optimizers' kernels can step on its tables.
    shares_rows : bool
        Whether threads share the rows of a training batch.
    """

    chunk_bytes: ClassVar[int]
    fuses_steps: ClassVar[bool]
    shares_rows: ClassVar[bool]

    def __init__(self, device: torch.device) -> None:
        self.device = device

    @abstractmethod
    def host(self, weight: ColumnRows) -> Any:
        """Return a table's weights as the kernels read them, or None."""

    @abstractmethod
    def place(self, batch: Batch | BatchT) -> BatchT:
        """Return a batch where the backend reads it, moved there if it is not."""

    @abstractmethod
    def keep_rows(
        self, rows: Rows, prepare: Callable[[Batch], Batch], reserved: int
    ) -> ResidentRows | None:
        """Keep all rows of a matrix on the device, if that pays and there is room.

        Parameters
        ----------
        rows : Rows
        prepare : callable
            What a network does to a batch before it reads it.
        reserved : int
            Bytes of the device's free memory that are needed for something else.
        """

    @abstractmethod
    def n_threads(self, batch: BatchT, n_threads: int) -> int:
        """Return how many of ``n_threads`` pay for a batch."""

    @abstractmethod
    def group(self, table: EmbeddingTable, batch: BatchT) -> Groups | None:
        """Group a batch's entries by column, if the backend reads them that way."""

    @abstractmethod
    def look_up(
        self, table: EmbeddingTable, batch: BatchT, *, n_threads: int
    ) -> Lookup:
        """Read a batch of a table."""

    def pool_whole(
        self, table: EmbeddingTable, batch: BatchT, groups: Groups, *, n_threads: int
    ) -> PooledLookup | None:
        """Pool a batch that is grouped by column, where that is faster than by row."""
        return None

    @abstractmethod
    def columns(self, gradient: RowGradient) -> Tensor:
        """Return the distinct columns of a gradient, (U,), sorted."""

    @abstractmethod
    def absolute_shares(self, gradient: RowGradient, share: Tensor) -> Tensor:
        """Sum ``share * abs(x)`` over each distinct column's entries, (U,)."""

    @abstractmethod
    def coalesce(self, gradient: RowGradient) -> tuple[Tensor, Tensor]:
        """Return distinct columns (U,), sorted, and their gradients (U, D)."""
