"""Base class of all networks: from look-ups to raw scores."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
import torch
from torch import Generator, Tensor

from ..data.batch import Batch
from ..data.transfer import DeviceBatch
from ..losses import Loss
from ..runtime.threads import parallel_for
from ..sparse import Lookup
from .shape import Shape
from .weights import NetworkWeights

LookupT = TypeVar("LookupT", bound=Lookup)
#: Number of parts in which a large batch is scored.
SCORED_PARTS = 16


class Network(NetworkWeights, Generic[LookupT]):
    """Base class of networks: score = bias + linear part + `interaction`.

    A subclass names its kind of look-up, builds its layers in ``__init__`` and defines
    `interaction`.

    Parameters
    ----------
    shape : Shape
        Sizes and types of the network.
    """

    #: Whether the model is defined on fields, which must be given or inferred.
    needs_fields: ClassVar[bool] = False
    #: Whether all pairs of columns have the same `PairwiseNetwork.pair_weights`.
    shares_pair_weights: ClassVar[bool] = False

    @property
    def members(self) -> list[Network]:
        """Networks whose mean score is that of this one: itself, or several."""
        return [self]

    def initialize(
        self, columns: np.ndarray, rng: np.random.Generator, scale: float
    ) -> None:
        """Draw the dense weights, and the factors of the columns in a mask."""
        self.draw_factors(columns, rng, scale)
        generator = Generator().manual_seed(int(rng.integers(2**62)))
        with torch.no_grad():
            for module in self.modules():
                if module is not self and hasattr(module, "initialize"):
                    self._initialize(module, generator)

    def _initialize(self, module: Any, generator: Generator) -> None:
        """Draw the weights of a layer on the host, equal for all devices."""
        if self.bias.device.type == "cpu":
            module.initialize(generator)
            return
        twin = copy.deepcopy(module).cpu()
        twin.initialize(generator)
        module.load_state_dict(twin.state_dict())

    def draw_factors(
        self, columns: np.ndarray, rng: np.random.Generator, scale: float
    ) -> None:
        """Draw the factors of the columns in a mask, except those that stay zero."""
        if self.without_factors is not None:
            columns = columns & ~self.without_factors
        self.table.initialize(columns, rng, scale)

    @property
    def linear_weights(self) -> Tensor | None:
        """Linear weights of the columns, (n_columns, n_outputs)."""
        return self.table.weight.linear if self.has_linear else None

    @property
    def factors(self) -> Tensor:
        """Embeddings of the columns, (n_columns, k)."""
        return self.table.weight.factors

    def inherit(
        self,
        source: Network,
        columns: np.ndarray,
        *,
        same_target: bool,
        units: np.ndarray | None = None,
    ) -> None:
        """Copy the weights of some columns from another network.

        Parameters
        ----------
        source : Network
            Network with the same columns and embeddings of the same length. If only
            this network has an embedding for each field, it is copied to all fields.
        columns : ndarray of bool of shape (n_columns,)
            Mask of the columns that ``source`` has seen.
        same_target : bool
            Whether the linear weights and the bias are also copied, if both networks
            have linear weights.
        units : ndarray of shape (n_columns,), or None
            Number by which the weights of each column are multiplied, as this network
            reads it in other units; None for 1.

        Raises
        ------
        ValueError
            If the embeddings have different shapes.
        """
        given, own = source.factors.to(self.factors), self.factors
        if own.dim() == given.dim() + 1:
            given = given[:, None].expand_as(own)
        if given.shape != own.shape:
            raise ValueError(
                f"init_from must have embeddings of shape {tuple(own.shape[1:])} per "
                f"column, but has {tuple(given.shape[1:])}. Choose the same n_factors."
            )
        mask = self._mask(columns, self.without_factors)
        own[mask] = _times(given[mask], units, mask)
        own_linear, given_linear = self.linear_weights, source.linear_weights
        if same_target and own_linear is not None and given_linear is not None:
            mask = self._mask(columns, self.without_linear)
            given_linear = given_linear.to(own_linear)[mask]
            own_linear[mask] = _times(given_linear, units, mask)
            with torch.no_grad():
                self.bias.copy_(source.bias)

    def set_factors(self, columns: np.ndarray, vectors: np.ndarray) -> None:
        """Set the embeddings of some columns, those for all fields to the same.

        Parameters
        ----------
        columns : ndarray of int of shape (n,)
        vectors : ndarray of shape (n, k)
        """
        if self.without_factors is not None:
            kept = ~self.without_factors[columns]
            columns, vectors = columns[kept], vectors[kept]
        own = self.factors
        given = torch.from_numpy(vectors).to(own)
        if own.dim() == given.dim() + 1:
            given = given[:, None].expand(-1, *own.shape[1:])
        own[torch.from_numpy(columns).to(own.device)] = given

    def _mask(self, columns: np.ndarray, without: np.ndarray | None) -> Tensor:
        chosen = columns if without is None else columns & ~without
        return torch.from_numpy(chosen).to(self.table.weight.device)

    def prepare(self, batch: Batch) -> Batch:
        """Return the batch as the network reads it; a subclass may scale its values."""
        return batch

    def scale_values(self, values: Tensor) -> Tensor:
        """Scale the values of rows that are padded with zeros, (B, m), as `prepare`."""
        return values

    def set_bias(self, bias: np.ndarray) -> None:
        """Set the bias to ``bias`` of shape (n_outputs,)."""
        with torch.no_grad():
            self.bias.copy_(torch.from_numpy(bias))

    def check_memory(self, longest: int) -> None:
        """Raise an error if a row of ``longest`` entries needs too much memory.

        Raises
        ------
        MemoryError
            If a single such row cannot be processed.
        """

    @classmethod
    def held_per_row(cls, shape: Shape, options: dict[str, Any], longest: int) -> int:
        """Return the numbers that a training step holds of each row of its batch.

        They are the slots of the look-up, their gradients, and the gradients of all
        parts of the batch in one array. Pooled look-ups are small.

        Parameters
        ----------
        shape : Shape
        options : dict
            Further arguments of the class.
        longest : int
            Entries of the longest row.
        """
        if cls.lookup.startswith("pooled"):
            return 0
        n_slots = shape.n_fields if cls.lookup == "by_field" else longest
        return 3 * n_slots * cls.embedding_width(shape)

    def numbers_per_row(self, n_slots: int) -> int:
        """Return the count of intermediate numbers per row; 0 if there are few."""
        return 0

    def chunk_rows(self, n_slots: int) -> int | None:
        """Return the number of rows that fit in memory; None if any number does."""
        needed = self.numbers_per_row(n_slots) * self.bias.element_size()
        budget = self.table.backend.chunk_bytes
        return max(1, budget // needed) if needed else None

    def work_per_row(self) -> float:
        """Return the approximate number of multiplications of the layers per row."""
        return float(sum(p.numel() for p in self.parameters()))

    def interaction(self, lookup: LookupT) -> Tensor:
        """Compute the scores without linear part and bias, (B, n_outputs)."""
        raise AssertionError("defined by each architecture")

    def cross_vectors(self, lookup: LookupT) -> tuple[Tensor, Tensor] | None:
        """Return vectors of rows by which the scores of joined rows are products.

        A row that has the entries of rows a and b, which have no column in common,
        scores f(a) + f(b) - bias + <left(a), right(b)>.

        Returns
        -------
        left, right : Tensor of shape (B, d)
            Or None, where the scores are of no such form.
        """
        return None

    def forward(self, lookup: LookupT) -> Tensor:
        """Compute raw scores of shape (B, n_outputs)."""
        scores = self.interaction(lookup)
        if self.has_linear:
            scores = scores + lookup.linear
        return scores + self.bias

    def differentiate(
        self, lookup: LookupT, loss: Loss, target: Tensor, weight: Tensor
    ) -> float | None:
        """Compute the weighted loss of rows, and add its gradients, without autograd.

        They go to the leaves of the look-up and to the parameters, as ``backward``
        would add them.

        Returns
        -------
        float or None
            The loss; None if autograd has to do it.
        """
        return None

    def parts(self, batch: Batch | DeviceBatch, n: int) -> list[tuple[int, int]]:
        """Split the rows of a batch into ``n`` equal parts, or more to save memory."""
        rows = -(-len(batch) // n)
        budget = self.chunk_rows(self.table.n_slots(batch))
        if budget is not None:
            rows = min(rows, budget)
        bounds = range(0, len(batch), max(1, rows))
        return [(start, min(start + rows, len(batch))) for start in bounds]

    @property
    def model_factors(self) -> int:
        """Length of an embedding of each model that the network holds."""
        return self.shape.n_factors

    def fixed_options(self) -> dict[str, Any]:
        """Return the parameters that training on does not change, by name."""
        config = {name: v for name, v in self.config.items() if name != "shape"}
        own = {"n_factors": self.model_factors, "n_members": self.shape.n_members}
        return own | config

    @property
    def fuses_scores(self) -> bool:
        """Whether `fused_scores` is defined for the network where it is."""
        return False

    def fused_scores(self, batch: Batch, n_threads: int = 1) -> np.ndarray:
        """Compute the raw scores of a batch that `prepare` has returned in one pass.

        Nothing is stored between the weights of the columns and the scores.

        Returns
        -------
        ndarray of float64 of shape (B, n_outputs)
        """
        raise AssertionError("defined where fuses_scores is true")

    def score(self, batch: Batch, n_threads: int = 1) -> Tensor:
        """Compute the raw scores of a batch, without gradients; call `eval` first."""
        return self.score_prepared(self.prepare(batch), n_threads)

    def score_prepared(
        self,
        batch: Batch | DeviceBatch,
        n_threads: int = 1,
        look_up: Callable[[Any], Lookup] | None = None,
    ) -> Tensor:
        """Compute the raw scores of a batch that `prepare` has returned.

        ``look_up`` reads its parts; None: the network's table does.
        """
        fuses = self.fuses_scores and look_up is None
        look_up = look_up or self.table.look_up
        batch = self.table.place(batch)
        if fuses and isinstance(batch, Batch):
            return torch.from_numpy(self.fused_scores(batch, n_threads)).to(self.bias)
        if len(batch) == 1:
            # Nothing to share out: straight through.
            with torch.no_grad():
                alone: Tensor = self(look_up(batch))
                return alone
        # Matrix products of other numbers of rows round differently. With dense
        # weights, the parts are therefore the same for any number of threads.
        dense = len(list(self.parameters())) > 1
        n_parts = self.table.threads_for(batch, SCORED_PARTS if dense else n_threads)
        parts = self.parts(batch, n_parts)
        scores = self.bias.new_empty(len(batch), self.shape.n_outputs)

        def work(first: int, last: int) -> None:
            with torch.no_grad():
                for start, stop in parts[first:last]:
                    lookup: Any = look_up(batch.slice(start, stop))
                    scores[start:stop] = self(lookup)

        n_threads = self.table.threads_for(batch, n_threads)
        parallel_for(work, len(parts), n_threads)
        return scores.detach()


def _times(weights: Tensor, units: np.ndarray | None, mask: Tensor) -> Tensor:
    """Multiply the weights of some columns by their units."""
    if units is None:
        return weights
    factor = torch.from_numpy(units).to(weights)[mask]
    return weights * factor.view(-1, *[1] * (weights.dim() - 1))
