"""Tasks for the workers of a Dask cluster, which import this file."""

import os
import signal
from pathlib import Path

import skfm
from skfm.streams import block_writer, source, tables
from skfm.training.lane_learner import LaneLearner


def make(**options):
    given = {"max_iter": 4, "n_factors": 4, "batch_size": 64, "dropout": 0.2}
    given |= {"hidden_layer_sizes": (8,), "crosses": None, "random_state": 0}
    return skfm.DeepFMClassifier(**given | options)


class Fit:
    """Fit a model; the last worker kills itself at the first of its 20th steps."""

    def __init__(self, X, killed=None, **options):
        self.X, self.killed, self.options = X, killed, options

    def __call__(self):
        # As `stream_cases.make_small` sets them in the process of the tests.
        tables.CHUNK_ROWS, block_writer._BLOCK_BYTES, source._POOL = 100, 1000, 4
        if self.killed is not None:
            self._kill_once()
        return make(**self.options).fit(self.X, "click")

    def _kill_once(self):
        step, n_steps, mark = LaneLearner.step, [0], Path(self.killed)

        def step_or_die(learner, *args):
            n_steps[0] += 1
            last = skfm.distributed.rank() + 1 == skfm.distributed.world_size()
            if n_steps[0] == 20 and last and not mark.exists():
                mark.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return step(learner, *args)

        LaneLearner.step = step_or_die
