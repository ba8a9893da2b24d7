"""FastAPI application that serves a saved model (see serving.md)."""

import os

from fastapi import FastAPI, HTTPException

import skfm

model = skfm.load(os.environ["MODEL"], mmap_mode="r")
predictor = model.compile_predictor()
app = FastAPI()


# The function is not async, so that FastAPI runs it on several threads at once.
@app.post("/predict")
def predict(rows: list[dict[str, str | float | None]]) -> list[float]:
    """Return the probability of the second class for each row."""
    try:
        return predictor.predict_proba(rows)[:, 1].tolist()
    except (TypeError, ValueError) as error:
        raise HTTPException(422, str(error)) from error
