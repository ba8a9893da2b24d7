"""Dense layers of the interaction models.

Layers draw no random numbers when built: `initialize` does, from the generator it is
given, so that a fit neither reads nor moves torch's global stream.
"""

from .basic import ACTIVATIONS, MLP, BatchNorm, Dropout, Linear
from .pairs import InteractionHead, PairAttention, bi_interaction

__all__ = [
    "ACTIVATIONS",
    "MLP",
    "BatchNorm",
    "Dropout",
    "InteractionHead",
    "Linear",
    "PairAttention",
    "bi_interaction",
]
