"""The public functions `save` and `load`."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from importlib import metadata
from io import BytesIO
from typing import Any

import numpy as np

from . import container
from .atomic import replacing
from .estimators import EstimatorReader, pack_estimator
from .header import FileFormatError
from .values import Budget, Packer

#: Version of the format that `save` writes. `load` reads this one and earlier ones.
FORMAT = 1
#: Default limit of the memory that `load` takes: a multiple of the size of the file,
#: and a constant for encoders, whose files may be small.
MEMORY_PER_BYTE, MEMORY_BESIDE = 16, 1 << 28


def save(estimator: Any, path: str | os.PathLike[str]) -> None:
    """Write an estimator to one file, without pickle.

    The file is a safetensors file, which holds weights, categories and histories as
    arrays, and parameters as JSON. It is written beside ``path`` and then renamed, so
    that a crash leaves the old file or the new one.

    Parameters
    ----------
    estimator : estimator
        Estimator to save, fitted or not: a model or an encoder of this package, or a
        Pipeline, a search or another estimator of scikit-learn that contains such.
        Estimators of scikit-learn need the ``skops`` extra.
    path : path-like
        File to write. It is replaced if it exists.

    Raises
    ------
    TypeError
        If a parameter or attribute has a type that the file cannot hold, or an
        estimator belongs neither to this package nor to scikit-learn.
    OSError
        If the file cannot be written. An existing file is left unchanged.

    See Also
    --------
    load : The inverse.

    Notes
    -----
    ``init_from`` is saved as None, unless it is a path. Callbacks, metadata requests
    and the configuration of `set_output` are not saved.

    Examples
    --------
    >>> import os, tempfile
    >>> import skfm
    >>> X, y = [[0.0, 1.0], [1.0, 0.0]] * 20, [0, 1] * 20
    >>> model = skfm.FMClassifier(random_state=0).fit(X, y)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "model.skfm")
    ...     skfm.save(model, path)
    ...     same = skfm.load(path)
    >>> (same.predict_proba(X) == model.predict_proba(X)).all()
    np.True_
    """
    document, arrays = _pack(estimator)
    with replacing(path) as file:
        container.write(file, document, arrays)


def load(
    path: str | os.PathLike[str],
    *,
    mmap_mode: str | None = None,
    trusted: Sequence[str] = (),
    max_memory: int | None = None,
) -> Any:
    """Read an estimator that `save` wrote.

    The file may come from an untrusted source. Nothing in it is executed, only classes
    of a fixed registry are made, all values that lead to memory accesses are checked,
    and the memory that is taken is bounded.

    Parameters
    ----------
    path : path-like
        File to read.
    mmap_mode : {"r"}, default=None
        With "r", the table of linear weights and embeddings stays in the file and is
        mapped into memory. Loading takes no time, rows are read as they are needed, and
        processes share them. Training copies the parts that it changes and never writes
        to the file. The checksums of the table are not compared. The file must not be
        modified while the estimator is in use, but `save` to its path is safe.
    trusted : sequence of str, default=()
        Names of types that skops may load beside scikit-learn's own, for the steps of a
        Pipeline: see ``skops.io.load``. These types can run code.
    max_memory : int, default=None
        Approximate number of bytes of memory that may be taken. A file that needs more
        is refused. None means 256 MiB plus 16 times the size of the file, which only
        small files of encoders with many ``n_buckets`` exceed.

    Returns
    -------
    estimator
        Estimator of the class that was saved, on the CPU, with the same predictions to
        the bit.

    Raises
    ------
    FileFormatError
        If the file is truncated or corrupted, was written by a newer skfm or not by
        skfm at all, or needs more than ``max_memory``. This is a ValueError.
    OSError
        If the file cannot be read.

    See Also
    --------
    save : The inverse, with an example.
    """
    if mmap_mode not in (None, "r"):
        raise ValueError(f'mmap_mode must be "r" or None, not {mmap_mode!r}.')
    if max_memory is None:
        max_memory = MEMORY_PER_BYTE * os.stat(path).st_size + MEMORY_BESIDE
    with container.opened(path, max_memory=max_memory) as reader:
        return _unpack(
            reader, max_memory, map_tables=mmap_mode is not None, trusted=trusted
        )


def to_bytes(estimator: Any) -> np.ndarray:
    """Return the bytes of the file that `save` would write."""
    file = BytesIO()
    container.write(file, *_pack(estimator))
    return np.frombuffer(file.getbuffer(), np.uint8)


def from_bytes(data: np.ndarray, cls: type) -> Any:
    """Make an estimator of a class from the bytes of a file, as `load` does."""
    max_memory = MEMORY_PER_BYTE * data.nbytes + MEMORY_BESIDE
    try:
        reader = container.Reader(BytesIO(data.tobytes()), max_memory)
        estimator = _unpack(reader, max_memory)
        if type(estimator) is not cls:
            raise FileFormatError(f"it is not a {cls.__name__}")
        return estimator
    except FileFormatError as error:
        raise FileFormatError(f"{cls.__name__} cannot be loaded: {error}.") from error


def _pack(estimator: Any) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    packer = Packer()
    document = {
        "format": FORMAT,
        "versions": _versions(),
        "estimator": pack_estimator(estimator, packer),
    }
    return document, packer.arrays


def _unpack(
    reader: container.Reader,
    max_memory: int,
    *,
    map_tables: bool = False,
    trusted: Sequence[str] = (),
) -> Any:
    _check_format(reader.document)
    budget = Budget(max_memory)
    maker = EstimatorReader(reader, budget, map_tables=map_tables, trusted=trusted)
    try:
        return maker.read(reader.document["estimator"])
    except (FileFormatError, ImportError, MemoryError):
        raise
    except Exception as error:
        # A damaged document can lead to any exception.
        raise FileFormatError(
            f"its description of the estimator is not valid ({error!r})"
        ) from error


def _check_format(document: Any) -> None:
    # Before the first release, the present format had another name.
    unreleased = document.get("format_version")
    version = FORMAT if unreleased == 2 else document.get("format")
    if version is None and unreleased is not None:
        raise FileFormatError(
            "it was written by a version of skfm before the first release, whose "
            "format is no longer read: fit the estimator again"
        )
    if type(version) is not int or version < 1:
        raise FileFormatError("it has no format version")
    if version > FORMAT:
        raise FileFormatError(
            f"it has format {version}, but this version of skfm reads formats up to "
            f"{FORMAT}: upgrade skfm"
        )


def _versions() -> dict[str, str]:
    """Return the versions of the libraries that write the file, as information."""
    packages = ("skfm", "numpy", "scikit-learn", "torch")
    versions = {name: metadata.version(name) for name in packages}
    return {"python": platform.python_version(), **versions}
