"""save and load."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from importlib import metadata
from typing import Any

from . import container
from .atomic import replacing
from .container import FileFormatError
from .estimators import EstimatorReader, pack_estimator
from .values import Budget, Packer

#: Version of the format that `save` writes; `load` reads this one and earlier ones.
FORMAT = 1
#: `load` takes this much memory, about: so many times the size of the file, and a
#: constant that leaves room for encoders, whose files may be small.
MEMORY_PER_BYTE, MEMORY_BESIDE = 16, 1 << 28


def save(estimator: Any, path: str | os.PathLike[str]) -> None:
    """Write an estimator to one file, without pickle.

    The file is a safetensors file: weights, categories and histories as arrays, and
    parameters as JSON. It is written beside ``path`` and then renamed, so that a crash
    leaves the old file or the new one.

    Parameters
    ----------
    estimator : estimator
        Fitted or not: one of this package, a `FieldEncoder`, or a Pipeline. A
        Pipeline's steps that are scikit-learn's need the ``skops`` extra.
    path : path-like
        Replaced if it exists.

    Raises
    ------
    TypeError
        If a parameter or attribute is of a type that the file cannot hold, or an
        estimator is neither of this package nor of scikit-learn.
    OSError
        If the file cannot be written. What was there is untouched.

    See Also
    --------
    load : The inverse.

    Notes
    -----
    ``init_from`` is saved as None, unless it is a path. Callbacks, metadata requests
    and `set_output` are not saved.

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
    packer = Packer()
    document = {
        "format": FORMAT,
        "versions": _versions(),
        "estimator": pack_estimator(estimator, packer),
    }
    with replacing(path) as file:
        container.write(file, document, packer.arrays)


def load(
    path: str | os.PathLike[str],
    *,
    mmap_mode: str | None = None,
    trusted: Sequence[str] = (),
    max_memory: int | None = None,
) -> Any:
    """Read an estimator that `save` wrote.

    The file may come from anywhere: nothing in it is executed, only classes of a fixed
    registry are made, everything is checked by which memory is read, and the memory
    that is taken is bounded.

    Parameters
    ----------
    path : path-like
    mmap_mode : {"r"} or None, default=None
        "r" leaves the table of linear weights and embeddings in the file, mapped into
        memory: loading takes no time, rows are read as they are needed, and processes
        share them. Training copies the parts that it changes; the file is never
        written to. Checksums of the table are not compared, and the file must stay as
        it is while the estimator is in use; `save` to its path is safe.
    trusted : sequence of str, default=()
        Types beside scikit-learn's own that skops may make, for steps of a Pipeline:
        see ``skops.io.load``. Names that are given here can run code.
    max_memory : int or None, default=None
        Most bytes of memory to take, about; a file that needs more is refused. None:
        16 times the size of the file and 256 MiB, which only small files of encoders
        with many ``n_buckets`` exceed.

    Returns
    -------
    estimator
        Of the class that was saved, on the CPU, with the same predictions to the bit.

    Raises
    ------
    FileFormatError
        A ValueError: the file is truncated, corrupted, written by a newer skfm, needs
        more than ``max_memory``, or was not written by skfm at all.
    OSError
        If it cannot be read.

    See Also
    --------
    save : The inverse, with an example.
    """
    if mmap_mode not in (None, "r"):
        raise ValueError(f'mmap_mode must be "r" or None; got {mmap_mode!r}.')
    if max_memory is None:
        max_memory = MEMORY_PER_BYTE * os.stat(path).st_size + MEMORY_BESIDE
    with container.opened(path, max_memory=max_memory) as reader:
        _check_format(reader.document)
        maker = EstimatorReader(
            reader,
            Budget(max_memory),
            map_tables=mmap_mode is not None,
            trusted=trusted,
        )
        try:
            return maker.read(reader.document["estimator"])
        except (FileFormatError, ImportError, MemoryError):
            raise
        except Exception as error:
            # Whatever a damaged document leads to: the file is at fault.
            raise FileFormatError(
                f"what it says of the estimator makes no sense ({error!r})"
            ) from error


def _check_format(document: Any) -> None:
    # Before the first release the present format went by another name.
    unreleased = document.get("format_version")
    version = FORMAT if unreleased == 2 else document.get("format")
    if version is None and unreleased is not None:
        raise FileFormatError(
            "it was written by an skfm before the first release, whose format is no "
            "longer read: save it again with the skfm that wrote it, or a newer one"
        )
    if type(version) is not int or version < 1:
        raise FileFormatError("it has no format version")
    if version > FORMAT:
        raise FileFormatError(
            f"it is of format {version}, and this skfm reads formats up to {FORMAT}: "
            "upgrade skfm"
        )


def _versions() -> dict[str, str]:
    """Return the versions of the libraries that write the file, for its readers."""
    packages = ("skfm", "numpy", "scikit-learn", "torch")
    versions = {name: metadata.version(name) for name in packages}
    return {"python": platform.python_version(), **versions}
