"""Cells and sparse matrices that are hard, and naive readers of the latter."""

import datetime
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
from estimator_cases import X

SHAPE = (6, 12)
MANY = 2**60
INTEGERS = [0, 1, 2, -1, 2**53, 2**53 + 1, MANY, MANY + 1, MANY + 4, -MANY]
LARGE = [2**63 - 1, 2**63, 2**64 - 1, 2**64, 10**30, 10**400, -(10**400)]
FLOATS = [0.0, -0.0, 0.5, 1.0, 2.0**53, 2.0**60, 1e30, 1e300, np.nan, np.inf, -np.inf]
ODD = [True, False, None, "1", "a", "", 1j, Decimal(2), Decimal("NaN"), Fraction(1, 3)]
DATES = [datetime.datetime(2020, 2, 29, 6), datetime.date(2021, 1, 1), pd.NaT]
OTHER = [np.int64(2), np.float32(0.5), np.bool_(True), [1], {"a": 1}, b"a", pd.NA]
CELLS = [*INTEGERS, *LARGE, *FLOATS, *ODD, *DATES, *OTHER]


class InvalidError(Exception):
    """Error of the naive readers."""


def entries_of_lines(matrix, n_lines):
    """Line, place and number of each entry of a compressed matrix, in plain Python."""
    indptr = matrix.indptr.tolist()
    indices = matrix.indices.tolist()
    fits = len(indices) == len(matrix.data) and len(indptr) == n_lines + 1
    if not fits or indptr[0] != 0 or indptr[-1] > len(indices):
        raise InvalidError
    if sorted(indptr) != indptr:
        raise InvalidError
    for line in range(n_lines):
        for p in range(indptr[line], indptr[line + 1]):
            yield line, indices[p], p


def read_csr(matrix):
    for row, column, p in entries_of_lines(matrix, SHAPE[0]):
        yield row, column, matrix.data[p]


def read_csc(matrix):
    for column, row, p in entries_of_lines(matrix, SHAPE[1]):
        yield row, column, matrix.data[p]


def read_bsr(matrix):
    height, width = matrix.data.shape[1:]
    for line, block, p in entries_of_lines(matrix, SHAPE[0] // height):
        if not 0 <= block < SHAPE[1] // width:
            raise InvalidError
        for i in range(height):
            for j in range(width):
                yield line * height + i, block * width + j, matrix.data[p, i, j]


def read_coo(matrix):
    if not len(matrix.row) == len(matrix.col) == len(matrix.data):
        raise InvalidError
    columns = matrix.row.tolist(), matrix.col.tolist(), matrix.data.tolist()
    yield from zip(*columns, strict=True)


READERS = {"csr": read_csr, "csc": read_csc, "bsr": read_bsr, "coo": read_coo}
ARRAYS = {
    "csr": ["data", "indices", "indptr"],
    "csc": ["data", "indices", "indptr"],
    "bsr": ["data", "indices", "indptr"],
    "coo": ["data", "row", "col"],
}


def dense_of(matrix):
    """The dense array of a matrix, read without scipy; None for an invalid one."""
    dense = np.zeros(SHAPE)
    try:
        for row, column, value in READERS[matrix.format](matrix):
            if not (0 <= row < SHAPE[0] and 0 <= column < SHAPE[1]):
                raise InvalidError
            dense[row, column] += value
    except InvalidError:
        return None
    return dense


def spoilt(form, rng):
    """A matrix of a format, one of whose arrays is another than scipy has made."""
    matrix = X[: SHAPE[0]].asformat(form)
    if form == "bsr":
        matrix = matrix.tobsr((2, 3))
    name = ARRAYS[form][rng.integers(3)]
    array = getattr(matrix, name).copy()
    kind = rng.integers(4)
    if kind == 0:
        array = array[: rng.integers(len(array))]
    elif kind == 1:
        array = np.concatenate([array, array[: rng.integers(1, 9)]])
    elif name == "data":
        array = array.astype(rng.choice([">f8", ">i4", "f2", "u1", "c16", "U3"]))
    else:
        extremes = [-1, 0, 3, 5, 6, 11, 12, 2**31 - 1, -(2**31)]
        array[rng.integers(len(array))] = rng.choice(extremes)
        array = array.astype(rng.choice(["<i4", "<i8", ">i4", "<u4"]))
    setattr(matrix, name, array)
    return matrix
