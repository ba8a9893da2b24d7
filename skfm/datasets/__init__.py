"""Generators with planted interactions and tastes, and readers."""

from skfm.datasets.feedback import FeedbackTruth, make_implicit_feedback
from skfm.datasets.interactions import make_interactions
from skfm.datasets.libffm import dump_libffm, load_libffm
from skfm.datasets.libffm_rows import LibffmRows, open_libffm
from skfm.datasets.truth import InteractionTruth

__all__ = [
    "FeedbackTruth",
    "InteractionTruth",
    "LibffmRows",
    "dump_libffm",
    "load_libffm",
    "make_implicit_feedback",
    "make_interactions",
    "open_libffm",
]
