"""Networks of torch from files: see `skfm.nn.packing`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from ..persistence.container import Reader
from ..persistence.header import FileFormatError
from ..persistence.values import Unpacker
from .network import Network
from .packing import of_dtype
from .shape import Shape

#: Approximate number of bytes that a member takes beside its arrays.
_PER_MEMBER = 1 << 16


def unpack_network(
    class_of: Callable[[Shape], type[Network]], content: Any, unpacker: Unpacker
) -> Network:
    """Build the network that ``content`` of a file describes.

    Nothing is allocated before the sizes in the configuration have been compared with
    those of the arrays, which are not larger than the file.

    Parameters
    ----------
    class_of : callable
        Returns the class of a network of a shape.
    content : dict
    unpacker : Unpacker
    """
    config = unpacker.unpack(content["config"])
    names = {part: unpacker.claim(name) for part, name in content["arrays"].items()}
    shape, reader = config.pop("shape"), unpacker.reader
    if not isinstance(shape, Shape):
        raise FileFormatError("its network is not described")
    network_class = class_of(shape)
    unpacker.budget.spend(_PER_MEMBER * shape.n_members)
    sizes = {name: reader.shape(stored) for name, stored in names.items()}
    expected = _table_sizes(network_class, shape)
    if any(sizes[name] != size for name, size in expected.items()):
        raise FileFormatError("its table does not fit the network")
    # An error of the guard also reaches the ends of blocks without gradients, which
    # then stay switched off.
    unchanged = torch.set_grad_enabled(torch.is_grad_enabled())
    with unchanged, torch.device("meta"), _Bounded(sizes):
        # On the meta device, tensors have a shape but no memory.
        sketch = network_class.build(replace(shape, device="meta"), **config)
    if {name: tuple(t.shape) for name, t in sketch.tensors().items()} != sizes:
        raise FileFormatError("its arrays do not fit the network")
    network = network_class.build(replace(shape, device="cpu"), **config)
    table = {name: names.pop(name) for name in expected}
    _read_table(network, table, reader, mapped=unpacker.map_tables)
    network.load_dense({name: unpacker.stored(n) for name, n in names.items()})
    network.eval()
    return network


def _read_table(
    network: Network, parts: dict[str, str], reader: Reader, *, mapped: bool
) -> None:
    table, dtype = network.table, network.table.numpy_dtype
    if mapped:
        arrays = {name: reader.map(part) for name, part in parts.items()}
        table.adopt({name: of_dtype(part, dtype) for name, part in arrays.items()})
        return
    for name, part in parts.items():
        reader.array(part, out=getattr(table.weight, name).numpy())


def _table_sizes(
    network_class: type[Network], shape: Shape
) -> dict[str, tuple[int, int]]:
    """Return the shapes that a configuration gives the parts of the table."""
    sizes = {"factors": (shape.n_columns, network_class.embedding_width(shape))}
    if network_class.has_linear:
        sizes["linear"] = shape.n_columns, network_class.linear_width(shape)
    return sizes


class _Bounded(TorchFunctionMode):
    """Guard that stops the construction of a network with too many layers."""

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
