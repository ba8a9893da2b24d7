"""Networks and samples in files: their configuration and their arrays."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..persistence.header import FileFormatError
from ..persistence.values import Packer, Unpacker
from .samples import Samples
from .shape import Shape

if TYPE_CHECKING:
    from .network import Network

#: The arrays that may stay in a file that is mapped into memory.
_TABLE = ("factors", "linear")


def pack_network(network: Network | Samples, packer: Packer) -> dict[str, Any]:
    """Pack a network as JSON, and store its arrays in the packer."""
    config = dict(network.config)
    # The file may be loaded on a machine without the device: load it on the CPU.
    config["shape"] = replace(config["shape"], device="cpu")
    arrays = {n: packer.store(array) for n, array in network.host_arrays().items()}
    return {"config": packer.pack(config, "network_.config"), "arrays": arrays}


def unpack_samples(content: Any, unpacker: Unpacker) -> Samples:
    """Return the samples that ``content`` of a file describes.

    Raises
    ------
    FileFormatError
        If its arrays do not fit its configuration.
    """
    config = unpacker.unpack(content["config"])
    names = {part: unpacker.claim(name) for part, name in content["arrays"].items()}
    shape, link = config.pop("shape"), config.pop("link")
    if not isinstance(shape, Shape) or config:
        raise FileFormatError("its samples are not described")
    shape = replace(shape, device="cpu")
    sizes = {part: unpacker.reader.shape(name) for part, name in names.items()}
    if sizes != Samples.sizes(shape):
        raise FileFormatError("its arrays do not fit the samples")
    dtype = np.dtype(shape.dtype)
    arrays = {
        part: of_dtype(_read(part, name, unpacker), dtype)
        for part, name in names.items()
    }
    samples = Samples(shape, link, **arrays)
    samples.check()
    return samples


def _read(part: str, name: str, unpacker: Unpacker) -> np.ndarray:
    if part not in _TABLE:
        # Shared by all that read it, which may write to what they get.
        return unpacker.stored(name).copy()
    return (unpacker.reader.map if unpacker.map_tables else unpacker.reader.array)(name)


def of_dtype(array: np.ndarray, dtype: np.dtype[Any]) -> np.ndarray:
    """Return an array of a file, which must be of a type.

    Raises
    ------
    FileFormatError
        If it is not.
    """
    if array.dtype != dtype:
        raise FileFormatError("its table is of another type than the network")
    return array
