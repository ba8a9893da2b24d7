"""Explain a model with SHAP, and compare with its exact terms."""

import pandas as pd
import shap

import skfm
from skfm.inspection import explain

table = pd.DataFrame({"plane": list("pqrs") * 50, "hour": list("xyxyz") * 40})
late = (table["plane"] == "p") == (table["hour"] == "x")
model = skfm.FMClassifier(random_state=0).fit(table, late)

# SHAP computes with numbers: give it the codes of the categories.
levels = {name: pd.CategoricalDtype(sorted(set(table[name]))) for name in table}
codes = table.astype(levels).apply(lambda column: column.cat.codes).astype(float)


def score(rows):
    rows = pd.DataFrame(rows, columns=table.columns).astype(int)
    cells = {name: dtype.categories[rows[name]] for name, dtype in levels.items()}
    return model.decision_function(pd.DataFrame(cells))


explanation = shap.Explainer(score, codes[:100])(codes[:1])
print("SHAP:", dict(zip(table, explanation.values[0].round(2).tolist(), strict=True)))
print("explain:")
print(explain(model, table[:1]).round(2))
