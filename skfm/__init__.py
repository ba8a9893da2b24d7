"""Factorization machines and their neural descendants for scikit-learn."""

from importlib import import_module
from types import ModuleType

from . import datasets
from .encoding import FieldCrosses, FieldEncoder
from .export import to_onnx
from .fields import FieldInferenceError, fields_from
from .fields.pipeline import make_field_pipeline
from .models.afm import AFMClassifier, AFMRanker, AFMRegressor
from .models.autoint import AutoIntClassifier, AutoIntRanker, AutoIntRegressor
from .models.dcn import DCNClassifier, DCNRanker, DCNRegressor
from .models.deepcrossing import (
    DeepCrossingClassifier,
    DeepCrossingRanker,
    DeepCrossingRegressor,
)
from .models.deepfm import DeepFMClassifier, DeepFMRanker, DeepFMRegressor
from .models.ffm import FFMClassifier, FFMRanker, FFMRegressor
from .models.finalmlp import FinalMLPClassifier, FinalMLPRanker, FinalMLPRegressor
from .models.fm import FMClassifier, FMRanker, FMRegressor
from .models.fnn import FNNClassifier, FNNRanker, FNNRegressor
from .models.fwfm import FwFMClassifier, FwFMRanker, FwFMRegressor
from .models.nfm import NFMClassifier, NFMRanker, NFMRegressor
from .models.pnn import PNNClassifier, PNNRanker, PNNRegressor
from .models.widedeep import WideDeepClassifier, WideDeepRanker, WideDeepRegressor
from .models.xdeepfm import XDeepFMClassifier, XDeepFMRanker, XDeepFMRegressor
from .persistence import load, save

__version__ = "0.1.0.dev0"

__all__ = [
    "AFMClassifier",
    "AFMRanker",
    "AFMRegressor",
    "AutoIntClassifier",
    "AutoIntRanker",
    "AutoIntRegressor",
    "DCNClassifier",
    "DCNRanker",
    "DCNRegressor",
    "DeepCrossingClassifier",
    "DeepCrossingRanker",
    "DeepCrossingRegressor",
    "DeepFMClassifier",
    "DeepFMRanker",
    "DeepFMRegressor",
    "FFMClassifier",
    "FFMRanker",
    "FFMRegressor",
    "FMClassifier",
    "FMRanker",
    "FMRegressor",
    "FNNClassifier",
    "FNNRanker",
    "FNNRegressor",
    "FieldCrosses",
    "FieldEncoder",
    "FieldInferenceError",
    "FinalMLPClassifier",
    "FinalMLPRanker",
    "FinalMLPRegressor",
    "FwFMClassifier",
    "FwFMRanker",
    "FwFMRegressor",
    "NFMClassifier",
    "NFMRanker",
    "NFMRegressor",
    "PNNClassifier",
    "PNNRanker",
    "PNNRegressor",
    "WideDeepClassifier",
    "WideDeepRanker",
    "WideDeepRegressor",
    "XDeepFMClassifier",
    "XDeepFMRanker",
    "XDeepFMRegressor",
    "datasets",
    "fields_from",
    "load",
    "make_field_pipeline",
    "save",
    "to_onnx",
]

#: Modules that are imported when they are first used, so that `import skfm` is light.
_LAZY = {
    "exceptions",
    "inspection",
    "metrics",
    "model_selection",
    "persistence",
    "plotting",
    "recommendation",
}


def __getattr__(name: str) -> ModuleType:
    """Import a public module on its first use."""
    if name in _LAZY:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """Return the public names, those of modules not yet imported included."""
    return sorted({*globals(), *_LAZY})
