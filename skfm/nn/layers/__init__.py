"""Dense layers of the interaction models.

Constructors draw no random numbers. `initialize` draws them, from the generator that it
is given, so that a fit neither reads nor advances torch's global stream.
"""

from .attention import FieldAttention
from .basic import ACTIVATIONS, MLP, BatchNorm, Dropout, Linear
from .cross import CIN, CrossNetwork, ExpertCross, MatrixCross, VectorCross
from .fusion import BilinearFusion, FeatureGate
from .pairs import InteractionHead, PairAttention, bi_interaction
from .products import (
    ResidualUnit,
    WeightedPairs,
    field_aware_entry_products,
    field_aware_products,
    gather_fields,
    inner_products,
    outer_product,
    pair_numbers,
)

__all__ = [
    "ACTIVATIONS",
    "CIN",
    "MLP",
    "BatchNorm",
    "BilinearFusion",
    "CrossNetwork",
    "Dropout",
    "ExpertCross",
    "FeatureGate",
    "FieldAttention",
    "InteractionHead",
    "Linear",
    "MatrixCross",
    "PairAttention",
    "ResidualUnit",
    "VectorCross",
    "WeightedPairs",
    "bi_interaction",
    "field_aware_entry_products",
    "field_aware_products",
    "gather_fields",
    "inner_products",
    "outer_product",
    "pair_numbers",
]
