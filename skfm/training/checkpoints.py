"""The state of a training run on disk, from which a run continues after a crash.

Data and parameters determine the start of a run, so that the file holds only what its
epochs change. It is named after a digest of everything that the run starts from:
another fit in the same directory, with other rows, parameters or weights, has a file of
its own.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from numbers import Integral
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from torch import Tensor

from ..distributed.agreement import agreeing
from ..distributed.communicator import Communicator, gather_values
from ..persistence import FileFormatError, container
from ..persistence.atomic import replacing


class Run(Protocol):
    """A run whose state can be kept: see `skfm.training.resuming.RunState`."""

    def origins(self) -> Iterator[Any]:
        """Yield all that determines the result of the run."""

    def dump(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Return the state after the epochs so far."""

    def restore(
        self, document: dict[str, Any], array: Callable[[str], np.ndarray]
    ) -> None:
        """Continue from the dump of another run; raise for anything else."""


class Checkpoint:
    """File that keeps the state of one run.

    Parameters
    ----------
    directory : path-like
        Directory of the file. It is created if it does not exist.
    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self.directory = Path(directory)
        self._path: Path | None = None

    def resume(self, run: Run) -> None:
        """Continue from the run's file if there is one, and write the first otherwise.

        Raises
        ------
        OSError
            If the directory cannot be written to.
        FileFormatError
            If the file is damaged, or holds a state that no run of this kind leaves.
        """
        if self.find(digest(run.origins())):
            self.restore(run)
        else:
            self.save(run)

    def find(self, name: str) -> bool:
        """Create the directory; return whether it has a file of the run ``name``."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self._path = self.directory / f"{name}.checkpoint"
        return self._path.exists()

    def restore(self, run: Run) -> None:
        """Continue from the run's file; see `resume`."""
        assert self._path is not None
        with container.opened(self._path) as reader:
            try:
                run.restore(reader.document, reader.array)
            except (FileFormatError, MemoryError):
                raise
            except Exception as error:
                raise FileFormatError(
                    f"it holds no state of this run ({error!r})"
                ) from error

    def save(self, run: Run) -> None:
        """Replace the run's file; a crash leaves the old one or the new one."""
        self.write(*run.dump())

    def write(self, document: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        """Replace the run's file by one with this content."""
        assert self._path is not None
        with replacing(self._path) as file:
            container.write(file, document, arrays)

    def remove(self) -> None:
        """Remove the file of a run that has ended."""
        assert self._path is not None
        self._path.unlink(missing_ok=True)


class SharedCheckpoint(Checkpoint):
    """File that keeps the state of a run of several workers.

    The first worker writes the file. Any number of workers can continue from it.

    Parameters
    ----------
    directory : path-like
        Directory that all workers read.
    workers : Communicator
    """

    def __init__(
        self, directory: str | os.PathLike[str], workers: Communicator
    ) -> None:
        super().__init__(directory)
        self._workers = workers

    def resume(self, run: Run) -> None:
        name = digest(run.origins())
        with agreeing(self._workers):
            found = self.find(name)
        # From here on, the other workers can read the file of the first one.
        if gather_values(self._workers, found)[0]:
            with agreeing(self._workers):
                self.restore(run)
        else:
            self.save(run)

    def write(self, document: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        with agreeing(self._workers):
            if self._workers.rank == 0:
                super().write(document, arrays)

    def remove(self) -> None:
        if self._workers.rank == 0:
            super().remove()


def open_checkpoint(
    model: Any, max_iter: int, workers: Communicator | None = None
) -> Checkpoint | None:
    """Return the checkpoint of an estimator's run, or None if it has none.

    Raises
    ------
    ValueError
        If the run could not be repeated.
    """
    if model.checkpoint is None or max_iter == 1:
        return None
    if not isinstance(model.random_state, Integral):
        raise ValueError(
            "checkpoint needs random_state to be an int, for a run after a crash to "
            f"start as the one before it; got random_state={model.random_state!r}."
        )
    if workers is not None:
        return SharedCheckpoint(model.checkpoint, workers)
    return Checkpoint(model.checkpoint)


def digest(values: Iterator[Any]) -> str:
    """Return a digest of arrays, tensors and literals."""
    found = hashlib.blake2b(digest_size=16)
    for value in values:
        if isinstance(value, Tensor):
            value = value.detach().cpu().numpy()
        if isinstance(value, np.ndarray):
            found.update(f"{value.dtype}{value.shape}".encode())
            found.update(np.ascontiguousarray(value).view(np.uint8).data)
        else:
            found.update(repr(value).encode())
    return found.hexdigest()
