"""FastAPI application that serves a saved model (see serving.md)."""

import os
from datetime import datetime

from fastapi import FastAPI, HTTPException

import skfm

model = skfm.load(os.environ["MODEL"], mmap_mode="r")
predictor = model.compile_predictor()
app = FastAPI()

#: Columns of dates, which JSON has as strings: DATES="bought,seen".
DATES = [name for name in os.environ.get("DATES", "").split(",") if name]
# Each cell stays what it is in JSON. With float alone, integer ids beyond 2**53 would
# be rounded and true would become 1.
Cell = bool | int | float | str | None


def read(row: dict[str, Cell]) -> dict[str, Cell | datetime]:
    """Return a row with its dates."""
    dates = {n: datetime.fromisoformat(row[n]) for n in DATES if row.get(n) is not None}
    return row | dates


# The function is not async, so that FastAPI runs it on several threads at once.
@app.post("/predict")
def predict(rows: list[dict[str, Cell]]) -> list[float]:
    """Return the probability of the second class for each row."""
    try:
        return predictor.predict_proba([read(row) for row in rows])[:, 1].tolist()
    except (TypeError, ValueError) as error:
        raise HTTPException(422, str(error)) from error
