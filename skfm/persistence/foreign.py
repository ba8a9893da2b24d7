"""Estimators of scikit-learn, through skops."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from typing import Any

import numpy as np

from .cells import UnsupportedValueError
from .container import FileFormatError
from .values import Budget

#: What skops asks about though making one runs nothing.
_HARMLESS = ("numpy.dtype",)
#: Levels of archives: skops keeps a sparse matrix as an archive inside its own.
_MOST_NESTED = 2


def pack_foreign(estimator: Any) -> np.ndarray:
    """Serialize an estimator by skops, to bytes.

    Raises
    ------
    UnsupportedValueError
        If an estimator of this package is inside, which only a Pipeline may hold.
    """
    name = type(estimator).__name__
    skops_io = _skops(f"Saving a {name}")
    try:
        data = skops_io.dumps(estimator)
        inside = skops_io.get_untrusted_types(data=data)
    except Exception as error:
        # skops has no exception of its own for what it does not know.
        raise _unsupported(name) from error
    if any(found.split(".")[0] == "skfm" for found in inside):
        raise _unsupported(name)
    return np.frombuffer(data, np.uint8)


def _unsupported(name: str) -> UnsupportedValueError:
    return UnsupportedValueError(
        f"{name} cannot be saved. Estimators of skfm can be, pipelines of them, and "
        "scikit-learn's own estimators that hold none of skfm. Of a search, save "
        "best_estimator_."
    )


def unpack_foreign(data: np.ndarray, trusted: Sequence[str], budget: Budget) -> Any:
    """Load the estimator from bytes written by skops.

    Raises
    ------
    FileFormatError
        If it holds types that are neither scikit-learn's nor trusted, or would take
        more memory than the budget has.
    """
    skops_io = _skops("Loading this file")
    budget.spend(data.nbytes)
    raw = data.tobytes()
    _check_archive(raw, budget, _MOST_NESTED)
    trusted = [*trusted, *_HARMLESS]
    unknown = sorted({*skops_io.get_untrusted_types(data=raw)} - {*trusted})
    if unknown:
        raise FileFormatError(
            f"it holds {', '.join(unknown)}, which could run code: if you know where "
            f"it comes from, pass trusted={unknown}"
        )
    return skops_io.loads(raw, trusted=trusted)


def _check_archive(raw: bytes, budget: Budget, levels: int) -> None:
    """Count what the members of an archive are unpacked to.

    A member is never read beyond the size that the archive says it has.
    """
    if not levels:
        raise FileFormatError("it holds archives inside archives")
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        for member in archive.infolist():
            budget.spend(member.file_size)
            if member.filename.endswith(".npz"):
                _check_archive(archive.read(member), budget, levels - 1)
            elif member.filename.endswith(".npy"):
                with archive.open(member) as file:
                    _check_array(file, member.file_size)


def _check_array(file: Any, size: int) -> None:
    """Refuse an array that says to be larger than its file."""
    version = np.lib.format.read_magic(file)
    if version not in _READ_HEADER:
        raise FileFormatError("an array in it is of an unknown version")
    shape, _, dtype = _READ_HEADER[version](file)
    n_items = 1
    for length in shape:
        n_items *= length
    if n_items * max(dtype.itemsize, 1) > size:
        raise FileFormatError("an array in it is larger than its file")


_READ_HEADER: dict[tuple[int, int], Any] = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def _skops(action: str) -> Any:
    try:
        import skops.io
    except ImportError as error:
        raise ImportError(
            f"{action} needs skops, as it has parts that are not of skfm: "
            'pip install "skfm[skops]".'
        ) from error
    return skops.io
