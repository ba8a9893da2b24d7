"""Factorization machines and their neural descendants for scikit-learn."""

from .models.fm import FMClassifier, FMRegressor

__version__ = "0.1.0.dev0"

__all__ = ["FMClassifier", "FMRegressor"]
