"""Write the files of the present format that later versions must read.

Run once, by the version that brings the format, never again:

    python tests/persistence/write_format.py
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd

import skfm
from skfm.persistence.files import FORMAT

HERE = Path(__file__).parent / f"format_{FORMAT}"


def table():
    """Rows with all kinds of columns; every third user is unknown to the models."""
    n = np.arange(24)
    return pd.DataFrame(
        {
            "user": [f"ü{i % 5}" if i % 3 else f"new{i}" for i in n],
            "id": n % 4 + 2**40,
            "day": pd.to_datetime("2020-02-28") + pd.to_timedelta(n % 3, unit="D"),
            "flag": n % 2 == 0,
            "number": np.where(n % 7, n * 0.5, np.nan),
            "tags": [["a"], ["a", "b"], []] * 8,
        }
    )


def write():
    """Fit and save one of each kind, with what they say of the table."""
    rows, known = table(), table()[lambda t: t["user"].str.startswith("ü")]
    cheap = {"max_iter": 3, "n_factors": 2, "random_state": 0}
    cheap["categorical_features"] = ["user", "id", "day", "flag"]
    labels = np.where(np.arange(len(known)) % 3, "no", "yes")
    encoder = skfm.FieldEncoder(
        categorical_features=["day", "user"],
        n_buckets={"user": 4},
        numeric={"number": "quantile"},
        multi_valued=["tags"],
        min_frequency=2,
        n_bins=3,
    )
    subjects = {
        "classifier": skfm.FNNClassifier(
            hidden_layer_sizes=(3,), warm_start=True, **cheap
        ).fit(known, labels),
        "regressor": skfm.NFMRegressor(
            hidden_layer_sizes=3, batch_norm=True, dtype="float32", **cheap
        ).fit(known, np.column_stack([known["id"] % 7, known["flag"]])),
        "pipeline": skfm.make_field_pipeline(
            encoder, skfm.AFMClassifier(**cheap | {"categorical_features": None})
        ).fit(known, labels),
    }
    HERE.mkdir()
    expected = {}
    for name, model in subjects.items():
        skfm.save(model, HERE / f"{name}.skfm")
        scores = getattr(model, "decision_function", model.predict)
        expected[name] = scores(rows).tolist()
    expected["columns"] = encoder.get_feature_names_out().tolist()
    text = json.dumps(expected, indent=1)
    (HERE / "expected.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
