"""scikit-learn's callbacks around every iteration of a fit."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from .solver import History, Progress


class CallbackMonitor:
    """Monitor that opens a callback context per iteration, and prints a line if asked.

    Parameters
    ----------
    estimator : estimator
        Estimator that is fitted. ``estimator.verbose`` asks for the line.
    context : sklearn.callback.CallbackContext
        Context of the whole fit.
    data : dict
        X, y and metadata, which are passed to every hook.
    attributes : callable
        Function from a `History` to the attributes that describe it and the data.
    rescue : callable
        Called with the state after the last full iteration of a run that fails.
    task_name : str, default="epoch"
        Name of an iteration.
    """

    def __init__(
        self,
        estimator: Any,
        context: Any,
        data: dict[str, Any],
        *,
        attributes: Callable[[History], dict[str, Any]],
        rescue: Callable[[Any], None],
        task_name: str = "epoch",
    ) -> None:
        self.estimator, self.context, self.data = estimator, context, data
        self.attributes, self.rescue = attributes, rescue
        self.task_name = task_name
        self._iteration: Any = None
        self._started = 0.0

    def begin_iteration(self) -> None:
        """Open the context of an iteration."""
        self._started = time.perf_counter()
        self._iteration = self.context.subcontext(task_name=self.task_name)
        self._iteration.call_on_fit_task_begin(estimator=self.estimator, **self.data)

    def end_iteration(self, progress: Progress) -> bool:
        """Close the context; return True if a callback wants the run to stop."""
        if self.estimator.verbose:
            print(self._line(progress), flush=True)
        stop: bool = self._iteration.call_on_fit_task_end(
            estimator=self.estimator,
            **self.data,
            reconstruction_attributes=lambda: {
                **self.attributes(progress.history),
                **progress.attributes(),
            },
        )
        return stop

    def _line(self, progress: Progress) -> str:
        history, of = progress.history, progress.max_iter
        done = len(history.loss_curve)
        seconds = time.perf_counter() - self._started
        line = f"{self.task_name} {done:>{len(str(of))}}/{of}"
        line += f"  loss {history.loss_curve[-1]:.5f}"
        if history.validation_scores:
            line += f"  validation score {history.validation_scores[-1]:.5f}"
        line += f"  {progress.n_rows / max(seconds, 1e-9):,.0f} rows/s"
        return line + f"  at most {seconds * (of - done):.0f} s left"
