"""Header of the files: JSON that says where each array is, and its checks."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from math import prod
from typing import Any, NamedTuple

import numpy as np

#: Largest number of bytes of a header, which is read as a whole. It is the limit of the
#: safetensors package.
MAX_HEADER = 100_000_000
#: Deepest nesting of the document.
MAX_DEPTH = 100

DTYPES = {
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
NAMES = {np.dtype(code): name for name, code in DTYPES.items()}


class FileFormatError(ValueError):
    """Error for a file that is corrupted, too new, or not written by skfm."""


class Entry(NamedTuple):
    """Type, shape and place of an array in a file."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    start: int
    stop: int


def storable(dtype: np.dtype[Any]) -> bool:
    """Return whether a file can hold arrays of a type, in either byte order."""
    return dtype.newbyteorder("<") in NAMES


def check_entries(header: Mapping[str, Any], n_bytes: int) -> dict[str, Entry]:
    """Return the arrays that a header describes, which must fill the file exactly.

    Raises
    ------
    FileFormatError
        If an array is not described correctly, or the arrays overlap or leave holes.
    """
    entries = {}
    for name, given in header.items():
        try:
            dtype = np.dtype(DTYPES[given["dtype"]])
            shape, (start, stop) = given["shape"], given["data_offsets"]
            numbers = [*shape, start, stop]
        except (KeyError, TypeError, ValueError) as error:
            raise FileFormatError(
                f"its array {name!r} has no valid description"
            ) from error
        # bool is an int to Python, but not a number in JSON.
        if any(type(n) is not int or not 0 <= n < 2**63 for n in numbers):
            raise FileFormatError(f"its array {name!r} has an impossible size")
        if len(shape) > 8 or prod(shape) * dtype.itemsize != stop - start:
            raise FileFormatError(f"its array {name!r} has an impossible size")
        if prod(shape) == 0 and sum(shape) > n_bytes:
            raise FileFormatError(f"its array {name!r} has an impossible size")
        entries[name] = Entry(dtype, tuple(shape), start, stop)
    place = 0
    for entry in sorted(entries.values(), key=lambda e: (e.start, e.stop)):
        if entry.start != place:
            raise FileFormatError("its arrays overlap or leave holes")
        place = entry.stop
    if place != n_bytes:
        how = "truncated" if place > n_bytes else "longer than its arrays"
        raise FileFormatError(f"it is {how}")
    return entries


def digest(metadata: Mapping[str, str], entries: Mapping[str, Any]) -> str:
    """Return the SHA-256 digest of a header, which covers all but the digest itself."""
    ordered = json.dumps([metadata, entries], sort_keys=True)
    return hashlib.sha256(ordered.encode()).hexdigest()


def dumps(value: Any) -> str:
    """Write a value as JSON without spaces, NaN and infinities."""
    return json.dumps(value, allow_nan=False, separators=(",", ":"))


def loads(text: Any) -> Any:
    """Parse a JSON object without duplicate keys, NaN, or excessive nesting."""
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
    """Count the levels of nesting, without recursion."""
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
