"""Numbers out of bytes, many at a time.

A numeral is a range [start, end) of a byte array. Eight digits are read as one 64-bit
word and summed by three multiplications, whatever their number.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["PADDING", "Numerals", "parse_floats", "parse_integers"]

#: Zero bytes that must lie before the first numeral of an array.
PADDING = 24
#: Integers of so many digits are below 2**63, and below 2**64.
_MAX_DIGITS_INTEGER = 18
_MAX_DIGITS = 19
_MAX_LETTERS = 400
_FLOAT_BYTES = np.zeros(256, dtype=bool)
_FLOAT_BYTES[list(b"0123456789+-.eEinftyaINFTYA")] = True

Ints = NDArray[np.intp]


class Numerals:
    """Numerals in a byte array.

    Parameters
    ----------
    text : ndarray of uint8
        With `PADDING` zero bytes at the start.
    """

    def __init__(self, text: NDArray[np.uint8]) -> None:
        self.text = text
        self.words = np.ndarray((len(text) - 7,), "<u8", text, strides=(1,))

    def integers(
        self, starts: Ints, ends: Ints
    ) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
        """Return integers of up to 19 digits, none being 0, and which are valid."""
        lengths = ends - starts
        longest = int(lengths.max(initial=0))
        if longest == 1:
            digits = self.text[ends - 1] - np.uint8(ord("0"))
            digits[lengths == 0] = 0
            return digits.astype(np.uint64), digits <= 9
        values, valid = self._eight(ends, lengths)
        valid &= lengths <= _MAX_DIGITS
        for skipped in range(8, min(longest, _MAX_DIGITS), 8):
            long = np.flatnonzero((lengths > skipped) & valid)
            high, fine = self._eight(ends[long] - skipped, lengths[long] - skipped)
            values[long] += high * np.uint64(10**skipped)
            valid[long] = fine
        return values, valid

    def _eight(
        self, ends: Ints, lengths: Ints
    ) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
        """Return what the last eight digits, or all there are, amount to."""
        word = self.words[ends - 8]
        word ^= np.uint64(0x3030303030303030)
        # The last digit is the highest byte; what precedes the numeral is cleared.
        shift = (64 - 8 * np.minimum(lengths, 8)).view(np.uint64)
        word >>= shift & np.uint64(63)
        word <<= shift & np.uint64(63)
        word[lengths == 0] = 0
        above = word + np.uint64(0x7676767676767676)
        above |= word
        above &= np.uint64(0x8080808080808080)
        for step, factor, mask in (
            (8, 10, 0x00FF00FF00FF00FF),
            (16, 100, 0x0000FFFF0000FFFF),
            (32, 10_000, 0x00000000FFFFFFFF),
        ):
            low = word & np.uint64(mask)
            low *= np.uint64(factor)
            word >>= np.uint64(step)
            word &= np.uint64(mask)
            word += low
        return word, above == 0

    def bytes_of(self, starts: Ints, ends: Ints) -> NDArray[Any]:
        """Return numerals as fixed-width byte strings."""
        width = max(int((ends - starts).max()), 1)
        at = starts[:, None] + np.arange(width)
        inside = at < ends[:, None]
        picked = np.where(inside, self.text[np.minimum(at, len(self.text) - 1)], 0)
        return np.ascontiguousarray(picked.astype(np.uint8)).view(f"S{width}")[:, 0]


def parse_integers(
    numerals: Numerals, starts: Ints, ends: Ints
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Parse non-negative integers of 1 to 18 digits.

    Returns
    -------
    values : ndarray of int64
    valid : ndarray of bool
        False where a numeral is not such an integer.
    """
    values, valid = numerals.integers(starts, ends)
    lengths = ends - starts
    valid &= (lengths > 0) & (lengths <= _MAX_DIGITS_INTEGER)
    return values.view(np.int64), valid


