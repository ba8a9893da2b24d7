"""Generators with planted interactions and tastes, and readers."""

from .feedback import FeedbackTruth, make_implicit_feedback
from .interactions import make_interactions
from .libffm import dump_libffm, load_libffm
from .libffm_rows import LibffmRows, open_libffm
from .truth import InteractionTruth

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
