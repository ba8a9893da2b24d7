"""Compiled scanner of libffm text, which reads numbers as exactly as Python does."""

# mypy: disable-error-code="no-untyped-def, untyped-decorator"

from __future__ import annotations

import numpy as np

from ..runtime.jit import kernel

__all__ = ["scan"]

_SPACE, _TAB, _RETURN, _NEWLINE = (np.uint8(ord(c)) for c in " \t\r\n")
_COLON, _DOT, _PLUS, _MINUS = (np.uint8(ord(c)) for c in ":.+-")
_ZERO, _LARGE_E, _SMALL_E = (np.uint8(ord(c)) for c in "0Ee")
#: Number of digits of the longest integers that are surely below 2**63.
_MAX_DIGITS = 18
#: Exponent that stands for a number that is infinite, zero, or malformed.
_TOO_LARGE = 10_000
#: Powers of ten that float64 holds exactly.
_POWERS = 10.0 ** np.arange(23)


@kernel
def scan(text, numbers, starts, pairs, lengths, rare, spelled):
    """Scan whole lines of ``label field:feature:value ...`` and fill in the arrays.

    Parameters
    ----------
    text : ndarray of uint8
        Text that ends with a newline, where every loop stops.
    numbers : ndarray of float64
        Labels and values, in the order of the text.
    starts : ndarray of int64
        Start of the word of each number in the text.
    pairs : ndarray of int64 of shape (n, 2)
        Field and feature of each entry.
    lengths : ndarray of int64
        Number of entries of each line that is not blank.
    rare : ndarray of int64
        Positions in ``numbers`` of the numbers that are left to Python's float.
    spelled : ndarray of uint8
        Text of these numbers, with a blank after each.

    Returns
    -------
    n_lines, n_numbers, n_rare, n_spelled : int
        Numbers of elements of the arrays that were filled in.
    place : int
        Start of the first malformed word; -1 if there is none.
    """
    at = n = n_lines = n_rare = n_spelled = 0
    while at < len(text):
        at = _skip_blanks(text, at)
        if text[at] == _NEWLINE:
            at += 1
            continue
        first = n
        while text[at] != _NEWLINE:
            starts[n] = at
            if n > first:
                for part in range(2):
                    pair = n - n_lines - 1
                    pairs[pair, part], at = _integer(text, at)
                    if pairs[pair, part] < 0 or text[at] != _COLON:
                        return n_lines, n, n_rare, n_spelled, starts[n]
                    at += 1
            start = at
            numbers[n], at, exact = _decimal(text, at)
            if at == start or text[at] == _COLON:
                return n_lines, n, n_rare, n_spelled, starts[n]
            if not exact:
                rare[n_rare] = n
                n_rare += 1
                for byte in text[start : at + 1]:
                    spelled[n_spelled] = byte
                    n_spelled += 1
                spelled[n_spelled - 1] = _SPACE
            n += 1
            at = _skip_blanks(text, at)
        lengths[n_lines] = n - first - 1
        n_lines += 1
    return n_lines, n, n_rare, n_spelled, -1


@kernel(inner=True)
def _is_blank(byte):
    return byte in (_SPACE, _TAB, _RETURN)


@kernel(inner=True)
def _ends_word(byte):
    return byte in (_SPACE, _TAB, _RETURN, _NEWLINE, _COLON)


@kernel(inner=True)
def _skip_blanks(text, at):
    while _is_blank(text[at]):
        at += 1
    return at


@kernel(inner=True)
def _integer(text, at):
    """Read an integer without a sign; -1 stands for none or too many digits."""
    start, value = at, np.int64(0)
    while text[at] - _ZERO <= 9:
        value = value * 10 + np.int64(text[at] - _ZERO)
        at += 1
    if at == start or at - start > _MAX_DIGITS:
        value = np.int64(-1)
    return value, at


@kernel(inner=True)
def _decimal(text, at):
    """Read a decimal number up to the end of its word.

    A number is read exactly if it is the product or quotient of two numbers that
    float64 holds: an integer of up to 2**53 and a power of ten [1]_.

    Returns
    -------
    value : float
    at : int
        End of the word.
    exact : bool
        Whether Python's float would read the same value.

    References
    ----------
    .. [1] W. D. Clinger, "How to read floating point numbers accurately", PLDI 1990.
    """
    negative = text[at] == _MINUS
    if negative or text[at] == _PLUS:
        at += 1
    mantissa, power, n_digits, has_dot = np.int64(0), 0, 0, False
    while True:
        digit = text[at] - _ZERO
        if digit <= 9:
            mantissa = mantissa * 10 + np.int64(digit)
            n_digits += 1
            power -= has_dot
        elif text[at] == _DOT and not has_dot:
            has_dot = True
        else:
            break
        at += 1
    exact = 0 < n_digits <= _MAX_DIGITS and mantissa <= 2**53
    if n_digits and (text[at] == _SMALL_E or text[at] == _LARGE_E):
        shift, at = _exponent(text, at + 1)
        power += shift
    while not _ends_word(text[at]):
        exact = False
        at += 1
    if not (exact and abs(power) < len(_POWERS)):
        return 0.0, at, False
    number = np.float64(mantissa)
    value = number * _POWERS[power] if power > 0 else number / _POWERS[-power]
    return -value if negative else value, at, True


@kernel(inner=True)
def _exponent(text, at):
    """Read an exponent; the result is very large if it is malformed."""
    negative = text[at] == _MINUS
    if negative or text[at] == _PLUS:
        at += 1
    start, shift = at, 0
    while text[at] - _ZERO <= 9:
        shift = min(10 * shift + int(text[at] - _ZERO), _TOO_LARGE)
        at += 1
    if at == start:
        shift = _TOO_LARGE
    return -shift if negative else shift, at
