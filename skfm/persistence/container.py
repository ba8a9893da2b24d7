"""Arrays and a JSON document in one file, in the safetensors format.

The format is simple, and a reader that trusts nothing is short. Both are therefore
written here with NumPy alone. The ``safetensors`` package reads these files too. A file
consists of

- 8 bytes: the length N of the header, little-endian;
- N bytes: the header, a JSON object, padded with spaces;
- the bytes of the arrays, little-endian, in C order, without holes.

The header holds the dtype, the shape and the place of each array. Its ``__metadata__``
holds the document, CRC-32 checksums of the arrays, and a digest of the header.
"""

from __future__ import annotations

import mmap
import os
import stat
import struct
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BufferedIOBase
from math import prod
from typing import IO, Any

import numpy as np

from .header import (
    MAX_HEADER,
    NAMES,
    FileFormatError,
    check_entries,
    digest,
    dumps,
    loads,
)

#: Approximate number of bytes that a list or an object of JSON takes in Python.
_PER_BRACKET = 240
_ALIGNMENT = 64
_LENGTH = struct.Struct("<Q")


def write(file: IO[bytes], document: Any, arrays: Mapping[str, np.ndarray]) -> None:
    """Write a document and arrays to a file.

    Parameters
    ----------
    file : binary file
        File to write to.
    document : object
        Value that `json` can write, without NaN and infinities.
    arrays : dict of str to ndarray
        Arrays by name, whose dtypes must be `storable`.

    Raises
    ------
    ValueError
        If the document is too large.
    """
    little = {
        name: np.asarray(array, array.dtype.newbyteorder("<"), order="C")
        for name, array in arrays.items()
    }
    # Wide types come first, so that every array starts at a multiple of its item size.
    ordered = sorted(little.items(), key=lambda item: -item[1].itemsize)
    entries, place = {}, 0
    for name, array in ordered:
        stop = place + array.nbytes
        entries[name] = {
            "dtype": NAMES[array.dtype],
            "shape": list(array.shape),
            "data_offsets": [place, stop],
        }
        place = stop
    metadata = {
        "document": dumps(document),
        "checksums": dumps({name: zlib.crc32(_bytes(a)) for name, a in ordered}),
    }
    metadata["digest"] = digest(metadata, entries)
    header = dumps({"__metadata__": metadata, **entries}).encode()
    header += b" " * (-(len(header) + _LENGTH.size) % _ALIGNMENT)
    if len(header) > MAX_HEADER:
        raise ValueError(
            f"The parameters and attributes that are not arrays take {len(header)} "
            f"bytes, but a file can hold {MAX_HEADER}: pass long lists as arrays."
        )
    file.write(_LENGTH.pack(len(header)) + header)
    for _, array in ordered:
        file.write(_bytes(array))


