"""Inspection of fitted models: explanations, attention, strengths, embeddings."""

from .attention import attention_weights
from .explanation import explain
from .strength import interaction_strength
from .vectors import embeddings, most_similar
from .weights import linear_weights

__all__ = [
    "attention_weights",
    "embeddings",
    "explain",
    "interaction_strength",
    "linear_weights",
    "most_similar",
]
