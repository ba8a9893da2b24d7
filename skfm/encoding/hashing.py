"""Hash of categories that is equal in all processes and on all platforms."""

from __future__ import annotations

import numpy as np
import pandas as pd

__all__ = ["hash_values", "scramble"]

#: Key of SipHash, which is part of the format: another key gives other buckets.
_KEY = "skfm.FieldEncode"


def scramble(numbers: np.ndarray) -> np.ndarray:
    """Map 64-bit integers one to one to well-mixed ones.

    This is the output function of SplitMix64 [1]_.

    Parameters
    ----------
    numbers : ndarray of uint64

    Returns
    -------
    mixed : ndarray of uint64

    References
    ----------
    .. [1] G. L. Steele, D. Lea and C. H. Flood, "Fast splittable pseudorandom number
       generators", OOPSLA 2014.
    """
    z = numbers + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def hash_values(values: np.ndarray, kind: str, name: str) -> np.ndarray:
    """Hash the distinct values of a column to 64 bits.

    The hash of a string is SipHash-2-4 of its UTF-8 bytes, mixed as by `scramble` but
    without its first addition, as in pandas. That of an integer, an integral float or a
    boolean is `scramble` of its two's complement, that of another float `scramble` of
    its IEEE bits, and that of a date or a duration `scramble` of its microseconds.

    Parameters
    ----------
    values, kind
        Values and their kind, as in `skfm.encoding.columns.Factorized`.
    name : str
        Name of the column, for errors.

    Raises
    ------
    ValueError
        When the values are of a type without a stable hash.
    """
    if kind == "strings":
        return pd.util.hash_array(
            values.astype(object), encoding="utf8", hash_key=_KEY, categorize=False
        )
    if values.dtype.kind == "f":
        return _hash_floats(values)
    if values.dtype.kind in "biumM":
        wide = values if values.dtype.kind == "u" else values.astype(np.int64)
        return scramble(wide.view(np.uint64))
    if kind == "nothing":
        return np.empty(0, dtype=np.uint64)
    raise ValueError(
        f"Column {name!r} holds {kind}, for which there is no stable hash: convert it "
        "to strings, or leave it out of n_buckets."
    )


def _hash_floats(values: np.ndarray) -> np.ndarray:
    # An integer has the same hash in a column of floats, which missing cells cause.
    whole = (values == np.floor(values)) & (np.abs(values) < 2.0**63)
    bits = values.view(np.uint64).copy()
    bits[whole] = values[whole].astype(np.int64).view(np.uint64)
    return scramble(bits)
