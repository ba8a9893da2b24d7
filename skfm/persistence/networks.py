"""Networks as their configuration and their arrays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

from ..nn.network import DTYPES, Network, Shape
from ..training.learner import OptimizerState
from .container import FileFormatError, Reader
from .values import Packer, Unpacker


def pack_network(network: Network, packer: Packer) -> dict[str, Any]:
    """JSON of a network."""
    config = dict(network.config)
    # A file may travel to a machine without the device: it lands on the CPU.
    config["shape"] = replace(config["shape"], device="cpu")
    arrays = {
        name: packer.store(tensor.detach().cpu().numpy())
        for name, tensor in network.tensors().items()
    }
    return {"config": packer.pack(config, "network_.config"), "arrays": arrays}


def unpack_network(
    network_class: type[Network], content: Any, unpacker: Unpacker, *, map_table: bool
) -> Network:
    """The network of an estimator whose file holds ``content``.

    Nothing is allocated before the sizes in the configuration are found to be those of
    the arrays, which are no larger than the file.
    """
    config, names = unpacker.unpack(content["config"]), dict(content["arrays"])
    shape = config.pop("shape")
    reader = unpacker.reader
    sizes = {name: reader.shape(stored) for name, stored in names.items()}
    expected = _table_sizes(network_class, shape)
    if "table" in names:
        sizes |= _split_sizes(sizes.pop("table"), expected)
    if any(sizes[name] != size for name, size in expected.items()):
        raise FileFormatError("its table does not fit the network")
    with torch.device("meta"), _Bounded(sizes):
        # On the meta device tensors have a shape and no memory.
        sketch = network_class.build(replace(shape, device="meta"), **config)
    if {name: tuple(t.shape) for name, t in sketch.tensors().items()} != sizes:
        raise FileFormatError("its arrays do not fit the network")
    network = network_class.build(replace(shape, device="cpu"), **config)
    parts = {name: names.pop(name) for name in ("table", *expected) if name in names}
    _read_table(network, parts, reader, map_table=map_table)
    network.load_dense({name: unpacker.stored(n) for name, n in names.items()})
    network.eval()
    return network


def _split_sizes(
    table: tuple[int, ...], expected: dict[str, tuple[int, int]]
) -> dict[str, tuple[int, ...]]:
    """Shapes of the parts of a table that is one array, as in files of format 1."""
    n_columns, width = table
    n_linear = expected["linear"][1] if "linear" in expected else 0
    parts = {"factors": width - n_linear, "linear": n_linear}
    return {name: (n_columns, parts[name]) for name in expected}


def _read_table(
    network: Network, parts: dict[str, str], reader: Reader, *, map_table: bool
) -> None:
    table, dtype = network.table, network.table.numpy_dtype
    if "table" in parts:
        rows = _of_dtype(reader.array(parts["table"]), dtype)
        table.weight[:] = torch.from_numpy(rows)
        return
    if map_table:
        mapped = {name: reader.map(part) for name, part in parts.items()}
        table.adopt({name: _of_dtype(part, dtype) for name, part in mapped.items()})
        return
    for name, part in parts.items():
        reader.array(part, out=getattr(table.weight, name).numpy())


def _table_sizes(
    network_class: type[Network], shape: Shape
) -> dict[str, tuple[int, int]]:
    """Shapes of the parts of the table that a configuration asks for."""
    if not isinstance(shape, Shape) or shape.dtype not in DTYPES:
        raise FileFormatError("its network is not described")
    numbers = (shape.n_columns, shape.n_factors, shape.n_outputs)
    if any(type(number) is not int or number < 1 for number in numbers):
        raise FileFormatError("its network has an impossible size")
    if shape.fields is not None:
        check_fields(shape.fields, shape.n_columns)
    sizes = {"factors": (shape.n_columns, network_class.embedding_width(shape))}
    if network_class.has_linear:
        sizes["linear"] = shape.n_columns, shape.n_outputs
    return sizes


def check_fields(fields: Any, n_columns: int) -> None:
    """Refuse fields that would lead the kernels, which do not check, out of bounds."""
    if (
        not isinstance(fields, np.ndarray)
        or (fields.shape, fields.dtype) != ((n_columns,), np.dtype(np.int32))
        or fields.min(initial=0) < 0
        or fields.max(initial=0) >= n_columns
    ):
        raise FileFormatError("its fields are not those of its columns")


def _of_dtype(array: np.ndarray, dtype: np.dtype[Any]) -> np.ndarray:
    if array.dtype != dtype:
        raise FileFormatError("its table is of another type than the network")
    return array


class _Bounded(TorchFunctionMode):
    """Stops a network of countless layers from being built."""

    def __init__(self, sizes: dict[str, Any]) -> None:
        super().__init__()
        self._left = 1000 * len(sizes)

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: Any = (),
        kwargs: Any = None,
    ) -> Any:
        self._left -= 1
        if self._left < 0:
            raise FileFormatError("its network has more layers than arrays")
        return func(*args, **(kwargs or {}))


def read_state(state: OptimizerState, network: Network, *, joined: bool) -> None:
    """Refuse an optimizers' state that does not fit the network.

    Parameters
    ----------
    joined : bool
        Whether linear weights and factors are in one array, as in files of format 1:
        they are taken apart.
    """
    weight = network.table.weight
    if joined:
        n_linear, arrays = weight.shape[1] - weight.factors.shape[1], state.table_arrays
        parts = [(rows[:, n_linear:], rows[:, :n_linear]) for rows in arrays]
        state.table_arrays[:] = [part.copy() for pair in parts for part in pair]
    factors, linear = weight.host()
    n_dense = sum(p.numel() for p in network.parameters())
    dense = np.empty(n_dense, factors.dtype)
    expected = [factors, linear] * (len(state.table_arrays) // 2) + [dense, dense]
    found = [*state.table_arrays, state.mean, state.variance]
    if [(a.shape, a.dtype) for a in found] != [(a.shape, a.dtype) for a in expected]:
        raise FileFormatError("its optimizer's state does not fit the network")
