"""Fit in a group of processes: python collective_script.py FOLDER CHECKPOINT [SIGNAL].

With SIGNAL, the last process sends it to itself in the middle of an epoch.
"""

import os
import sys

import pyarrow.dataset as ds
from worker_cases import digest

import skfm
from skfm.streams import block_writer, source
from skfm.training.lane_learner import LaneLearner

block_writer._BLOCK_BYTES, source._POOL = 1000, 4


def stop_at(step, signal, rank=-1):
    """Let a process send itself a signal at a training step; -1 means the last one."""
    learn, count = LaneLearner.step, [0]

    def step_or_stop(self, *args):
        count[0] += 1
        if (
            count[0] == step
            and skfm.distributed.rank() == rank % skfm.distributed.world_size()
        ):
            os.kill(os.getpid(), signal)
        return learn(self, *args)

    LaneLearner.step = step_or_stop


def fit_in_group(folder, checkpoint):
    """Return the digest of a fit."""
    data = ds.dataset(folder, format="parquet")
    model = skfm.DeepFMClassifier(
        n_factors=4,
        hidden_layer_sizes=(8,),
        dropout=0.2,
        batch_size=64,
        max_iter=4,
        checkpoint=checkpoint,
        random_state=0,
        n_jobs=1,
    )
    return digest(model.fit(data, "click"))


def fit(folder, checkpoint, timeout=10):
    """Return the digest of a fit in a group."""
    with skfm.distributed.group(timeout=timeout):
        return fit_in_group(folder, checkpoint)


def main(folder, checkpoint, signal=None):
    if signal is not None:
        stop_at(20, int(signal))
    # One write: processes share the output.
    sys.stdout.write(f"digest {fit(folder, checkpoint)}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
