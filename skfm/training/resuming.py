"""State of a run that is under way: what it starts from, and what its epochs change."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..nn.layers import Dropout
from .solver import History
from .trainer import Trainer


class RunState:
    """Reads and writes the state of a trainer's run.

    Parameters
    ----------
    trainer : Trainer
    """

    def __init__(self, trainer: Trainer) -> None:
        self._trainer = trainer

    def origins(self) -> Iterator[Any]:
        """All that decides what the run will make, but for the number of threads."""
        trainer = self._trainer
        yield torch.__version__, np.__version__
        settings = dict(vars(trainer.settings))
        yield {k: v for k, v in settings.items() if k != "n_threads"}
        network, loss = trainer.network, trainer.loss
        yield type(network).__qualname__
        shape, *options = network.config.values()
        yield from (*vars(shape).values(), *options)
        told = {k: v for k, v in vars(loss).items() if isinstance(v, int | float | str)}
        yield type(loss).__qualname__, told
        yield trainer.rng.bit_generator.state
        yield from self._tensors()
        yield trainer.train
        sources = [trainer.rows]
        if trainer.validation is not None:
            sources.append(trainer.validation[0])
            yield trainer.validation[1]
        for rows in sources:
            yield from (rows.n_columns, rows.indptr, rows.indices)
            yield from (rows.data, rows.dtype)
            yield from (rows.target, rows.weight, rows.query, rows.mean_fields)

    def dump(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """What the epochs so far have made, as JSON and arrays."""
        trainer = self._trainer
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
        parts = {"live": self._tensors(), "kept": trainer.kept()}
        arrays = {
            f"{part}.{i}": tensor.detach().cpu().numpy()
            for part, tensors in parts.items()
            for i, tensor in enumerate(tensors)
        }
        for i, generator in enumerate(self._generators()):
            arrays[f"stream.{i}"] = generator.get_state().numpy()
        return document, arrays

    def restore(
        self, document: dict[str, Any], array: Callable[[str], np.ndarray]
    ) -> None:
        """Put a run that has not begun where `dump` found another."""
        trainer = self._trainer
        for i, tensor in enumerate(self._tensors()):
            tensor.detach().copy_(torch.from_numpy(array(f"live.{i}")))
        for i, generator in enumerate(self._generators()):
            generator.set_state(torch.from_numpy(array(f"stream.{i}")))
        trainer.learner.n_steps = tuple(document["n_steps"])
        trainer.rng.bit_generator.state = document["rng"]
        kept = [array(f"kept.{i}") for i in range(document["n_kept"])]
        trainer.go_on(
            History(
                document["loss_curve"],
                document["validation_scores"],
                document["best_epoch"],
            ),
            document["progress"],
            [torch.from_numpy(part) for part in kept],
        )

    def _tensors(self) -> list[Tensor]:
        """Tensors that training changes in place."""
        trainer, learner = self._trainer, self._trainer.learner
        twins = [replica.network for replica in learner.replicas]
        return [
            *trainer.network.table.weight.tensors(),
            learner.dense_optimizer.values,
            *learner.state_tensors(),
            *trainer.network.buffers(),
            *(buffer for twin in twins for buffer in twin.buffers()),
        ]

    def _generators(self) -> list[torch.Generator]:
        """The streams of dropout, each once."""
        replicas = self._trainer.learner.replicas
        modules = [m for r in replicas for m in r.network.modules()]
        streams = [m.generator for m in modules if isinstance(m, Dropout)]
        return list({id(s): s for s in streams if s is not None}.values())
