"""A FastAPI application that serves a saved model: see serving.md."""

import os

from fastapi import FastAPI, HTTPException

import skfm

model = skfm.load(os.environ["MODEL"], mmap_mode="r")
predictor = model.compile_predictor()
app = FastAPI()


# Not async: FastAPI runs it on its threads, several at once.
@app.post("/predict")
def predict(rows: list[dict[str, str | float | None]]) -> list[float]:
    """Probability of the second class for each row."""
    try:
        return predictor.predict_proba(rows)[:, 1].tolist()
    except (TypeError, ValueError) as error:
        raise HTTPException(422, str(error)) from error
