"""Factorization machines and their neural descendants for scikit-learn.

Names are imported when they are first used. `import skfm` itself takes no time, and
neither torch nor numba is loaded for a part of the package that does without.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import datasets, distributed
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
    "distributed",
    "fields_from",
    "load",
    "make_field_pipeline",
    "save",
    "to_onnx",
]

_TASKS = ("Classifier", "Ranker", "Regressor")
#: Module of each name that is no module itself.
_PLACES = {
    name: f"models.{name.removesuffix(task).lower()}"
    for name in __all__
    for task in _TASKS
    if name.endswith(task)
} | {
    "FieldCrosses": "encoding",
    "FieldEncoder": "encoding",
    "FieldInferenceError": "fields",
    # Not public, but files may hold it.
    "FieldPipeline": "fields.pipeline",
    "fields_from": "fields",
    "load": "persistence",
    "make_field_pipeline": "fields.pipeline",
    "save": "persistence",
    "to_onnx": "export",
}
_MODULES = {
    "datasets",
    "distributed",
    "encoding",
    "exceptions",
    "fields",
    "inspection",
    "metrics",
    "model_selection",
    "persistence",
    "plotting",
    "recommendation",
}


def __getattr__(name: str) -> Any:
    """Import a public name on its first use."""
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    if name in _PLACES:
        found = getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
        globals()[name] = found
        return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """Return the public names, those not yet imported included."""
    return sorted({*globals(), *__all__, *_MODULES})
