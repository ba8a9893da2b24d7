"""scikit-learn's callbacks around every epoch of a fit."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from typing import Any

from .trainer import Trainer


class EpochCallbacks:
    """Opens a callback context per epoch, and prints one line of it if asked.

    Parameters
    ----------
    estimator : estimator
        Being fitted; ``estimator.verbose`` asks for the line.
    context : sklearn.callback.CallbackContext
        Of the whole fit.
    data : dict
        What every hook is offered: X, y and metadata.
    history : callable
        From the trainer to the fitted attributes that tell of its epochs.
    """

    def __init__(
        self,
        estimator: Any,
        context: Any,
        data: dict[str, Any],
        history: Callable[[Trainer], dict[str, Any]],
    ) -> None:
        self.estimator, self.context, self.data = estimator, context, data
        self.history = history
        self._epoch: Any = None
        self._started = 0.0

    def begin_epoch(self) -> None:
        self._started = time.perf_counter()
        self._epoch = self.context.subcontext(task_name="epoch")
        self._epoch.call_on_fit_task_begin(estimator=self.estimator, **self.data)

    def end_epoch(self, trainer: Trainer) -> bool:
        if self.estimator.verbose:
            print(self._line(trainer), flush=True)
        stop: bool = self._epoch.call_on_fit_task_end(
            estimator=self.estimator,
            **self.data,
            reconstruction_attributes=lambda: {
                **self.history(trainer),
                "network_": copy.deepcopy(trainer.network),
            },
        )
        return stop

    def _line(self, trainer: Trainer) -> str:
        history = trainer.history
        epoch, of = len(history.loss_curve), trainer.settings.max_iter
        seconds = time.perf_counter() - self._started
        line = f"epoch {epoch:>{len(str(of))}}/{of}  loss {history.loss_curve[-1]:.5f}"
        if history.validation_scores:
            line += f"  validation score {history.validation_scores[-1]:.5f}"
        line += f"  {len(trainer.train) / max(seconds, 1e-9):,.0f} rows/s"
        return line + f"  at most {seconds * (of - epoch):.0f} s left"


class Unwatched:
    """Watches a run that callbacks do not follow, and does nothing."""

    def begin_epoch(self) -> None:
        """Do nothing."""

    def end_epoch(self, trainer: Trainer) -> bool:
        """Go on."""
        return False
