"""Arrays and a JSON document in one file, in the safetensors format.

The format is simple, and a reader that trusts nothing is short, so it is written here
with NumPy alone; the ``safetensors`` package reads these files too. A file is

- 8 bytes: N, the length of the header, little-endian;
- N bytes: the header, a JSON object, padded with spaces;
- the arrays' bytes, little-endian, C order, without holes.

The header names each array's dtype, shape and place. Its ``__metadata__`` holds the
document, CRC-32 sums of the arrays, and a digest of all the rest of the header.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import stat
import struct
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BufferedReader
from math import prod
from typing import IO, Any, NamedTuple

import numpy as np

#: Largest header, which is read as a whole; the safetensors package has the same.
MAX_HEADER = 100_000_000
#: Deepest nesting of the document.
MAX_DEPTH = 100
#: Bytes that Python takes for a list or an object of JSON, about.
_PER_BRACKET = 240
_ALIGNMENT = 64
_LENGTH = struct.Struct("<Q")

_DTYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "|i1",
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
    "U8": "|u1",
    "BOOL": "|b1",
}
_NAMES = {np.dtype(code): name for name, code in _DTYPES.items()}


class FileFormatError(ValueError):
    """A file that is no skfm file, or truncated, corrupted or of a newer format."""


class _Entry(NamedTuple):
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    start: int
    stop: int


def storable(dtype: np.dtype[Any]) -> bool:
    """Return whether the format supports the type, in either byte order."""
    return dtype.newbyteorder("<") in _NAMES


def write(file: IO[bytes], document: Any, arrays: Mapping[str, np.ndarray]) -> None:
    """Write a document and arrays.

    Parameters
    ----------
    file : binary file
    document : object
        What `json` takes, without NaN and infinities.
    arrays : dict of str to ndarray
        Of dtypes that are `storable`.

    Raises
    ------
    ValueError
        If the document is too large.
    """
    little = {
        name: np.asarray(array, array.dtype.newbyteorder("<"), order="C")
        for name, array in arrays.items()
    }
    # Wide types first, so that every array starts at a multiple of its item's size.
    ordered = sorted(little.items(), key=lambda item: -item[1].itemsize)
    entries, place = {}, 0
    for name, array in ordered:
        stop = place + array.nbytes
        entries[name] = {
            "dtype": _NAMES[array.dtype],
            "shape": list(array.shape),
            "data_offsets": [place, stop],
        }
        place = stop
    metadata = {
        "document": _dumps(document),
        "checksums": _dumps({name: zlib.crc32(_bytes(a)) for name, a in ordered}),
    }
    metadata["digest"] = _digest(metadata, entries)
    header = _dumps({"__metadata__": metadata, **entries}).encode()
    header += b" " * (-(len(header) + _LENGTH.size) % _ALIGNMENT)
    if len(header) > MAX_HEADER:
        raise ValueError(
            f"All but the arrays takes {len(header)} bytes, more than {MAX_HEADER}: "
            "pass long lists as arrays."
        )
    file.write(_LENGTH.pack(len(header)) + header)
    for _, array in ordered:
        file.write(_bytes(array))


class Reader:
    """A file that has been checked but for its arrays, which are read when asked for.

    Use `opened` to make one.

    Parameters
    ----------
    file : binary file
    max_memory : int or None
        Bytes that the header's values may take, about; None: any number.

    Attributes
    ----------
    document : object
        As `json` gives it; no object in it has a key twice.
    size : int
        Bytes of the file.
    """

    def __init__(self, file: BufferedReader, max_memory: int | None = None) -> None:
        self._file, self._max_memory = file, max_memory
        self.size = os.fstat(file.fileno()).st_size
        header = self._read_header()
        metadata = header.pop("__metadata__", None)
        if not isinstance(metadata, dict) or metadata.keys() != {
            "document",
            "checksums",
            "digest",
        }:
            raise FileFormatError("it was not written by skfm")
        self.document = _loads(metadata["document"])
        self._entries = _check_entries(header, self.size - self._data)
        if metadata.pop("digest") != _digest(metadata, header):
            raise FileFormatError("its header is corrupted")
        self._checksums = _loads(metadata["checksums"])

    def _read_header(self) -> dict[str, Any]:
        start = self._file.read(_LENGTH.size)
        if len(start) < _LENGTH.size:
            raise FileFormatError("it is truncated")
        (length,) = _LENGTH.unpack(start)
        if length > min(MAX_HEADER, self.size - _LENGTH.size):
            raise FileFormatError(
                f"its header would be {length} bytes long: it is truncated, or no "
                "file of skfm"
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
        header: dict[str, Any] = _loads(text.rstrip(" "))
        return header

    def _check_memory(self, raw: bytes) -> None:
        """Refuse a header of countless small lists and objects."""
        needed = _PER_BRACKET * (raw.count(b"[") + raw.count(b"{"))
        if self._max_memory is not None and needed > self._max_memory:
            raise FileFormatError(
                f"reading its header would take {needed:,} bytes of memory: if you "
                "know where it comes from, pass a larger max_memory"
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
        """Return the size of an array."""
        entry = self._entries[name]
        return entry.stop - entry.start

    def array(self, name: str, out: np.ndarray | None = None) -> np.ndarray:
        """Read an array, and compare its checksum.

        Parameters
        ----------
        name : str
        out : ndarray, default=None
            Contiguous, of the array's dtype and shape: where to put it.
        """
        entry = self._entries[name]
        if out is None:
            out = np.empty(entry.shape, entry.dtype)
        elif (out.shape, out.dtype) != (entry.shape, entry.dtype):
            raise FileFormatError(f"its array {name!r} is of another shape or type")
        self._file.seek(self._data + entry.start)
        if self._file.readinto(_bytes(out)) < out.nbytes:
            raise FileFormatError("it is truncated")
        if zlib.crc32(_bytes(out)) != self._checksums[name]:
            raise FileFormatError(f"its array {name!r} is corrupted")
        if out.dtype.kind == "b" and _view(out).max(initial=0) > 1:
            raise FileFormatError(
                f"its array {name!r} holds bytes that are no booleans"
            )
        return out

    def map(self, name: str) -> np.ndarray:
        """Map an array into memory: read when touched, copied when written to.

        What is written stays in this process. The checksum is not compared, which
        would read it all.
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
    """Open a file for reading, and check it.

    Parameters
    ----------
    path : path-like
    max_memory : int or None, default=None
        Bytes that the header's values may take, about; None: any number.

    Raises
    ------
    FileFormatError
        If anything in the block finds the file to be unusable; names the file.
    OSError
        If it cannot be read.
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


def _check_entries(header: Mapping[str, Any], n_bytes: int) -> dict[str, _Entry]:
    """Return the places of the arrays, which must fill the file without overlap."""
    entries = {}
    for name, given in header.items():
        try:
            dtype = np.dtype(_DTYPES[given["dtype"]])
            shape, (start, stop) = given["shape"], given["data_offsets"]
            numbers = [*shape, start, stop]
        except (KeyError, TypeError, ValueError) as error:
            raise FileFormatError(f"its array {name!r} is not described") from error
        # bool is an int to Python, but not a number in JSON.
        if any(type(n) is not int or not 0 <= n < 2**63 for n in numbers):
            raise FileFormatError(f"its array {name!r} has an impossible size")
        if len(shape) > 8 or prod(shape) * dtype.itemsize != stop - start:
            raise FileFormatError(f"its array {name!r} has an impossible size")
        if prod(shape) == 0 and sum(shape) > n_bytes:
            raise FileFormatError(f"its array {name!r} has an impossible size")
        entries[name] = _Entry(dtype, tuple(shape), start, stop)
    place = 0
    for entry in sorted(entries.values(), key=lambda e: (e.start, e.stop)):
        if entry.start != place:
            raise FileFormatError("its arrays overlap or leave holes")
        place = entry.stop
    if place != n_bytes:
        how = "truncated" if place > n_bytes else "longer than its arrays"
        raise FileFormatError(f"it is {how}")
    return entries


def _digest(metadata: Mapping[str, str], entries: Mapping[str, Any]) -> str:
    ordered = json.dumps([metadata, entries], sort_keys=True)
    return hashlib.sha256(ordered.encode()).hexdigest()


def _view(array: np.ndarray) -> np.ndarray:
    return array.reshape(-1).view(np.uint8)


def _bytes(array: np.ndarray) -> memoryview:
    return _view(array).data


def _dumps(value: Any) -> str:
    return json.dumps(value, allow_nan=False, separators=(",", ":"))


def _loads(text: Any) -> Any:
    """Parse JSON without duplicate keys, NaN, or more than `MAX_DEPTH` brackets."""
    if not isinstance(text, str):
        raise FileFormatError("its header is corrupted")
    try:
        value = json.loads(
            text, object_pairs_hook=_unique, parse_constant=_refuse_constant
        )
    except (ValueError, RecursionError) as error:
        raise FileFormatError("its header is corrupted") from error
    if not isinstance(value, dict) or _depth(value) > MAX_DEPTH:
        raise FileFormatError("its header is corrupted")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    unique = dict(pairs)
    if len(unique) < len(pairs):
        raise ValueError("a key occurs twice")
    return unique


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _depth(value: Any) -> int:
    """Count the levels of nesting, level by level."""
    depth, level = 0, [value]
    while level:
        level = [
            child
            for node in level
            if isinstance(node, list | dict)
            for child in (node.values() if isinstance(node, dict) else node)
        ]
        depth += 1
    return depth
