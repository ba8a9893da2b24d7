"""Integrated gradients of a network's interaction with respect to its embeddings."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..data.batch import Batch
from ..nn.network import Network
from ..runtime.modes import default_modes
from .reading import rows_of_entries, to_float64

#: Share of the interaction, or of 1, that a complete explanation may lack.
TOLERANCE = 0.01


class Attributions(NamedTuple):
    """Attributions of an interaction with C outputs to entries, in float64.

    Attributes
    ----------
    constant : ndarray of shape (B, C)
        Interaction if all embeddings are zero.
    entries : ndarray of shape (nnz, C)
        Contribution of the embedding of each entry.
    residual : ndarray of shape (B, C)
        Remainder of the interaction: the error of the quadrature.
    complete : ndarray of bool of shape (B,)
        Whether the residual is within `TOLERANCE`.
    """

    constant: np.ndarray
    entries: np.ndarray
    residual: np.ndarray
    complete: np.ndarray


def integrated_gradients(network: Network, batch: Batch, n_points: int) -> Attributions:
    """Distribute the interaction over the entries of each row.

    Let e_i be the embedding of entry i, and g the interaction. The contribution of the
    entry is the integral of <dg/de_i, e_i> along the line a e over a in [0, 1], by
    Gauss-Legendre quadrature (Sundararajan et al., ICML 2017, equation 1, with the
    baseline 0).

    Parameters
    ----------
    network : Network
        Network in evaluation mode.
    batch : Batch
        Batch that `Network.prepare` has returned.
    n_points : int
        Number of points of the quadrature.
    """
    with default_modes(), torch.enable_grad():
        line = _Line(network, batch)
        constant, end = line.scores(0.0), line.scores(1.0)
        entries = line.integrate(n_points)
    residual = end - constant - _sum_rows(entries, batch)
    allowed = TOLERANCE * np.maximum(1, np.abs(end - constant))
    complete = np.all(np.abs(residual) <= allowed, axis=1)
    return Attributions(constant, entries, residual, complete)


class _Line:
    """Interaction along the line from embeddings of zero to those of a batch."""

    def __init__(self, network: Network, batch: Batch) -> None:
        self.network, self.batch = network, batch
        entries = network.table.entries(batch)
        self.linear = torch.zeros_like(entries[:, : network.table.n_linear])
        self.embeddings = entries[:, network.table.n_linear :]

    def _at(self, share: float) -> tuple[Tensor, Tensor]:
        scaled = (self.embeddings * share).requires_grad_()
        together = torch.cat([self.linear, scaled], dim=1)
        lookup = self.network.table.read_entries(together, self.batch)
        return self.network.interaction(lookup), scaled

    def scores(self, share: float) -> np.ndarray:
        """Compute the interaction at a point of the line, (B, C)."""
        with torch.no_grad():
            return to_float64(self._at(share)[0])

    def integrate(self, n_points: int) -> np.ndarray:
        """Integrate the gradients of the embeddings along the line, (nnz, C)."""
        nodes, weights = np.polynomial.legendre.leggauss(n_points)
        n_outputs = self.network.shape.n_outputs
        total = np.zeros((len(self.embeddings), n_outputs))
        if not len(total):  # rows without entries, of which nothing has a gradient
            return total
        for node, weight in zip(nodes, weights, strict=True):
            scores, scaled = self._at(float(node + 1) / 2)
            for output in range(n_outputs):
                (gradient,) = torch.autograd.grad(
                    scores[:, output].sum(),
                    scaled,
                    retain_graph=output + 1 < n_outputs,
                )
                along = (gradient * self.embeddings).sum(dim=1)
                total[:, output] += weight / 2 * to_float64(along)
        return total


def _sum_rows(entries: np.ndarray, batch: Batch) -> np.ndarray:
    rows = rows_of_entries(batch)
    sums = [np.bincount(rows, column, len(batch)) for column in entries.T]
    return np.stack(sums, axis=1)