class Reader:
    """Reader of a file, which has checked the header and reads arrays on demand.

    Use `opened` to make one.

    Parameters
    ----------
    file : binary file
        File to read.
    max_memory : int, default=None
        Approximate number of bytes of memory that the header may take; None: no limit.

    Attributes
    ----------
    document : object
        The document as `json` reads it. No object in it has a key twice.
    size : int
        Size of the file in bytes.
    """

    def __init__(self, file: BufferedIOBase, max_memory: int | None = None) -> None:
        self._file, self._max_memory = file, max_memory
        self.size = file.seek(0, os.SEEK_END)
        file.seek(0)
        header = self._read_header()
        metadata = header.pop("__metadata__", None)
        if not isinstance(metadata, dict) or metadata.keys() != {
            "document",
            "checksums",
            "digest",
        }:
            raise FileFormatError("it was not written by skfm")
        self.document = loads(metadata["document"])
        self._entries = check_entries(header, self.size - self._data)
        if metadata.pop("digest") != digest(metadata, header):
            raise FileFormatError("its header is corrupted")
        self._checksums = loads(metadata["checksums"])

    def _read_header(self) -> dict[str, Any]:
        start = self._file.read(_LENGTH.size)
        if len(start) < _LENGTH.size:
            raise FileFormatError("it is truncated")
        (length,) = _LENGTH.unpack(start)
        if length > min(MAX_HEADER, self.size - _LENGTH.size):
            raise FileFormatError(
                f"its header would be {length} bytes long: it is truncated, or was not "
                "written by skfm"
            )
        raw = self._file.read(length)
        self._check_memory(raw)
        self._data = _LENGTH.size + length
        if not raw.startswith(b"{"):
            raise FileFormatError("it was not written by skfm")
        try:
            text = raw.decode()
        except UnicodeDecodeError as error:
            raise FileFormatError("its header is corrupted") from error
        header: dict[str, Any] = loads(text.rstrip(" "))
        return header

    def _check_memory(self, raw: bytes) -> None:
        """Raise an error if a header of many brackets would need too much memory."""
        needed = _PER_BRACKET * (raw.count(b"[") + raw.count(b"{"))
        if self._max_memory is not None and needed > self._max_memory:
            raise FileFormatError(
                f"reading its header would take {needed:,} bytes of memory, more than "
                f"{self._max_memory:,}: if you trust its source, pass a larger "
                "max_memory"
            )

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def names(self) -> list[str]:
        """Return the names of the arrays."""
        return list(self._entries)

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of an array."""
        return self._entries[name].shape

    def n_bytes(self, name: str) -> int:
        """Return the size of an array in bytes."""
        entry = self._entries[name]
        return entry.stop - entry.start

    def array(self, name: str, out: np.ndarray | None = None) -> np.ndarray:
        """Read an array, and compare its checksum.

        Parameters
        ----------
        name : str
            Name of the array.
        out : ndarray, default=None
            Contiguous array of the same dtype and shape that receives the numbers.

        Returns
        -------
        ndarray
            ``out``, or a new array.

        Raises
        ------
        FileFormatError
            If the array is truncated or corrupted, or does not fit ``out``.
        """
        entry = self._entries[name]
        if out is None:
            out = np.empty(entry.shape, entry.dtype)
        elif (out.shape, out.dtype) != (entry.shape, entry.dtype):
            raise FileFormatError(
                f"its array {name!r} has another shape or type than expected"
            )
        self._file.seek(self._data + entry.start)
        if self._file.readinto(_bytes(out)) < out.nbytes:
            raise FileFormatError("it is truncated")
        if zlib.crc32(_bytes(out)) != self._checksums[name]:
            raise FileFormatError(f"its array {name!r} is corrupted")
        if out.dtype.kind == "b" and _view(out).max(initial=0) > 1:
            raise FileFormatError(
                f"its array {name!r} holds bytes that are not booleans"
            )
        return out

    def map(self, name: str) -> np.ndarray:
        """Map an array into memory, which reads it where it is touched.

        Changes stay in this process. The checksum is not compared, because that would
        read the whole array.
        """
        entry = self._entries[name]
        memory = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_COPY)
        count = prod(entry.shape)
        offset = self._data + entry.start
        return np.frombuffer(memory, entry.dtype, count, offset).reshape(entry.shape)


@contextmanager
def opened(
    path: str | os.PathLike[str], *, max_memory: int | None = None
) -> Iterator[Reader]:
    """Open a file for reading, and check its header.

    Parameters
    ----------
    path : path-like
        File to read.
    max_memory : int, default=None
        Approximate number of bytes of memory that the header may take; None: no limit.

    Raises
    ------
    FileFormatError
        If the header is not valid, or the block raises this error. The message is
        completed by the name of the file.
    OSError
        If the file cannot be read.
    """
    with open(path, "rb", opener=_open_at_once) as file:
        try:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise FileFormatError("it is a device or a pipe, not a regular file")
            yield Reader(file, max_memory)
        except FileFormatError as error:
            raise FileFormatError(
                f"{os.fspath(path)} cannot be loaded: {error}."
            ) from error


def _open_at_once(path: str, flags: int) -> int:
    # Opening a pipe would wait for a writer.
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _view(array: np.ndarray) -> np.ndarray:
    return array.reshape(-1).view(np.uint8)


def _bytes(array: np.ndarray) -> memoryview:
    return _view(array).data
