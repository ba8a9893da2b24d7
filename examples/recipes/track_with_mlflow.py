"""Track parameters, metrics and a model with MLflow."""

import mlflow
import pandas as pd
from sklearn.pipeline import make_pipeline

import skfm

table = pd.DataFrame({"plane": list("pqrs") * 50, "hour": list("xyxyz") * 40})
late = (table["plane"] == "p") == (table["hour"] == "x")
model = skfm.FMClassifier(random_state=0)
trusted = ["skfm.models.fm.FMClassifier"]

# Autologging watches scikit-learn's own classes: pipelines and searches around a model.
mlflow.sklearn.autolog(log_models=False)
with mlflow.start_run() as run:
    make_pipeline(model).fit(table, late)
    logged = mlflow.sklearn.log_model(model, name="model", skops_trusted_types=trusted)
data = mlflow.get_run(run.info.run_id).data
print(f"{len(data.params)} parameters, metrics {sorted(data.metrics)}")
same = mlflow.sklearn.load_model(logged.model_uri)
print("equal predictions:", (same.predict(table) == model.predict(table)).all())
