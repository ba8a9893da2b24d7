"""Generators of data with planted interactions, and readers of files."""

from skfm.datasets.interactions import make_interactions
from skfm.datasets.libffm import dump_libffm, load_libffm
from skfm.datasets.libffm_rows import LibffmRows, open_libffm
from skfm.datasets.truth import InteractionTruth

__all__ = [
    "InteractionTruth",
    "LibffmRows",
    "dump_libffm",
    "load_libffm",
    "make_interactions",
    "open_libffm",
]
