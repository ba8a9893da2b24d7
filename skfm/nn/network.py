"""Base class of all networks: the table, the bias and the linear part."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
import torch
from torch import Generator, Tensor, nn

from ..data.batch import Batch
from ..data.transfer import DeviceBatch, free_memory
from ..persistence.records import is_array, is_integer, require, saved
from ..runtime.memory import check_memory
from ..runtime.threads import parallel_for
from ..sparse import EmbeddingTable, Lookup
from .parameters import flatten

DTYPES = {"float32": torch.float32, "float64": torch.float64}
LookupT = TypeVar("LookupT", bound=Lookup)
#: Parts that a batch is scored in, where it is large enough.
SCORED_PARTS = 16


@saved("record")
@dataclass(frozen=True)
class Shape:
    """Sizes from which a network is built.

    Attributes
    ----------
    n_columns : int
        Number of columns of the matrix that the network reads.
    n_factors : int
    n_outputs : int
        C, raw scores per row.
    fields : ndarray of shape (n_columns,) or None
    mean_pairs : float
        Average number of pairs of entries in a training row.
    dtype : {"float32", "float64"}
    device : str
    n_samples : int
        Models that the network holds side by side: see `skfm.nn.posterior`.
    """

    n_columns: int
    n_factors: int
    n_outputs: int
    fields: np.ndarray | None = None
    mean_pairs: float = 1.0
    dtype: str = "float32"
    device: str = "cpu"
    n_samples: int = 1

    def check(self) -> None:
        """Raise a ValueError unless a network can be built from these sizes."""
        sizes = (self.n_columns, self.n_factors, self.n_outputs, self.n_samples)
        require(all(is_integer(n, 1) for n in sizes), "a size is not a positive number")
        require(self.dtype in DTYPES, f"dtype is {self.dtype!r}")
        number = isinstance(self.mean_pairs, int | float)
        require(number and self.mean_pairs >= 0, f"mean_pairs is {self.mean_pairs!r}")
        check_fields(self.fields, self.n_columns)

    @property
    def n_fields(self) -> int:
        """F, the number of fields (0 without fields)."""
        return 0 if self.fields is None else int(self.fields.max()) + 1


def check_fields(fields: Any, n_columns: int) -> None:
    """Raise a ValueError for fields that would lead kernels out of bounds.

    Parameters
    ----------
    fields : object
        None, or an array of int32 of shape (n_columns,) with values below n_columns.
    n_columns : int
    """
    if fields is None:
        return
    fine = is_array(fields, np.int32, (n_columns,))
    require(fine, "fields is not an array of a field for each column")
    inside = fields.min() >= 0 and fields.max() < n_columns
    require(inside, "a field is not in [0, number of columns)")


class Network(nn.Module, Generic[LookupT]):
    """Base class of networks: score = bias + linear part + `interaction`.

    A subclass names the lookup it reads, builds its layers in ``__init__`` and gives
    `interaction`. All its options are keywords, so that `build` can remember them and
    a pickle can hold arrays instead of code.

    Parameters
    ----------
    shape : Shape
    """

    #: "pooled", "pooled_total", "by_field" or "by_nonzero": see `EmbeddingTable`.
    lookup: str = "pooled"
    #: Whether the model is defined on fields, which it is to be given or to infer.
    needs_fields: ClassVar[bool] = False
    #: Whether columns have linear weights, and scores a bias, beside the interaction.
    has_linear: ClassVar[bool] = True

    config: dict[str, Any]

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        #: Columns (a mask) whose linear weights, or whose factors, stay zero.
        self.without_linear: np.ndarray | None = None
        self.without_factors: np.ndarray | None = None
        self.table = EmbeddingTable(
            shape.n_columns,
            self.linear_width(shape),
            self.embedding_width(shape),
            lookup=self.lookup,
            fields=shape.fields,
            dtype=DTYPES[shape.dtype],
            device=shape.device,
        )
        self.bias = nn.Parameter(torch.zeros(shape.n_outputs))

    @classmethod
    def linear_width(cls, shape: Shape) -> int:
        """Linear weights that the table holds of a column."""
        return shape.n_samples * shape.n_outputs * cls.has_linear

    @classmethod
    def embedding_width(cls, shape: Shape) -> int:
        """Return the numbers per column of the table, beside its linear weights."""
        return shape.n_factors

    @classmethod
    def check_table(cls, shape: Shape, n_tables: int) -> None:
        """Refuse a table that cannot be trained in the memory there is.

        Parameters
        ----------
        shape : Shape
        n_tables : int
            Arrays of the table's size that training holds: the weights, the state of
            the optimizer, and the weights of the best epoch.

        Raises
        ------
        MemoryError
            With the bytes that they take.
        """
        width = cls.embedding_width(shape) + cls.linear_width(shape)
        check_memory(
            n_tables * shape.n_columns * width * np.dtype(shape.dtype).itemsize,
            f"{n_tables} tables (weights, optimizer, best epoch) of {shape.n_columns} "
            f"columns x {width} {shape.dtype} numbers need",
            "hash the categories into fewer columns, lower n_factors, or set "
            'dtype="float32".',
            free_memory(torch.device(shape.device)),
        )

    @classmethod
    def build(cls, shape: Shape, **options: Any) -> Network:
        """Build a network with zero weights on ``shape.device``."""
        network = cls(shape, **options)
        network.config = {"shape": shape, **options}
        network.to(device=shape.device, dtype=DTYPES[shape.dtype])
        flatten(network.parameters())
        return network

    def initialize(
        self, columns: np.ndarray, rng: np.random.Generator, scale: float
    ) -> None:
        """Draw the dense weights, and the factors of ``columns`` (a mask)."""
        self.draw_factors(columns, rng, scale)
        generator = Generator().manual_seed(int(rng.integers(2**62)))
        with torch.no_grad():
            for module in self.modules():
                if module is not self and hasattr(module, "initialize"):
                    self._initialize(module, generator)

    def _initialize(self, module: Any, generator: Generator) -> None:
        """Draw a layer's weights, on the host: the same ones for every device."""
        if self.bias.device.type == "cpu":
            module.initialize(generator)
            return
        twin = copy.deepcopy(module).cpu()
        twin.initialize(generator)
        module.load_state_dict(twin.state_dict())

    def draw_factors(
        self, columns: np.ndarray, rng: np.random.Generator, scale: float
    ) -> None:
        """Draw the factors of ``columns`` (a mask), if they have any."""
        if self.without_factors is not None:
            columns = columns & ~self.without_factors
        self.table.initialize(columns, rng, scale)

    @property
    def linear_weights(self) -> Tensor | None:
        """The columns' linear weights, (n_columns, n_outputs): part of the table."""
        return self.table.weight.linear if self.has_linear else None

    @property
    def factors(self) -> Tensor:
        """The columns' embeddings, (n_columns, k): part of the table."""
        return self.table.weight.factors

    def inherit(
        self, source: Network, columns: np.ndarray, *, same_target: bool
    ) -> None:
        """Start ``columns`` (a mask) from another network's weights.

        Parameters
        ----------
        source : Network
            On the same columns, with embeddings of the same length. One embedding a
            column serves as that of each field where this network has one a field.
        columns : ndarray of bool of shape (n_columns,)
            The columns that ``source`` has seen.
        same_target : bool
            Whether the linear weights and the bias are taken over too, where both
            networks have some.

        Raises
        ------
        ValueError
            If the embeddings are of different shapes.
        """
        given, own = source.factors.to(self.factors), self.factors
        if own.dim() == given.dim() + 1:
            given = given[:, None].expand_as(own)
        if given.shape != own.shape:
            raise ValueError(
                "init_from must have embeddings of shape "
                f"{tuple(own.shape[1:])} per column; got {tuple(given.shape[1:])}."
            )
        mask = self._mask(columns, self.without_factors)
        own[mask] = given[mask]
        own_linear, given_linear = self.linear_weights, source.linear_weights
        if same_target and own_linear is not None and given_linear is not None:
            mask = self._mask(columns, self.without_linear)
            own_linear[mask] = given_linear.to(own_linear)[mask]
            with torch.no_grad():
                self.bias.copy_(source.bias)

    def _mask(self, columns: np.ndarray, without: np.ndarray | None) -> Tensor:
        chosen = columns if without is None else columns & ~without
        return torch.from_numpy(chosen).to(self.table.weight.device)

    def prepare(self, batch: Batch) -> Batch:
        """Prepare rows of X for the network, which reads them as they are or scaled."""
        return batch

    def scale_values(self, values: Tensor) -> Tensor:
        """Scale values as `prepare` does, in rows padded with zeros, (B, m)."""
        return values

    def set_bias(self, bias: np.ndarray) -> None:
        """Start from constant scores ``bias`` of shape (n_outputs,)."""
        with torch.no_grad():
            self.bias.copy_(torch.from_numpy(bias))

    def check_memory(self, longest: int) -> None:
        """Refuse rows of up to ``longest`` entries if one alone cannot be processed.

        Raises
        ------
        MemoryError
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
        """Return the intermediate numbers of a row of ``n_slots`` entries, if many."""
        return 0

    def chunk_rows(self, n_slots: int) -> int | None:
        """Return how many rows of ``n_slots`` entries fit in memory; None means any."""
        needed = self.numbers_per_row(n_slots) * self.bias.element_size()
        budget = self.table.backend.chunk_bytes
        return max(1, budget // needed) if needed else None

    def work_per_row(self) -> float:
        """Multiplications that the dense layers spend on a row, roughly."""
        return float(sum(p.numel() for p in self.parameters()))

    def interaction(self, lookup: LookupT) -> Tensor:
        """Compute the scores beyond the linear part, of shape (B, n_outputs)."""
        raise AssertionError("defined by each architecture")

    def forward(self, lookup: LookupT) -> Tensor:
        """Compute raw scores of shape (B, n_outputs)."""
        scores = self.interaction(lookup)
        if self.has_linear:
            scores = scores + lookup.linear
        return scores + self.bias

    def parts(self, batch: Batch | DeviceBatch, n: int) -> list[tuple[int, int]]:
        """Split a batch's rows into ``n`` equal parts, or more if memory needs it."""
        rows = -(-len(batch) // n)
        budget = self.chunk_rows(self.table.n_slots(batch))
        if budget is not None:
            rows = min(rows, budget)
        bounds = range(0, len(batch), max(1, rows))
        return [(start, min(start + rows, len(batch))) for start in bounds]

    def score(self, batch: Batch, n_threads: int = 1) -> Tensor:
        """Compute the raw scores of a batch, without a graph; call `eval` first."""
        return self.score_prepared(self.prepare(batch), n_threads)

    def score_prepared(self, batch: Batch | DeviceBatch, n_threads: int = 1) -> Tensor:
        """Compute the raw scores of a batch that `prepare` has returned."""
        batch = self.table.place(batch)
        # Matrix products of other rows round differently: with dense weights, the cuts
        # are the same for any number of threads.
        dense = len(list(self.parameters())) > 1
        n_parts = self.table.threads_for(batch, SCORED_PARTS if dense else n_threads)
        parts = self.parts(batch, n_parts)
        scores = self.bias.new_empty(len(batch), self.shape.n_outputs)

        def work(first: int, last: int) -> None:
            with torch.no_grad():
                for start, stop in parts[first:last]:
                    lookup = self.table.look_up(batch.slice(start, stop))
                    scores[start:stop] = self(lookup)

        n_threads = self.table.threads_for(batch, n_threads)
        parallel_for(work, len(parts), n_threads)
        return scores.detach()

    def tensors(self) -> dict[str, Tensor]:
        """Return all weights, by name."""
        return {**self._table_parts(), **self.state_dict()}

    def _table_parts(self) -> dict[str, Tensor]:
        weight = self.table.weight
        linear = {"linear": weight.linear} if self.has_linear else {}
        return {"factors": weight.factors, **linear}

    def arrays(self) -> dict[str, np.ndarray]:
        """Return all weights, by name, as NumPy arrays of their own."""
        return {name: _own_array(tensor) for name, tensor in self.tensors().items()}

    def load_arrays(self, arrays: dict[str, np.ndarray]) -> None:
        """Load all weights from the result of `arrays`."""
        arrays = dict(arrays)
        for name, part in self._table_parts().items():
            part.copy_(torch.from_numpy(np.array(arrays.pop(name))))
        self.load_dense(arrays)

    def load_dense(self, arrays: dict[str, np.ndarray]) -> None:
        """Load all weights but the table's from the result of `arrays`."""
        tensors = {k: torch.from_numpy(np.array(v)) for k, v in arrays.items()}
        self.load_state_dict(tensors)

    def on(self, device: str, n_tables: int) -> Network:
        """Return this network, or a copy of it, on a device, to be trained there.

        Raises
        ------
        MemoryError
            As `check_table`.
        """
        if self.shape.device == device:
            return self
        config = self._config_on(device)
        self.check_table(config["shape"], n_tables)
        moved = self.build(**config)
        for own, copied in zip(
            self.tensors().values(), moved.tensors().values(), strict=True
        ):
            copied.copy_(own)
        return moved

    def __reduce__(self) -> tuple[Any, ...]:
        # A pickle may travel to a machine without the device: it lands on the CPU.
        return _rebuild, (type(self), self._config_on("cpu"), self.arrays())

    def _config_on(self, device: str) -> dict[str, Any]:
        return {**self.config, "shape": replace(self.shape, device=device)}


def _own_array(tensor: Tensor) -> np.ndarray:
    return np.array(tensor.detach().cpu().numpy())


def _rebuild(
    cls: type[Network], config: dict[str, Any], arrays: dict[str, np.ndarray]
) -> Network:
    network = cls.build(**config)
    network.load_arrays(arrays)
    network.eval()
    return network