def parse_floats(
    numerals: Numerals, starts: Ints, ends: Ints
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Parse floats, correctly rounded.

    Up to 19 digits with an optional sign and decimal point are an integer divided by a
    power of ten: `_divide`. What is written in another way goes through Python's float.

    Returns
    -------
    values : ndarray of float64
    valid : ndarray of bool
        False where a numeral is not a float.
    """
    values, valid = parse_integers(numerals, starts, ends)
    valid &= values <= 2**53
    floats = values.astype(np.float64)
    for parse in (_decimals, _any_floats):
        rest = np.flatnonzero(~valid)
        if len(rest):
            floats[rest], valid[rest] = parse(numerals, starts[rest], ends[rest])
    return floats, valid


def _decimals(
    numerals: Numerals, starts: Ints, ends: Ints
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    text = numerals.text
    negative = text[starts] == ord("-")
    starts = starts + (negative | (text[starts] == ord("+")))
    first, last = int(starts.min()), int(ends.max())
    dots = np.append(np.flatnonzero(text[first:last] == ord(".")) + first, last)
    dot = np.minimum(dots[np.searchsorted(dots, starts)], ends)
    after = np.minimum(dot + 1, ends)
    whole, fine = numerals.integers(starts, dot)
    part, fine_part = numerals.integers(after, ends)
    decimals = np.minimum(ends - after, _MAX_DIGITS)
    digits = (dot - starts) + (ends - after)
    valid = fine & fine_part & (digits > 0) & (digits <= _MAX_DIGITS)
    power = np.uint64(10) ** decimals.astype(np.uint64)
    values, certain = _divide(whole * power + part, power.astype(np.float64))
    return np.where(negative, -values, values), valid & certain


def _divide(
    numerator: NDArray[np.uint64], divisor: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Divide integers by exact powers of ten, correctly rounded.

    The quotient is found to about 100 bits as an unevaluated sum of two floats [1]_.
    Where changing the smaller one by more than its error changes the rounded sum, the
    rounding is not certain [2]_.

    Returns
    -------
    quotient : ndarray of float64
    certain : ndarray of bool

    References
    ----------
    .. [1] T. J. Dekker, "A floating-point technique for extending the available
       precision", Numerische Mathematik 18, 1971.
    .. [2] A. Ziv, "Fast evaluation of elementary mathematical functions with correctly
       rounded last bit", ACM TOMS 17(3), 1991.
    """
    high = numerator.astype(np.float64)
    # Wraps round zero where high was rounded up, which the signed view undoes.
    low = (numerator - high.astype(np.uint64)).view(np.int64).astype(np.float64)
    quotient = high / divisor
    product, error = _exact_product(quotient, divisor)
    correction = ((high - product) - error + low) / divisor
    bound = np.abs(correction) * 2.0**-40
    value = quotient + (correction + bound)
    return value, value == quotient + (correction - bound)


def _exact_product(
    a: NDArray[np.float64], b: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return a·b rounded, and what rounding took away."""
    (a_high, a_low), (b_high, b_low) = _halves(a), _halves(b)
    product = a * b
    error = a_high * b_high - product + a_high * b_low + a_low * b_high + a_low * b_low
    return product, error


def _halves(a: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Cut the 53 bits of a float into two floats of at most 26 bits."""
    scaled = a * (2.0**27 + 1)
    high = scaled - (scaled - a)
    return high, a - high


def _any_floats(
    numerals: Numerals, starts: Ints, ends: Ints
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    values = np.zeros(len(starts))
    # A limit keeps one endless token from making a matrix of all of them.
    valid = ends - starts <= _MAX_LETTERS
    some = np.flatnonzero(valid)
    if not len(some):
        return values, valid
    tokens = numerals.bytes_of(starts[some], ends[some])
    letters = tokens.view(np.uint8).reshape(len(tokens), -1)
    # Counted, because NumPy takes zero bytes at the end of a token for its padding.
    known = _FLOAT_BYTES[letters].sum(axis=1) == ends[some] - starts[some]
    valid[some[~known]] = False
    try:
        values[some[known]] = tokens[known].astype(np.float64)
    except ValueError:
        # At least one is malformed: the reader stops there, so this is not a hot path.
        for place, token in zip(some[known], tokens[known], strict=True):
            try:
                values[place] = float(token)
            except ValueError:
                valid[place] = False
    return values, valid
