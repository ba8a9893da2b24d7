"""State of unfinished runs: what they start from, and what epochs change."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..persistence.records import is_array, is_integer, require
from .solver import History
from .trainer import Trainer


class RunState:
    """Reader and writer of the state of a trainer's run.

    Parameters
    ----------
    trainer : Trainer
    """

    def __init__(self, trainer: Trainer) -> None:
        self._trainer = trainer

    def origins(self) -> Iterator[Any]:
        """Yield all that determines the run's result, except the number of threads."""
        yield from self.beginnings()
        learner = self._trainer.learner
        yield from (learner.whole(tensor, tensor) for tensor in self._tensors())

    def beginnings(self) -> Iterator[Any]:
        """Yield all `origins` but the weights that the run starts from."""
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
        yield trainer.judged_by
        yield from trainer.learner.origins()
        yield from trainer.source.origins()

    def dump(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Return the state after the epochs so far, as JSON and arrays."""
        trainer, learner = self._trainer, self._trainer.learner
        history = trainer.history
        document = {
            "rng": trainer.rng.bit_generator.state,
            "loss_curve": history.loss_curve,
            "validation_scores": history.validation_scores,
            "best_epoch": history.best_epoch,
            "n_steps": list(learner.n_steps),
            "progress": trainer.progress(),
            "n_kept": len(trainer.kept()),
        }
        live, kept = self._tensors(), trainer.kept()
        remembered = trainer.snapshot.live[: len(kept)]
        parts = {
            "live": zip(live, live, strict=True),
            "kept": zip(remembered, kept, strict=True),
        }
        arrays = {}
        for part, pairs in parts.items():
            for i, pair in enumerate(pairs):
                whole = learner.whole(*pair)
                if learner.writes:
                    arrays[f"{part}.{i}"] = whole.detach().cpu().numpy()
        for i, generator in enumerate(learner.streams()):
            arrays[f"stream.{i}"] = generator.get_state().numpy()
        return document, arrays

    def restore(
        self, document: dict[str, Any], array: Callable[[str], np.ndarray]
    ) -> None:
        """Move a run that has not begun to the state of a `dump`.

        All values are checked, because others may be able to write to the directory.

        Raises
        ------
        ValueError, TypeError, KeyError
            If this run cannot have been in the state.
        """
        trainer = self._trainer
        history = History(
            document["loss_curve"],
            document["validation_scores"],
            document["best_epoch"],
        )
        self._check_history(history)
        steps, progress = document["n_steps"], document["progress"]
        counts = [*steps, *progress, document["n_kept"]]
        require(all(is_integer(n, 0, 2**53) for n in counts), "a count is none")
        require((len(steps), len(progress)) == (2, 5), "counts are missing")
        learner = trainer.learner
        for i, tensor in enumerate(self._tensors()):
            own = learner.own(tensor, array(f"live.{i}"))
            found = _like(tensor.detach().cpu().numpy(), own)
            tensor.detach().copy_(torch.from_numpy(found))
        for i, generator in enumerate(learner.streams()):
            state = _like(generator.get_state().numpy(), array(f"stream.{i}"))
            generator.set_state(torch.from_numpy(state))
        learner.n_steps = tuple(steps)
        trainer.rng.bit_generator.state = document["rng"]
        live = trainer.snapshot.live[: document["n_kept"]]
        kept = [learner.own(part, array(f"kept.{i}")) for i, part in enumerate(live)]
        trainer.go_on(history, progress, [torch.from_numpy(part) for part in kept])

    def _check_history(self, history: History) -> None:
        """Raise a ValueError unless epochs of this run can have left the history."""
        losses, scores = history.loss_curve, history.validation_scores
        lists = isinstance(losses, list) and isinstance(scores, list)
        require(lists, "it has no history")
        numbers = all(isinstance(x, int | float) for x in [*losses, *scores])
        require(numbers, "a loss is no number")
        possible = len(losses) <= self._trainer.settings.max_iter
        require(possible, "it has too many epochs")
        n_scores = len(losses) if self._trainer.source.has_held_out else 0
        require(len(scores) == n_scores, "its scores are not those of its epochs")
        best = is_integer(history.best_epoch, 0, len(losses))
        require(best, "its best epoch is none")

    def _tensors(self) -> list[Tensor]:
        """Return the tensors that training changes in place."""
        trainer, learner = self._trainer, self._trainer.learner
        return [
            *trainer.network.table.weight.tensors(),
            learner.dense_optimizer.values,
            *learner.state_tensors(),
            *learner.buffers(),
        ]


class JointState:
    """Reader and writer of the state of runs that are trained side by side.

    Parameters
    ----------
    trainers : list of Trainer
    """

    def __init__(self, trainers: list[Trainer]) -> None:
        self._runs = list(map(RunState, trainers))

    def origins(self) -> Iterator[Any]:
        """Yield all that determines the results of the runs."""
        for run in self._runs:
            yield from run.origins()

    def beginnings(self) -> Iterator[Any]:
        """Yield all `origins` but the weights that the runs start from."""
        for run in self._runs:
            yield from run.beginnings()

    def dump(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Return the state after the epochs so far, as JSON and arrays."""
        found = [run.dump() for run in self._runs]
        arrays = {
            f"{i}.{name}": array
            for i, (_, own) in enumerate(found)
            for name, array in own.items()
        }
        return {"runs": [document for document, _ in found]}, arrays

    def restore(
        self, document: dict[str, Any], array: Callable[[str], np.ndarray]
    ) -> None:
        """Move runs that have not begun to the states of a `dump`: see `RunState`."""
        for i, (run, own) in enumerate(zip(self._runs, document["runs"], strict=True)):
            run.restore(own, lambda name, i=i: array(f"{i}.{name}"))  # type: ignore[misc]


def _like(expected: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Return ``found``; ValueError unless it is of the type and shape expected."""
    fits = is_array(found, expected.dtype, expected.shape)
    require(fits, f"an array is of shape {found.shape}, not {expected.shape}")
    return found
