"""Networks whose interaction is a sum over the pairs of entries of a row."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ..data.batch import Batch
from ..sparse.lookup import equal_part
from .network import LookupT, Network


@dataclass(frozen=True, slots=True)
class Entries:
    """Embeddings of the single entries of rows.

    Shorter rows are padded with zeros to the number m of entries of the longest row.

    Attributes
    ----------
    embeddings : Tensor of shape (B, m, k)
        Embedding x v of each entry.
    columns : ndarray of int32 of shape (B, m)
        Column of each entry, and 0 for padding.
    lengths : Tensor of shape (B,)
        Number of entries of each row.
    """

    embeddings: Tensor
    columns: np.ndarray
    lengths: Tensor

    def share(self, number: int, n: int) -> Entries:
        """Return one of n equal parts of the embeddings: see `Lookup.share`."""
        return replace(self, embeddings=equal_part(self.embeddings, number, n))

    def pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the first and second entry of each of the P = m (m - 1) / 2 pairs."""
        first, second = np.triu_indices(self.columns.shape[1], 1)
        return first, second

    def products(self) -> Tensor:
        """Return the element-wise products of the embeddings of pairs, (B, P, k)."""
        first, second = self.pairs()
        return self.embeddings[:, first] * self.embeddings[:, second]

    def fields_of_pairs(self, fields: np.ndarray) -> tuple[Tensor, Tensor]:
        """Return the fields of both entries of each pair, (B, P) each."""
        first, second = self.pairs()
        owners = torch.from_numpy(fields[self.columns].astype(np.int64))
        owners = owners.to(self.embeddings.device)
        return owners[:, first], owners[:, second]


class PairwiseNetwork(Network[LookupT]):
    """Network whose interaction is a sum over pairs of entries."""

    def entries(self, batch: Batch) -> Entries:
        """Return the entries of a batch that `prepare` has returned."""
        lengths = np.diff(batch.indptr)
        present = np.arange(lengths.max(initial=0)) < lengths[:, None]  # (B, m)
        columns = np.zeros(present.shape, np.int32)
        columns[present] = batch.columns
        found = self.table.entries(batch)[:, self.table.n_linear :]
        embeddings = found.new_zeros(*present.shape, found.shape[1])
        embeddings[torch.from_numpy(present).to(found.device)] = found
        return Entries(embeddings, columns, torch.from_numpy(lengths).to(found.device))

    def pair_terms(self, entries: Entries) -> Tensor:
        """Compute the term of each pair in the scores, (B, P, C), zero for padding.

        The pairs are in the order of ``entries.pairs()``. The sum of their terms equals
        `interaction`.
        """
        raise AssertionError("defined by each architecture")

    def pair_weights(self, first: int, second: int) -> Tensor | None:
        """Return the weights of the products of the embeddings of two fields, (k, C).

        None means that the weights depend on the rest of the row.
        """
        return None
