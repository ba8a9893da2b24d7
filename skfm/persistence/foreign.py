"""Saving and loading of scikit-learn's own estimators by skops."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from typing import Any

import numpy as np

from .cells import UnsupportedValueError
from .header import FileFormatError
from .values import Budget

#: Types that skops does not trust, although making them runs no code.
_HARMLESS = ("numpy.dtype",)
#: Deepest nesting of archives: skops stores a sparse matrix as an archive in its own.
_MOST_NESTED = 2


def pack_foreign(estimator: Any) -> np.ndarray:
    """Serialize an estimator to bytes by skops.

    Raises
    ------
    UnsupportedValueError
        If skops cannot save the estimator, or it contains an estimator of this package,
        which only a Pipeline may do.
    """
    name = type(estimator).__name__
    skops_io = _skops(f"Saving a {name}")
    try:
        data = skops_io.dumps(estimator)
        inside = skops_io.get_untrusted_types(data=data)
    except Exception as error:
        # skops has no exception class for types that it does not support.
        raise _unsupported(name) from error
    if any(found.split(".")[0] == "skfm" for found in inside):
        raise _unsupported(name)
    return np.frombuffer(data, np.uint8)


def _unsupported(name: str) -> UnsupportedValueError:
    return UnsupportedValueError(
        f"{name} cannot be saved. A file can hold an estimator of skfm, a Pipeline, or "
        "an estimator of scikit-learn that contains none of skfm. To save the result "
        "of a search, save its best_estimator_."
    )


def unpack_foreign(data: np.ndarray, trusted: Sequence[str], budget: Budget) -> Any:
    """Load an estimator from bytes that skops wrote.

    Raises
    ------
    FileFormatError
        If the bytes name types that are neither scikit-learn's nor trusted, or loading
        would take more memory than the budget has left.
    """
    skops_io = _skops("Loading this file")
    budget.spend(data.nbytes)
    raw = data.tobytes()
    _check_archive(raw, budget, _MOST_NESTED)
    trusted = [*trusted, *_HARMLESS]
    unknown = sorted({*skops_io.get_untrusted_types(data=raw)} - {*trusted})
    if unknown:
        raise FileFormatError(
            f"it holds {', '.join(unknown)}, which could run code: if you trust its "
            f"source, pass trusted={unknown}"
        )
    return skops_io.loads(raw, trusted=trusted)


def _check_archive(raw: bytes, budget: Budget, levels: int) -> None:
    """Spend the budget on the unpacked sizes of the members of an archive.

    zipfile never reads a member beyond the size that the archive states.
    """
    if not levels:
        raise FileFormatError("it holds archives inside archives, nested too deeply")
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        for member in archive.infolist():
            budget.spend(member.file_size)
            if member.filename.endswith(".npz"):
                _check_archive(archive.read(member), budget, levels - 1)
            elif member.filename.endswith(".npy"):
                with archive.open(member) as file:
                    _check_array(file, member.file_size)


def _check_array(file: Any, size: int) -> None:
    """Raise an error for an array whose header states a larger size than its file."""
    version = np.lib.format.read_magic(file)
    if version not in _READ_HEADER:
        raise FileFormatError("an array in it has an unknown version")
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
            f"{action} needs the package skops, because it has parts that do not "
            'belong to skfm. Install it by: pip install "skfm[skops]".'
        ) from error
    return skops.io
