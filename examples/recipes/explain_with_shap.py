"""Explain a model with SHAP."""

import pandas as pd
import shap

import skfm

table = pd.DataFrame({"plane": list("pqrs") * 50, "hour": list("xyxyz") * 40})
late = (table["plane"] == "p") == (table["hour"] == "x")

# SHAP computes with numbers. The model takes the numbers of the categories as ids.
codes = table.apply(lambda column: column.factorize()[0])
model = skfm.FMClassifier(categorical_features="all", random_state=0).fit(codes, late)
explanation = shap.Explainer(model.decision_function, codes[:100])(codes[:1])
print("SHAP:", dict(zip(table, explanation.values[0].round(2).tolist(), strict=True)))
