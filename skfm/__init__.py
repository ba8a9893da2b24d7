"""Factorization machines and their neural descendants for scikit-learn."""

from . import datasets
from .encoding import FieldEncoder
from .fields import FieldInferenceError, fields_from
from .models.afm import AFMClassifier, AFMRegressor
from .models.autoint import AutoIntClassifier, AutoIntRegressor
from .models.dcn import DCNClassifier, DCNRegressor
from .models.deepcrossing import DeepCrossingClassifier, DeepCrossingRegressor
from .models.deepfm import DeepFMClassifier, DeepFMRegressor
from .models.ffm import FFMClassifier, FFMRegressor
from .models.finalmlp import FinalMLPClassifier, FinalMLPRegressor
from .models.fm import FMClassifier, FMRegressor
from .models.fnn import FNNClassifier, FNNRegressor
from .models.fwfm import FwFMClassifier, FwFMRegressor
from .models.nfm import NFMClassifier, NFMRegressor
from .models.pnn import PNNClassifier, PNNRegressor
from .models.widedeep import WideDeepClassifier, WideDeepRegressor
from .models.xdeepfm import XDeepFMClassifier, XDeepFMRegressor
from .persistence import load, save
from .pipeline import make_field_pipeline

__version__ = "0.1.0.dev0"

__all__ = [
    "AFMClassifier",
    "AFMRegressor",
    "AutoIntClassifier",
    "AutoIntRegressor",
    "DCNClassifier",
    "DCNRegressor",
    "DeepCrossingClassifier",
    "DeepCrossingRegressor",
    "DeepFMClassifier",
    "DeepFMRegressor",
    "FFMClassifier",
    "FFMRegressor",
    "FMClassifier",
    "FMRegressor",
    "FNNClassifier",
    "FNNRegressor",
    "FieldEncoder",
    "FieldInferenceError",
    "FinalMLPClassifier",
    "FinalMLPRegressor",
    "FwFMClassifier",
    "FwFMRegressor",
    "NFMClassifier",
    "NFMRegressor",
    "PNNClassifier",
    "PNNRegressor",
    "WideDeepClassifier",
    "WideDeepRegressor",
    "XDeepFMClassifier",
    "XDeepFMRegressor",
    "datasets",
    "fields_from",
    "load",
    "make_field_pipeline",
    "save",
]
