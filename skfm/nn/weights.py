"""The weights of a network: the table, the bias, and copies of all."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor, nn

from ..data.transfer import torch_dtype
from ..sparse import EmbeddingTable
from .parameters import flatten
from .shape import Shape, check_table_memory


class NetworkWeights(nn.Module):
    """The weights of a network, which its configuration and arrays determine.

    All options of a subclass are keywords, so that `build` can remember them and
    pickles need not hold code.

    Parameters
    ----------
    shape : Shape
        Sizes and types of the network.
    """

    #: Kind of look-up: see `EmbeddingTable`.
    lookup: str = "pooled"
    #: Whether columns have linear weights that are added to the scores.
    has_linear: ClassVar[bool] = True

    config: dict[str, Any]

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self._make_table(shape)
        self.bias = nn.Parameter(torch.zeros(shape.n_outputs))

    def _make_table(self, shape: Shape) -> None:
        self.shape = shape
        #: Mask of the columns whose linear weights, or whose factors, stay zero.
        self.without_linear: np.ndarray | None = None
        self.without_factors: np.ndarray | None = None
        #: Columns (a mask) whose factors training leaves as they are.
        self.fixed_factors: np.ndarray | None = None
        self.table = EmbeddingTable(
            shape.n_columns,
            self.linear_width(shape),
            self.embedding_width(shape),
            lookup=self.lookup,
            fields=shape.fields,
            dtype=torch_dtype(shape.dtype),
            device=shape.device,
        )

    @classmethod
    def linear_width(cls, shape: Shape) -> int:
        """Return the number of linear weights per column of the table."""
        return shape.n_samples * shape.n_outputs * cls.has_linear

    @classmethod
    def embedding_width(cls, shape: Shape) -> int:
        """Return the number of factors per column of the table."""
        return shape.n_factors

    @classmethod
    def check_table(cls, shape: Shape, n_tables: int) -> None:
        """Raise a MemoryError if the table is too large: see `check_table_memory`."""
        width = cls.embedding_width(shape) + cls.linear_width(shape)
        check_table_memory(shape, width, n_tables)

    @classmethod
    def build(cls, shape: Shape, **options: Any) -> Self:
        """Build a network with zero weights on ``shape.device``."""
        network = cls(shape, **options)
        network.config = {"shape": shape, **options}
        network.to(device=shape.device, dtype=torch_dtype(shape.dtype))
        flatten(network.parameters())
        return network

    def tensors(self) -> dict[str, Tensor]:
        """Return all weights, by name."""
        return {**self._table_parts(), **self.state_dict()}

    def _table_parts(self) -> dict[str, Tensor]:
        weight = self.table.weight
        linear = {"linear": weight.linear} if self.has_linear else {}
        return {"factors": weight.factors, **linear}

    def host_arrays(self) -> dict[str, np.ndarray]:
        """Return all weights, by name, as arrays; those on the CPU share its memory."""
        tensors = self.tensors().items()
        return {name: tensor.detach().cpu().numpy() for name, tensor in tensors}

    def arrays(self) -> dict[str, np.ndarray]:
        """Return copies of all weights, by name, as NumPy arrays."""
        return {name: array.copy() for name, array in self.host_arrays().items()}

    def load_arrays(self, arrays: dict[str, np.ndarray]) -> None:
        """Load all weights from the result of `arrays`."""
        arrays = dict(arrays)
        for name, part in self._table_parts().items():
            part.copy_(torch.from_numpy(np.array(arrays.pop(name))))
        self.load_dense(arrays)

    def load_dense(self, arrays: dict[str, np.ndarray]) -> None:
        """Load all weights except those of the table from the result of `arrays`."""
        tensors = {k: torch.from_numpy(np.array(v)) for k, v in arrays.items()}
        self.load_state_dict(tensors)

    def copy_on(self, device: str, n_tables: int) -> Self:
        """Return a copy on ``device``, to be trained there.

        Raises
        ------
        MemoryError
            If the device has too little memory to train it: see `check_table`.
        """
        config = self._config_on(device)
        self.check_table(config["shape"], n_tables)
        moved = self.build(**config)
        own = self.tensors()
        for name, copied in moved.tensors().items():
            copied.copy_(own[name])
        return moved

    def __reduce__(self) -> tuple[Any, ...]:
        # A pickle may be loaded on a machine without the device: load it on the CPU.
        return rebuild, (type(self), self._config_on("cpu"), self.arrays())

    def _config_on(self, device: str) -> dict[str, Any]:
        return {**self.config, "shape": replace(self.shape, device=device)}


def rebuild(
    cls: type[NetworkWeights], config: dict[str, Any], arrays: dict[str, np.ndarray]
) -> NetworkWeights:
    """Build a network from its configuration and its `NetworkWeights.arrays`."""
    network = cls.build(**config)
    network.load_arrays(arrays)
    network.eval()
    return network
