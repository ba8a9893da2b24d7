"""Crosses of fields: found by their evidence in residuals, and encoded as fields."""
