"""
Fit one model on a Dask cluster
===============================

Start it by ``python dask_fit.py tcp://scheduler:8786 clicks/ model.skfm``. The workers
of the cluster read the Parquet files together, whose column "click" is predicted, and
the fit goes on if one of them is lost.
"""

import sys

import dask.dataframe as dd
import numpy as np
from distributed import Client

import skfm


def main(scheduler: str, folder: str, path: str) -> None:
    """Fit a model on a folder of Parquet files, and save it."""
    with Client(scheduler) as client:
        clicks = dd.read_parquet(folder)
        shared = {"cache": f"{path}.cache", "checkpoint": f"{path}.checkpoint"}
        model = skfm.DeepFMClassifier(random_state=0, **shared)
        model = skfm.distributed.run_on_dask(
            client, lambda: model.fit(clicks, "click"), max_restarts=3
        )
        skfm.save(model, path)
        np.save(f"{path}.npy", model.predict_proba(clicks).compute())


if __name__ == "__main__":
    main(*sys.argv[1:])
