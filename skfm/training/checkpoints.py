"""The state of a training run on disk, to go on from after a crash.

A run starts from nothing but its data and parameters, so only what its epochs change
is kept. The file is named after a digest of all that the run starts from: another fit
in the same directory, of other rows, parameters or weights, has a file of its own.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..nn.layers import Dropout
from ..persistence import container
from ..persistence.atomic import replacing
from .trainer import History, Trainer


class Checkpoint:
    """Where one run keeps its state.

    Parameters
    ----------
    directory : path-like
        Made if it does not exist.
    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self.directory = Path(directory)
        self._path: Path | None = None

    def resume(self, trainer: Trainer) -> None:
        """Go on from the run's file if there is one; else write the first.

        Raises
        ------
        OSError
            If the directory cannot be written to.
        FileFormatError
            If the file is damaged.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        self._path = self.directory / f"{_digest(trainer)}.checkpoint"
        if self._path.exists():
            with container.opened(self._path) as reader:
                _restore(trainer, reader)
        else:
            self.save(trainer)

    def save(self, trainer: Trainer) -> None:
        """Replace the run's file; a crash leaves the old one or the new one."""
        assert self._path is not None
        document, arrays = _state(trainer)
        with replacing(self._path) as file:
            container.write(file, document, arrays)

    def remove(self) -> None:
        """Remove the file of a run that has ended."""
        assert self._path is not None
        self._path.unlink(missing_ok=True)


def open_checkpoint(model: Any, max_iter: int) -> Checkpoint | None:
    """The checkpoint of an estimator's run of ``max_iter`` epochs, if it wants one.

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
    return Checkpoint(model.checkpoint)


def _tensors(trainer: Trainer) -> list[Tensor]:
    """What training changes in place."""
    learner = trainer.learner
    twins = [replica.network for replica in learner.replicas]
    return [
        *trainer.network.table.weight.tensors(),
        learner.dense_optimizer.values,
        *learner.state_tensors(),
        *trainer.network.buffers(),
        *(buffer for twin in twins for buffer in twin.buffers()),
    ]


def _generators(trainer: Trainer) -> list[torch.Generator]:
    """The streams of dropout, each once."""
    modules = [m for r in trainer.learner.replicas for m in r.network.modules()]
    streams = [m.generator for m in modules if isinstance(m, Dropout)]
    return list({id(s): s for s in streams if s is not None}.values())


def _state(trainer: Trainer) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What the epochs so far have made, as JSON and arrays."""
    history = trainer.history
    document = {
        "rng": trainer.rng.bit_generator.state,
        "loss_curve": history.loss_curve,
        "validation_scores": history.validation_scores,
        "best_epoch": history.best_epoch,
        "n_steps": list(trainer.learner.n_steps),
        "progress": trainer.progress(),
        "n_kept": len(trainer.kept()),
    }
    parts = {"live": _tensors(trainer), "kept": trainer.kept()}
    arrays = {
        f"{part}.{i}": tensor.detach().cpu().numpy()
        for part, tensors in parts.items()
        for i, tensor in enumerate(tensors)
    }
    for i, generator in enumerate(_generators(trainer)):
        arrays[f"stream.{i}"] = generator.get_state().numpy()
    return document, arrays


def _restore(trainer: Trainer, reader: container.Reader) -> None:
    """Put a trainer that has just been made where `_state` found another."""
    document = reader.document
    for i, tensor in enumerate(_tensors(trainer)):
        tensor.detach().copy_(torch.from_numpy(reader.array(f"live.{i}")))
    for i, generator in enumerate(_generators(trainer)):
        generator.set_state(torch.from_numpy(reader.array(f"stream.{i}")))
    trainer.learner.n_steps = tuple(document["n_steps"])
    trainer.rng.bit_generator.state = document["rng"]
    kept = [reader.array(f"kept.{i}") for i in range(document["n_kept"])]
    trainer.go_on(
        History(
            document["loss_curve"],
            document["validation_scores"],
            document["best_epoch"],
        ),
        document["progress"],
        [torch.from_numpy(array) for array in kept],
    )


def _digest(trainer: Trainer) -> str:
    """Of all that decides what a run will make, but for the number of threads."""
    digest = hashlib.blake2b(digest_size=16)
    for value in _origins(trainer):
        if isinstance(value, Tensor):
            value = value.detach().cpu().numpy()
        if isinstance(value, np.ndarray):
            digest.update(f"{value.dtype}{value.shape}".encode())
            digest.update(np.ascontiguousarray(value).view(np.uint8).data)
        else:
            digest.update(repr(value).encode())
    return digest.hexdigest()


def _origins(trainer: Trainer) -> Iterator[Any]:
    yield torch.__version__, np.__version__
    settings = dict(vars(trainer.settings))
    yield {k: v for k, v in settings.items() if k != "n_threads"}
    network, loss = trainer.network, trainer.loss
    yield type(network).__qualname__, network.frozen, network.fixed_bias
    shape, *options = network.config.values()
    yield from (*vars(shape).values(), *options)
    told = {k: v for k, v in vars(loss).items() if isinstance(v, int | float | str)}
    yield type(loss).__qualname__, told
    yield trainer.rng.bit_generator.state
    yield from _tensors(trainer)
    yield trainer.train
    sources = [trainer.rows]
    if trainer.validation is not None:
        sources.append(trainer.validation[0])
        yield trainer.validation[1]
    for rows in sources:
        yield from (rows.n_columns, rows.indptr, rows.indices, rows.data, rows.dtype)
        yield from (rows.target, rows.weight, rows.query, rows.mean_fields)
