"""Factorization machines and their neural descendants for scikit-learn."""

from .models.afm import AFMClassifier, AFMRegressor
from .models.deepfm import DeepFMClassifier, DeepFMRegressor
from .models.fm import FMClassifier, FMRegressor
from .models.nfm import NFMClassifier, NFMRegressor

__version__ = "0.1.0.dev0"

__all__ = [
    "AFMClassifier",
    "AFMRegressor",
    "DeepFMClassifier",
    "DeepFMRegressor",
    "FMClassifier",
    "FMRegressor",
    "NFMClassifier",
    "NFMRegressor",
]
