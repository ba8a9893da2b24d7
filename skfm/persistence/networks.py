"""Networks as their configuration and their arrays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

from ..network import DTYPES, Network, Shape
from .container import FileFormatError
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
    _check_shape(network_class, shape, sizes["table"])
    with torch.device("meta"), _Bounded(sizes):
        # On the meta device tensors have a shape and no memory.
        sketch = network_class.build(replace(shape, device="meta"), **config)
    if {name: tuple(t.shape) for name, t in sketch.tensors().items()} != sizes:
        raise FileFormatError("its arrays do not fit the network")
    network = network_class.build(replace(shape, device="cpu"), **config)
    table = names.pop("table")
    if map_table:
        network.table.adopt(_of_dtype(reader.map(table), network.table.host.dtype))
    else:
        reader.array(table, out=network.table.host)
    network.load_dense({name: unpacker.stored(n) for name, n in names.items()})
    network.eval()
    return network


def _check_shape(
    network_class: type[Network], shape: Shape, table: tuple[int, ...]
) -> None:
    """Refuse a configuration whose table is not the one in the file."""
    if not isinstance(shape, Shape) or shape.dtype not in DTYPES:
        raise FileFormatError("its network is not described")
    sizes = (shape.n_columns, shape.n_factors, shape.n_outputs)
    if any(type(size) is not int or size < 1 for size in sizes):
        raise FileFormatError("its network has an impossible size")
    if shape.fields is not None:
        check_fields(shape.fields, shape.n_columns)
    n_linear = shape.n_outputs if network_class.has_linear else 0
    width = n_linear + network_class.embedding_width(shape)
    if table != (shape.n_columns, width):
        raise FileFormatError("its table does not fit the network")


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


def check_arrays(arrays: list[np.ndarray], like: np.ndarray) -> None:
    """Refuse arrays that are not of the shape and type of another."""
    for array in arrays:
        if (array.shape, array.dtype) != (like.shape, like.dtype):
            raise FileFormatError("its optimizer's state does not fit the network")
