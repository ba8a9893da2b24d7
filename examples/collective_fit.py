"""
Fit one model by several processes
==================================

Start it by ``torchrun --nproc-per-node=2 collective_fit.py clicks/ model.skfm``. All
processes read the folder of Parquet files, whose column "click" is predicted, and each
gets the same model; the first one saves it.
"""

import sys

import pyarrow.dataset as ds

import skfm


def main(folder: str, path: str) -> None:
    """Fit a model on a folder of Parquet files, and save it."""
    clicks = ds.dataset(folder, format="parquet")
    model = skfm.DeepFMClassifier(cache=f"{path}.cache", random_state=0)
    with skfm.distributed.group(timeout=600):
        model.fit(clicks, "click")
        if skfm.distributed.rank() == 0:
            skfm.save(model, path)


if __name__ == "__main__":
    main(*sys.argv[1:])
